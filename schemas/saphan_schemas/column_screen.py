"""Which of many records of one feed may have a problem, found by whole columns: it costs a microsecond a record.

The rules themselves are in :mod:`saphan_schemas.rules`; they decide about each suspect.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from saphan_schemas.identifiers import SPECIMENS, is_plain_key, unusual_person_numbers
from saphan_schemas.record_checks import CARRIED_CHARACTERS_MIN
from saphan_schemas.rule_table import (
    FIRST_CHANGE_MS,
    FIRST_DAY,
    LAST_CHANGE_MS,
    LAST_DAY,
    PERSON_FIELDS,
    RECORD_ID_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    VERSION_MAX,
)
from saphan_schemas.screen_table import (
    DOCUMENT_PLACEHOLDERS,
    USUAL_DOCUMENT,
    USUAL_INSURED,
    FeedScreen,
    Form,
    screen_of,
)

Record = Mapping[str, Any]
Column = Sequence[Any]
Columns = Mapping[str, Column]


class Screened(NamedTuple):
    """What there is to know about records by their position.

    Nothing is wrong with a record that is no suspect. For such a record ``numbers`` has the number of each person and
    document in normal form, None or empty where there is none; what it has for a suspect means nothing.
    """

    suspects: set[int]
    numbers: dict[str, Sequence[str | None]]


def columns_of(feed: str, records: Sequence[Record]) -> Columns:
    """The values of each field of a feed, of at least one record. Raises KeyError for a missing field.

    By name, for the fields of what an older schema wrote stand in another order.
    """
    names = tuple(screen_of(feed).kinds)
    return dict(zip(names, zip(*map(itemgetter(*names), records), strict=True), strict=True))


def has_fields_of(feed: str, columns: Columns) -> bool:
    """Whether these are the columns of the feed as this package knows it, none missing and none more."""
    return columns.keys() == screen_of(feed).kinds.keys()


def with_other_fields(feed: str, records: Sequence[Record]) -> list[int]:
    """Positions of the records that have more fields than the feed. They are suspects, which no column shows."""
    count = len(screen_of(feed).kinds)
    return [at for at, size in enumerate(map(len, records)) if size != count]


def screened(feed: str, columns: Columns) -> Screened:
    """Screen the columns of a feed. A codec decoded them: the types of the values are the schema's. Pure."""
    screen = screen_of(feed)
    suspects: set[int] = set()
    for check in (_unusual_envelopes, _unusual_values, _unusual_texts, _incomplete, _disagreeing):
        suspects.update(check(screen, columns))
    numbers: dict[str, Sequence[str | None]] = {}
    for name, _ in screen.person_numbers:
        text, unusual = _lines(columns[name])
        plain = text.replace("-", "").replace(" ", "")
        numbers[name] = normal = _split(columns[name], text, plain)
        suspects.update(unusual, _vanished(columns[name], normal), _among(normal, SPECIMENS))
        insured = name == "insured_number"
        suspects.update(_unlike(USUAL_INSURED, plain) if insured else unusual_person_numbers(normal))
    for name in screen.documents:
        text, unusual = _lines(columns[name])
        plain = text.replace("-", "").replace(" ", "").upper()
        numbers[name] = normal = _split(columns[name], text, plain)
        suspects.update(unusual, _vanished(columns[name], normal), _among(normal, DOCUMENT_PLACEHOLDERS))
        suspects.update(_unlike(USUAL_DOCUMENT, plain))
    suspects.update(_carriers(columns["record_id"], numbers))
    return Screened(suspects, numbers)


def _where(column: Column, is_odd: Callable[[Any], object]) -> list[int]:
    return [at for at, value in enumerate(column) if is_odd(value)]


def _among(column: Column, odd: frozenset[Any]) -> Iterable[int]:
    return () if odd.isdisjoint(column) else _where(column, odd.__contains__)


def _outside(column: Column, first: int, last: int) -> Iterable[int]:
    if first <= min(column) and max(column) <= last:
        return ()
    return _where(column, lambda number: not first <= number <= last)


def _outside_if_given(column: Column, first: int, last: int) -> Iterable[int]:
    # It does not matter that zeros are left out as well: 0 is always inside.
    if first <= min(filter(None, column), default=0) and max(filter(None, column), default=0) <= last:
        return ()
    return _where(column, lambda number: number is not None and not first <= number <= last)


def _ill_texts(column: Column, characters_max: int) -> Iterable[int]:
    given = list(filter(None, column))
    if "".join(given).isprintable() and "" not in column and max(map(len, given), default=0) <= characters_max:
        return ()
    return _where(
        column, lambda text: text is not None and not (0 < len(text) <= characters_max and text.isprintable())
    )


def _unusual_envelopes(_: FeedScreen, columns: Columns) -> Iterator[int]:
    ids, deleted = columns["record_id"], columns["deleted"]
    if True in deleted:
        # A deleted record has only its envelope; the rules for one record see quickly that it has nothing else.
        yield from _where(deleted, bool)
    yield from _outside(columns["version"], 1, VERSION_MAX)
    yield from _outside(columns["changed_at"], FIRST_CHANGE_MS, LAST_CHANGE_MS)
    yield from _ill_texts(ids, RECORD_ID_CHARACTERS_MAX)
    if not "".join({text[:1] for text in ids}).isalpha():
        yield from _where(ids, lambda text: not is_plain_key(text))


def _unusual_values(screen: FeedScreen, columns: Columns) -> Iterator[int]:
    for name, allowed in screen.codes:
        odd = set(columns[name]) - allowed
        if odd:
            yield from _where(columns[name], odd.__contains__)
    for name in screen.days:
        yield from _outside_if_given(columns[name], FIRST_DAY, LAST_DAY)
    for name, limit in screen.amounts:
        yield from _outside_if_given(columns[name], 0, limit)


def _unusual_texts(screen: FeedScreen, columns: Columns) -> Iterator[int]:
    for name in screen.texts:
        yield from _ill_texts(columns[name], TEXT_CHARACTERS_MAX)
    for name, form in screen.forms:
        text, unusual = _lines(columns[name])
        yield from unusual
        yield from _unlike(form, text)


def _incomplete(screen: FeedScreen, columns: Columns) -> Iterator[int]:
    table = screen.table
    for name in table.required:
        yield from _absent(columns[name])
    for first, last in table.ordered:
        spans = enumerate(zip(columns[first], columns[last], strict=True))
        yield from [at for at, (start, end) in spans if end is not None and start is not None and end < start]
    if table.one_of:
        yield from _without_group(table.one_of, columns)
    if screen.has_passport and None in columns["nationality"]:
        passports = columns["passport_number"]
        yield from [at for at in _absent(columns["nationality"]) if passports[at] is not None]


def _absent(column: Column) -> Iterable[int]:
    return [at for at, value in enumerate(column) if value is None] if None in column else ()


def _without_group(groups: tuple[tuple[str, ...], ...], columns: Columns) -> Iterable[int]:
    without: Iterable[int] = {at for name in groups[0] for at in _absent(columns[name])}
    for group in groups[1:]:
        given = [columns[name] for name in group]
        without = [at for at in without if None in [column[at] for column in given]]
    return without


def _disagreeing(screen: FeedScreen, columns: Columns) -> Iterable[int]:
    if screen.agreement is None:
        return ()
    names, agrees = screen.agreement
    rows = list(zip(*[columns[name] for name in names], strict=True))
    odd = {row for row in set(rows) if not agrees(*row)}
    return _where(rows, odd.__contains__) if odd else ()


def _lines(column: Column) -> tuple[str, Iterable[int]]:
    """The texts, each on a line of its own, with an empty line for None; and the positions of unusual texts.

    Unusual is an empty text, and one that holds a line break or is not ASCII: its line is left empty.
    """
    unusual = _where(column, lambda text: text == "") if "" in column else []
    texts = [text or "" for text in column]
    lines = "\n".join((*texts, ""))
    if lines.isascii() and lines.count("\n") == len(texts):
        return lines, unusual
    for at in _where(texts, lambda text: "\n" in text or not text.isascii()):
        unusual.append(at)
        texts[at] = ""
    return "\n".join((*texts, "")), unusual


def _unlike(form: Form, lines: str) -> Iterator[int]:
    """Which lines are neither empty nor of this form."""
    start = line = 0
    while (end := form.match_lines(lines, start).end()) < len(lines):
        line += lines.count("\n", start, end)
        yield line
        line += 1
        start = lines.index("\n", end) + 1


def _split(column: Column, lines: str, normal: str) -> Column:
    return column if normal == lines else normal.split("\n")[:-1]


def _vanished(column: Column, normal: Column) -> Iterable[int]:
    """Where nothing remained of a text that was made of blanks and dashes."""
    if normal is column or normal.count("") == column.count(None):
        return ()
    return [at for at, number in enumerate(normal) if not number and column[at] is not None]


def _carriers(record_ids: Column, numbers: Mapping[str, Column]) -> Iterator[int]:
    keys = [record_id.upper() for record_id in record_ids]
    for name in PERSON_FIELDS:
        pairs = enumerate(zip(keys, numbers.get(name, ()), strict=False))
        yield from [at for at, (key, n) in pairs if n and n in key and len(n) >= CARRIED_CHARACTERS_MIN]
