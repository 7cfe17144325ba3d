"""What a mapping says: which column is which field, how dates and money are written, what makes the record id."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saphan_publishers.cells import Unit
from saphan_publishers.dates import CalendarFormat
from saphan_publishers.input_files import Encoding
from saphan_publishers.record_form import record_form
from saphan_publishers.text import clean

#: Cells that mean "nothing" unless the mapping names others.
EMPTY_CELLS = ("", "-")
#: Last days that a permit, a card, a contract or a stay has from its beginning: they may lie so long ahead.
_LAST_DAYS = frozenset({"valid_until", "end_date", "permitted_until"})
_YEARS_AHEAD_MAX = 10


class MappingError(ValueError):
    """A mapping file cannot be used. The text names the key, what was found and what was expected."""


@dataclass(frozen=True)
class IdRule:
    """What makes an id: names of columns, joined by "-" or hashed with the key, after a prefix.

    For a record's id they may be names of the mapping's fields as well, which come before columns of that name.
    ``hash_as`` is the topic within which hashes are the same: an employer's hash in doe.employments must equal the
    one in doe.employers.
    """

    parts: tuple[str, ...]
    hashed: bool
    prefix: str = ""
    hash_as: str = ""


@dataclass(frozen=True)
class FieldRule:
    """How one field is made from a row. Exactly one of ``columns``, ``constant`` and ``identity`` is given.

    ``pad`` fills a number with leading zeros up to so many digits: only a mapping may say that zeros are missing.
    """

    field: str
    columns: tuple[str, ...] = ()
    constant: str | None = None
    identity: IdRule | None = None
    values: Mapping[str, str] | None = None
    calendar: CalendarFormat | None = None
    unit: Unit | None = None
    empty: frozenset[str] = frozenset(EMPTY_CELLS)
    pad: int = 0


@dataclass(frozen=True)
class ColumnMapping:
    """A mapping file, checked against the feed's schema. ``text`` is the file itself: another text is another reading."""

    feed: str
    fields: tuple[FieldRule, ...]
    record_id: IdRule | None = None
    encoding: Encoding | None = None
    delimiter: str | None = None
    skip_lines: int = 0
    file_date: CalendarFormat | None = None
    ignore: frozenset[str] = frozenset()
    strict: bool = False
    text: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file must have, in the mapping's order."""
        named = [column for rule in self.fields for column in rule.columns]
        named += [part for rule in self.fields if rule.identity for part in rule.identity.parts]
        if self.record_id is not None:
            own = {rule.field for rule in self.fields}
            named += [part for part in self.record_id.parts if part not in own]
        return tuple(dict.fromkeys(named))

    @property
    def hashes(self) -> bool:
        """Whether an id is a hash with the pseudonym key."""
        return any(rule.hashed for rule in [self.record_id, *(rule.identity for rule in self.fields)] if rule)

    def near(self, year: int) -> "ColumnMapping":
        """The same mapping for data of this year: what a two-digit year may mean in each field."""

        def dated(rule: FieldRule) -> FieldRule:
            if rule.calendar is None or rule.field == "birth_date":
                return rule  # People are of any age; a birth that is still to come is found by the rules.
            years_after = _YEARS_AHEAD_MAX if rule.field in _LAST_DAYS else 1
            return replace(rule, calendar=rule.calendar.near(year, years_after))

        file_date = None if self.file_date is None else self.file_date.near(year)
        return replace(self, fields=tuple(map(dated, self.fields)), file_date=file_date)


def identity_mapping(feed: str) -> ColumnMapping:
    """The mapping of a file whose headers are the schema's own field names, with ISO dates and satang."""
    names = record_form(feed).kinds
    return ColumnMapping(feed, tuple(FieldRule(name, (heading(name),)) for name in names), strict=True)


def heading(text: str) -> str:
    """A header as it is compared: clean, single blanks, lower case."""
    return " ".join(clean(text).lower().split())
