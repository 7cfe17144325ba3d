"""The quick screen of the rules, held to the thorough rules on random records of every feed."""

from typing import Any

import pytest
from avro_samples import values_of
from good_records import good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_schemas import rules
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.record_checks import explain
from saphan_schemas.record_codec import structure
from saphan_schemas.rules import problems
from saphan_schemas.topics import RECORD_FEEDS

EACH_FEED = pytest.mark.parametrize("feed", RECORD_FEEDS)
SAMPLES = {
    feed: st.fixed_dictionaries(
        {
            name: st.one_of(st.just(good(feed)[name]), st.just(good(feed)[name]), kind)
            for name, kind in {
                field["name"]: values_of(field["type"])
                for field in structure(default_catalogue().latest(feed).parsed())["fields"]
            }.items()
        }
    )
    for feed in RECORD_FEEDS
}


@EACH_FEED
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_quick_screen_lets_pass_only_what_the_thorough_rules_find_good(feed: str, data: st.DataObject) -> None:
    record = data.draw(SAMPLES[feed])
    assert problems(feed, record) == explain(feed, default_catalogue().kinds(feed), record)


@EACH_FEED
def test_the_quick_screen_answers_for_the_usual_record(feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*_: Any) -> list[rules.Problem]:
        raise AssertionError("the thorough pass was taken for a good record")

    monkeypatch.setattr(rules, "explain", too_slow)
    assert problems(feed, good(feed)) == []


@EACH_FEED
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_nothing_makes_the_rules_fail(feed: str, data: st.DataObject) -> None:
    anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.none()))
    record = good(feed) | data.draw(st.dictionaries(st.sampled_from(sorted(good(feed))), anything, max_size=4))
    for found in problems(feed, record):
        assert found.field
        assert found.expected
