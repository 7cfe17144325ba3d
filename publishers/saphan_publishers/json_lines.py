"""Which record each line of a JSON Lines file holds."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from saphan_publishers.input_files import CTRL_Z, InputFile
from saphan_publishers.rows import FileProblem, Row, row_error
from saphan_schemas.rules import Problem

_BLANKS = b" \t\r\n" + CTRL_Z


_ToWire = Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[Problem]]]


def json_rows(source: InputFile, to_wire: _ToWire) -> Iterator[Row]:
    """Each line as a row; blank lines are none. Raises FileProblem for a file that is one JSON array.

    ``to_wire`` makes the record in wire form of an object, and tells what is wrong with its fields.
    """
    started = False
    for number, raw in source.lines():
        text = raw.strip(_BLANKS)
        if not text:
            continue
        if not started and text.startswith(b"["):
            todo = "Write one record a line, without brackets and commas around (for example `jq -c '.[]'`)."
            raise FileProblem("json_array", "a JSON array", "JSON Lines: one object a line", todo)
        started = True
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            yield Row(number, raw, None, [_not_json(text, error)])
            continue
        if type(value) is not dict:
            expected = "an object with the fields of the feed"
            yield Row(number, raw, None, [row_error("not_an_object", "", type(value).__name__, expected)])
            continue
        record, problems = to_wire(value)
        yield Row(number, raw, record, problems)


def _not_json(text: bytes, error: orjson.JSONDecodeError) -> Problem:
    try:
        shown = text.decode("utf-8")
    except UnicodeDecodeError:
        return row_error("encoding", "", text[:60].decode("cp874", "replace"), "UTF-8: JSON is never TIS-620")
    # The text itself follows "found"; orjson's message repeats none of it.
    return row_error("not_json", "", shown, f"one JSON object on the line ({error.msg} at character {error.colno})")
