"""The README says what the code says: commands, settings, metrics, exit codes, examples."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from repository.checkout import CHECKOUT, texts
from repository.readme_tables import README, TABLES, block, commands, metrics

from saphan_cli import exits
from saphan_consumers.signing import signed_headers
from saphan_infra.settings import CONFIG_VARIABLE, ENV_PREFIX, Settings
from saphan_publishers.publisher import _moment_ms
from saphan_publishers.record_form import record_form
from saphan_publishers.validation import record_problems
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.topics import ENROLMENT_ALERTS, TOPICS

TEXT = README.read_text(encoding="utf-8")
RENEW = "run: python tests/repository/readme_tables.py"
#: Variables of the surroundings, not of Settings.
OTHER_VARIABLES = {CONFIG_VARIABLE, "SAPHAN_POSTGRES_PASSWORD"}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_the_readme_is_what_the_code_says(name: str) -> None:
    assert block(TEXT, name) == TABLES[name](), RENEW


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_a_command_and_its_options_have_help(words: str, command: Any) -> None:
    assert command.help, f"saphan {words} has no help"
    silent = [option.name for option in command.params if not getattr(option, "help", "")]
    assert not silent, f"saphan {words}: no help for {silent}"


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_a_command_says_its_exit_codes_if_it_can_fail(words: str, command: Any) -> None:
    # Those that only print something they have, or that run others' checks, say it in their own words.
    if words != "deliveries secret":
        assert re.search(r"[Ee]xit codes?", command.help), f"saphan {words}: its help names no exit code"


@pytest.mark.parametrize("metric", metrics(), ids=lambda metric: metric._name)
def test_a_metric_explains_itself(metric: Any) -> None:
    assert metric._name.startswith("saphan_")
    assert metric._documentation.endswith((".", ")")), metric._documentation


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_explains_itself(name: str) -> None:
    assert (Settings.model_fields[name].description or "").endswith("."), name


def test_no_page_speaks_of_a_setting_that_there_is_not() -> None:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    said = {
        (str(path), name)
        for path, text in texts(".md", ".yaml", ".yml")
        for name in re.findall(rf"\b{ENV_PREFIX}[A-Z_]*[A-Z]\b", text)
    }
    assert [row for row in sorted(said) if row[1] not in known] == []


def test_no_message_speaks_of_a_setting_that_there_is_not() -> None:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    said = {
        (str(path), name)
        for path, text in texts(".py")
        if path.parts[0] != "tests"
        for name in re.findall(rf"\b{ENV_PREFIX}[A-Z_]*[A-Z]\b", text)
    }
    assert [row for row in sorted(said) if row[1] not in known] == []


def test_the_exit_codes_of_the_readme_are_those_of_the_commands() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \| ", TEXT, re.MULTILINE)}
    assert table == {0, exits.FAILED, exits.USAGE, exits.UNREACHABLE, exits.REJECTED, exits.INTERRUPTED}


def test_the_commands_that_pages_show_exist() -> None:
    known = {words for words, _ in commands()}
    groups = {words.split()[0] for words in known if " " in words}
    unknown = []
    for path, text in texts(".md"):
        for first, second in re.findall(r"(?:`|^|\./)saphan ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE):
            words = f"{first} {second}" if first in groups and second else first
            if words not in known | groups:
                unknown.append(f"{path}: saphan {words}")
    assert unknown == []


def _shown_calls() -> Iterator[tuple[Path, list[str]]]:
    """(page, words after `saphan`) of every call in a code block."""
    for path, text in texts(".md"):
        for code in re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in re.findall(r"(?:^|\| )(?:\./)?saphan ([^\n|#]*)", code, re.MULTILINE):
                yield path, line.split()


def test_the_options_that_pages_show_exist() -> None:
    options = {
        words: {"--help", *(name for parameter in command.params for name in parameter.opts)}
        for words, command in commands()
    }
    unknown = []
    for path, words in _shown_calls():
        name = " ".join(words[:2]) if " ".join(words[:2]) in options else words[0]
        if name == "test":  # hands its arguments on to pytest
            continue
        shown = {word.strip("[],").split("=")[0] for word in words if word.strip("[],").startswith("--")}
        unknown += [f"{path}: saphan {name} {option}" for option in sorted(shown - options.get(name, set()))]
    assert unknown == []


def test_the_readmes_record_of_a_program_is_valid() -> None:
    published: list[tuple[str, Any]] = []

    class Noting:
        def __init__(self, _bootstrap: str, feed: str) -> None:
            self.feed = feed

        def __enter__(self) -> "Noting":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def publish(self, record: dict[str, Any]) -> None:
            published.append((self.feed, record))

        def heartbeat(self, moment: str) -> None:
            assert _moment_ms(moment)

    code = next(found for found in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "Publisher(" in found)
    imports, _, rest = code.partition("\n")
    assert imports == "from saphan_publishers.publisher import Publisher"
    exec(compile(rest, str(README), "exec"), {"Publisher": Noting})  # noqa: S102 - the README's own example
    for feed, record in published:
        wire, found = record_form(feed).to_wire(record)
        assert record_problems(feed, wire, found) == []
    assert published


def test_the_readme_shows_an_alert_with_every_field_of_its_schema() -> None:
    body = json.loads(next(found for found in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)))
    assert list(body) == ["type", "timestamp", "data"]
    assert list(body["data"]) == list(default_catalogue().kinds(ENROLMENT_ALERTS))


def _receivers_check() -> Any:
    code = next(found for found in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def verified_id" in found)
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)  # noqa: S102 - the README's own example is what is tested
    names["time"] = type("Clock", (), {"time": staticmethod(lambda: 1_793_127_600.0)})
    return names["verified_id"]


def test_the_readmes_check_of_a_signature_takes_what_we_sign_and_nothing_else() -> None:
    verified_id = _receivers_check()
    key, body = b"k" * 32, b'{"type":"alert.enrolment.due"}'
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers([b"o" * 32, key], "A-1-abc", 1_793_127_600, body)
    assert verified_id(secret, headers, body) == "A-1-abc"
    for wrong_headers, wrong_body in (
        (headers, body + b" "),
        ({**headers, "webhook-id": "A-2-abc"}, body),
        (signed_headers([b"o" * 32], "A-1-abc", 1_793_127_600, body), body),
        (signed_headers([key], "A-1-abc", 1_793_127_600 - 301, body), body),
    ):
        with pytest.raises(ValueError, match=r"old|signed"):
            verified_id(secret, wrong_headers, wrong_body)


def test_every_topic_is_in_the_page_of_the_schemas() -> None:
    page = (CHECKOUT / "schemas" / "README.md").read_text(encoding="utf-8")
    assert [name for name in TOPICS if name not in page] == []
