"""The table of topics: the README says what the code does, and nothing that a rebuild needs is dropped."""

import re
from pathlib import Path

import pytest

from saphan_schemas import topics
from saphan_schemas.pii import PII_CLASSES
from saphan_schemas.topics import HEARTBEATS, RECORD_FEEDS, TOPICS, WORKER_FEEDS, Topic

README = Path(__file__).parents[2] / "schemas" / "README.md"


def test_the_readme_has_the_table_of_topics() -> None:
    first_table = README.read_text(encoding="utf-8").split("## ")[0]
    rows = [line for line in first_table.splitlines() if line.startswith("| `")]
    assert rows == [_line(topic) for topic in TOPICS.values()], "copy the expected lines into schemas/README.md"


def _line(topic: Topic) -> str:
    readers = ", ".join(topic.readers)
    return (
        f"| `{topic.name}` | {topic.key} | {topic.partitions} | {topic.kept()} | {topic.owner} | {readers} "
        f"| {topic.description} |"
    )


@pytest.mark.parametrize("name", [*RECORD_FEEDS, HEARTBEATS])
def test_feeds_are_kept_whole_and_for_ever(name: str) -> None:
    settings = TOPICS[name].settings()
    assert settings["cleanup.policy"] == "delete"
    assert settings["retention.ms"] == "-1"


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_a_topic_never_takes_the_broker_s_own_retention(topic: Topic) -> None:
    settings = topic.settings()
    assert settings["cleanup.policy"] == "compact" or int(settings["retention.ms"]) != 0
    assert (settings["cleanup.policy"] == "compact") == ("retention.ms" not in settings)
    assert topic.kept() in {"newest by key", "for ever", "30 days", "365 days"}


def test_names_are_versioned_and_each_has_its_constant() -> None:
    constants = {value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(TOPICS)
    assert all(re.search(r"[a-z]\.v[1-9]$", name) for name in TOPICS)


def test_worker_feeds_are_record_feeds() -> None:
    assert set(WORKER_FEEDS) < set(RECORD_FEEDS)
    assert HEARTBEATS not in RECORD_FEEDS


def test_the_readme_explains_every_class_of_personal_data() -> None:
    text = README.read_text(encoding="utf-8")
    assert [f"| {name} | {meaning} |" in text for name, meaning in PII_CLASSES.items()] == [True] * len(PII_CLASSES)
