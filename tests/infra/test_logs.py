"""C6: whatever a program logs, no person's name or number reaches the log."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from saphan_infra import logs
from saphan_infra.owned_process import wait_until
from saphan_schemas.catalogue import default_catalogue

NAME = "Ma Thida Aung"
NUMBERS = ("0012345678901", "1-2345-67890-12-3", "6 5001 01234 56 7", "MA123456", "N01234567", "mb7654321", "AB1234567")
#: Written anew here, so that a mistake in the module's own pattern does not hide itself.
NUMBER_LIKE = re.compile(r"[0-9]{13}|[0-9]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]|\b[A-Za-z]{1,2}[0-9]{6,8}\b")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What was logged; the global configuration is put back."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    logs.configure("DEBUG", "json", stream)
    yield stream
    root.handlers, root.level = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _clean(text: str) -> None:
    assert NUMBER_LIKE.findall(text) == []
    assert NAME not in text


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_hidden_wherever_it_stands(lines: io.StringIO, number: str) -> None:
    log = logs.get_logger("saphan.test")
    structlog.contextvars.bind_contextvars(subject=number)
    log.info("seen", plain=number, within=f"<{number}>", nested={"a": [number, {number: number}]}, at=(number,))
    log.bind(bound=number).warning("bound")
    logging.getLogger("faust.app").warning("library says %s", number)
    logging.getLogger("kafka.conn").error("library says %r", {"key": number})
    try:
        int(f"number {number}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("alembic").exception("failed")
    assert len(lines.getvalue().splitlines()) == 6
    _clean(lines.getvalue())


def test_a_field_of_a_person_is_hidden_by_its_name(lines: io.StringIO) -> None:
    personal = {"full_name": NAME, "passport_number": "x", "birth_date": "1990-01-02", "nationality": "MMR"}
    logs.get_logger("saphan.test").info("row", **personal, nested=personal, rows=[personal])
    _clean(lines.getvalue())
    (row,) = (json.loads(line) for line in lines.getvalue().splitlines())
    assert row["full_name"] == row["nested"]["full_name"] == row["rows"][0]["birth_date"] == logs.MASK
    assert "MMR" not in lines.getvalue()
    assert "1990" not in lines.getvalue()


def test_every_personal_field_of_every_schema_is_known() -> None:
    for versions in default_catalogue().by_topic.values():
        for version in versions:
            for field in version.parsed()["fields"]:
                personal = field["pii"] in {"name", "identifier", "birth_date", "sensitive", "inherited"}
                assert not personal or field["name"] in logs.personal_fields()


def test_integers_of_thirteen_digits_are_hidden_but_times_are_not(lines: io.StringIO) -> None:
    logs.get_logger("saphan.test").info("seen", number=1234567890123, changed_at_ms=1767225600000, offset=12)
    (row,) = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (row["number"], row["changed_at_ms"], row["offset"]) == (logs.MASK, 1767225600000, 12)


def test_message_bytes_are_never_shown(lines: io.StringIO) -> None:
    logs.get_logger("saphan.test").info("seen", body=NAME.encode(), parts=[memoryview(NAME.encode())])
    _clean(lines.getvalue())
    assert "[13 bytes]" in lines.getvalue()


def test_a_warning_of_python_goes_the_same_way(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"about {NUMBERS[0]}", UserWarning, stacklevel=1)
    _clean(lines.getvalue())
    assert "py.warnings" in lines.getvalue()


def test_every_line_is_one_json_object_with_time_level_and_logger(lines: io.StringIO) -> None:
    logs.get_logger("saphan.test").info("two\nlines", topic="doe.employments.v1", partition=1)
    logging.getLogger("aiokafka").warning("careful")
    for line, logger, level in zip(
        lines.getvalue().splitlines(), ("saphan.test", "aiokafka"), ("info", "warning"), strict=True
    ):
        row = json.loads(line)
        assert (row["logger"], row["level"]) == (logger, level)
        assert row["timestamp"].endswith("Z")


def test_libraries_speak_from_warning_on_unless_asked(lines: io.StringIO) -> None:
    logs.configure("INFO", "json", lines)
    logging.getLogger("kafka.coordinator").info("chatter")
    logs.get_logger("saphan.test").debug("detail")
    assert lines.getvalue() == ""
    logs.get_logger("saphan.test").info("news")
    assert wait_until(lambda: "news" in lines.getvalue(), 5)


def test_libraries_that_quote_rows_stay_silent_even_when_debugging(lines: io.StringIO) -> None:
    logging.getLogger("sqlalchemy.engine.Engine").info("[generated in 0.1s] %s", (NAME,))
    logging.getLogger("psycopg").debug(NAME)
    assert lines.getvalue() == ""


def test_the_console_form_hides_people_too(lines: io.StringIO) -> None:
    logs.configure("INFO", "console", lines)
    logs.get_logger("saphan.test").info("seen " + NUMBERS[0], full_name=NAME)
    _clean(lines.getvalue())
    assert "seen" in lines.getvalue()


@given(st.text("0123456789 -", max_size=40), st.text("abc .:/'\"(", max_size=3), st.text("abc .:/'\")", max_size=3))
def test_no_thirteen_digits_in_a_row_survive(digits: str, before: str, after: str) -> None:
    shown = logs.mask_text(before + digits + after)
    assert not re.search(r"(?<![0-9])[0-9]{13}(?![0-9])", shown)


@given(
    st.sampled_from(
        ["worker.records.v2", "A-mfrggzdfmztwq2lk", "offset 12345", "2026-11-23T22:19:00Z", "4.3.0", "W-17"]
    )
)
def test_what_operators_need_stays(text: str) -> None:
    assert logs.mask_text(text) == text
