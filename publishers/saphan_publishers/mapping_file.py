"""Whether a mapping file is one: every key known, every field of the feed, nothing left to guess."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saphan_publishers.cells import Unit
from saphan_publishers.dates import ERAS, CalendarFormat
from saphan_publishers.input_files import ENCODINGS, Encoding
from saphan_publishers.mapping import EMPTY_CELLS, ColumnMapping, FieldRule, IdRule, MappingError, heading
from saphan_publishers.record_form import RecordForm, record_form
from saphan_publishers.text import clean_code
from saphan_schemas.topics import RECORD_FEEDS

_DELIMITERS = {",": ",", ";": ";", "\t": "\t", "tab": "\t", "|": "|"}
_TOP_KEYS = {"feed", "file", "record_id", "as_of", "fields", "ignore", "empty"}
_FILE_KEYS = {"encoding", "delimiter", "skip_lines"}
_ID_KEYS = {"columns", "hash", "prefix"}
_AS_OF_KEYS = {"file_name", "era", "century"}
_FIELD_KEYS = {
    "column", "columns", "constant", "values", "format", "era", "century", "unknown_parts", "unit", "empty", "hash",
    "hash_as", "prefix", "pad",
}  # fmt: skip


def read_mapping(path: Path, feed: str) -> ColumnMapping:
    """The mapping in a TOML file. Raises MappingError."""
    try:
        return parse_mapping(path.read_text(encoding="utf-8-sig"), feed)
    except FileNotFoundError:
        message = f"{path}: there is no such file; expected a mapping in TOML, see publishers/README.md"
        raise MappingError(message) from None
    except OSError as error:
        message = f"{path}: cannot be opened ({error.strerror}); expected a mapping in TOML"
        raise MappingError(message) from None
    except UnicodeDecodeError as error:
        message = f"{path}: cannot be read as UTF-8 text ({error})"
        raise MappingError(message) from None
    except MappingError as error:
        message = f"{path}: {error}"
        raise MappingError(message) from None


def parse_mapping(text: str, feed: str) -> ColumnMapping:
    """The mapping in a TOML text, for ``feed``. Raises MappingError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"not valid TOML: {error}"
        raise MappingError(message) from None
    _check_keys("the mapping", table, _TOP_KEYS)
    if table.get("feed", feed) != feed:
        message = f"feed is {table['feed']!r} but {feed!r} is published; give the mapping file of that feed"
        raise MappingError(message)
    form = record_form(feed)
    empty = frozenset((*_texts("empty", table.get("empty", list(EMPTY_CELLS))), ""))
    rules = tuple(_field_rule(form, name, row, empty) for name, row in _table("fields", table, {}).items())
    file = _table("file", table, {})
    _check_keys("[file]", file, _FILE_KEYS)
    return ColumnMapping(
        feed,
        rules,
        record_id=_record_id(table, feed, rules),
        encoding=_encoding(file.get("encoding", "auto")),
        delimiter=_delimiter(file.get("delimiter", "auto")),
        skip_lines=_typed("[file] skip_lines", file.get("skip_lines", 0), int),
        file_date=_file_date(table),
        ignore=frozenset(heading(name) for name in _texts("ignore", table.get("ignore", []))),
        text=text,
    )


def _record_id(table: Mapping[str, Any], feed: str, rules: Sequence[FieldRule]) -> IdRule | None:
    given = any(rule.field == "record_id" for rule in rules)
    if "record_id" not in table:
        if not given:
            message = (
                "record_id is missing; expected record_id = {columns = [..]}, or {hash = [..]} for a person's number"
            )
            raise MappingError(message)
        return None
    if given:
        message = "record_id stands at the top and under [fields]; keep one"
        raise MappingError(message)
    row = _table("record_id", table)
    _check_keys("record_id", row, _ID_KEYS)
    if ("columns" in row) == ("hash" in row):
        message = "record_id needs exactly one of columns = [..] (the agency's own number) and hash = [..]"
        raise MappingError(message)
    hashed = "hash" in row
    own = {rule.field for rule in rules}
    return IdRule(
        _parts("record_id", row["hash" if hashed else "columns"], own), hashed, str(row.get("prefix", "")), feed
    )


def _field_rule(form: RecordForm, name: str, row: Any, empty: frozenset[str]) -> FieldRule:
    if name not in form.kinds:
        near = difflib.get_close_matches(name, form.kinds, 1)
        message = f"[fields] {name}: {form.feed} has no such field; " + (
            f"did you mean {near[0]}?" if near else f"it has {', '.join(form.kinds)}"
        )
        raise MappingError(message)
    if isinstance(row, str):
        row = {"column": row}
    where = f"[fields.{name}]"
    if not isinstance(row, Mapping):
        message = f"{where}: expected a column's header or a table, found {row!r}"
        raise MappingError(message)
    _check_keys(where, row, _FIELD_KEYS)
    sources = [key for key in ("column", "columns", "constant", "hash") if key in row]
    if len(sources) != 1:
        message = f"{where}: expected exactly one of column, columns, constant, hash; found {sources or 'none'}"
        raise MappingError(message)
    identity = None
    if "hash" in row:
        scope = row.get("hash_as", form.feed)
        if scope not in RECORD_FEEDS:
            message = f"{where} hash_as: expected a feed such as doe.employers.v1, found {scope!r}"
            raise MappingError(message)
        identity = IdRule(
            _parts(where, row["hash"], set()), hashed=True, prefix=str(row.get("prefix", "")), hash_as=scope
        )
    columns = [row["column"]] if "column" in row else row.get("columns", [])
    return FieldRule(
        name,
        tuple(heading(column) for column in _texts(where, columns)),
        constant=None if "constant" not in row else str(row["constant"]),
        identity=identity,
        values=_values(where, row),
        calendar=_calendar(where, row, form.kinds[name], name),
        unit=_unit(where, row, name),
        empty=frozenset((*_texts(where, row["empty"]), "")) if "empty" in row else empty,
        pad=_typed(f"{where} pad", row.get("pad", 0), int),
    )


def _values(where: str, row: Mapping[str, Any]) -> dict[str, str] | None:
    if "values" not in row:
        return None
    values = _table(f"{where} values", row, key="values")
    return {heading(clean_code(found)): str(meant) for found, meant in values.items()}


def _calendar(where: str, row: Mapping[str, Any], kind: str, name: str) -> CalendarFormat | None:
    dated = kind in {"date", "timestamp-millis"} or name == "month"
    if "format" not in row:
        if dated and "era" in row:
            message = f"{where}: era without format; add format = 'DD/MM/YYYY' or as the file writes it"
            raise MappingError(message)
        return None
    if not dated:
        message = f"{where}: format is for dates, times and the month only; {name} is {kind}"
        raise MappingError(message)
    if row.get("era") not in ERAS:
        message = f"{where}: era is {row.get('era')!r}; expected 'BE' (Buddhist) or 'CE' (common): it is never guessed"
        raise MappingError(message)
    unknown = row.get("unknown_parts")
    if unknown not in (None, "first", "empty"):
        message = f"{where}: unknown_parts is {unknown!r}; expected 'first' or 'empty'"
        raise MappingError(message)
    calendar = _built(where, row)
    if kind == "date" and "day" not in calendar.parts:
        message = f"{where}: format {calendar.pattern!r} has no day (DD or D) and {name} is a date"
        raise MappingError(message)
    return calendar


def _built(where: str, row: Mapping[str, Any], pattern_key: str = "format") -> CalendarFormat:
    try:
        pattern = _typed(f"{where} {pattern_key}", row[pattern_key], str)
        century = _typed(f"{where} century", row["century"], int) if "century" in row else None
        return CalendarFormat(pattern, row["era"], century, row.get("unknown_parts"))
    except ValueError as error:
        message = f"{where}: {error}"
        raise MappingError(message) from None


def _file_date(table: Mapping[str, Any]) -> CalendarFormat | None:
    if "as_of" not in table:
        return None
    row = _table("as_of", table)
    _check_keys("as_of", row, _AS_OF_KEYS)
    if "file_name" not in row or row.get("era") not in ERAS:
        message = "as_of: expected as_of = {file_name = 'YYYYMMDD', era = 'CE' or 'BE'}: the date in the file's name"
        raise MappingError(message)
    return _built("as_of", row, "file_name")


def _unit(where: str, row: Mapping[str, Any], name: str) -> Unit | None:
    unit: Unit | None = row.get("unit")
    if unit not in (None, "baht", "satang") or (unit is not None and not name.endswith("_satang")):
        message = f"{where}: unit is {unit!r}; expected 'baht' or 'satang', and only for fields of money"
        raise MappingError(message)
    return unit


def _encoding(name: Any) -> Encoding | None:
    if name == "auto":
        return None
    if not isinstance(name, str) or name.lower() not in ENCODINGS:
        message = f"[file] encoding is {name!r}; expected auto, {', '.join(ENCODINGS)}"
        raise MappingError(message)
    return ENCODINGS[name.lower()]


def _delimiter(name: Any) -> str | None:
    if name == "auto":
        return None
    if not isinstance(name, str) or name not in _DELIMITERS:
        message = f"[file] delimiter is {name!r}; expected auto, ',' ';' 'tab' or '|'"
        raise MappingError(message)
    return _DELIMITERS[name]


def _parts(where: str, names: Any, own_fields: set[str]) -> tuple[str, ...]:
    parts = tuple(name if name in own_fields else heading(name) for name in _texts(where, names))
    if not parts:
        message = f"{where}: expected at least one column or field"
        raise MappingError(message)
    return parts


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        message = f"{where}: expected a list of texts, found {value!r}"
        raise MappingError(message)
    return tuple(value)


def _typed(where: str, value: Any, kind: type) -> Any:
    if type(value) is not kind:
        message = f"{where}: expected {kind.__name__}, found {value!r}"
        raise MappingError(message)
    return value


def _table(where: str, table: Mapping[str, Any], default: Any = None, *, key: str | None = None) -> Mapping[str, Any]:
    value = table.get(key or where, default)
    if not isinstance(value, Mapping):
        message = f"{where}: expected a table, found {value!r}"
        raise MappingError(message)
    return value


def _check_keys(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            message = f"{where}: unknown key {key!r}; " + (
                f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            )
            raise MappingError(message)
