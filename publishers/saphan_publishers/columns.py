"""Which record a row of cells is: each field from its columns, the id and the version from what the mapping says."""

from collections.abc import Callable, Sequence
from typing import Any

from saphan_publishers.cells import code, plain_number, satang, truth, whole_number
from saphan_publishers.dates import iso_day, iso_time_ms
from saphan_publishers.mapping import ColumnMapping, FieldRule, IdRule, heading
from saphan_publishers.record_form import record_form
from saphan_publishers.record_ids import KeyedHash
from saphan_publishers.rows import Unreadable, row_error
from saphan_publishers.text import clean_code, clean_name
from saphan_schemas.rules import Problem

_Cells = Sequence[str]


class RowMaker:
    """Makes records (wire form) of rows with these ``headers``.

    Without a column for the version, the version is ``changed_at`` in milliseconds; without one for ``changed_at``
    that is ``as_of_ms``. ``repeatable`` is False when both come from the file: then two rows with one record id would
    be two contents of one version.
    """

    def __init__(
        self,
        mapping: ColumnMapping,
        fields: Sequence[FieldRule],
        headers: Sequence[str],
        hashed: KeyedHash,
        as_of_ms: int,
    ) -> None:
        self._form = record_form(mapping.feed)
        self._at = {name: position for position, name in enumerate(headers)}
        self._fields = [(rule, [self._at[name] for name in rule.columns], self._meaning(rule)) for rule in fields]
        self._record_id = mapping.record_id
        self._hashed = hashed
        self._as_of_ms = as_of_ms
        self._named = {rule.field for rule in fields}
        self._has_changed_at = "changed_at" in self._named
        self._has_version = "version" in self._named
        self.repeatable = self._has_changed_at or self._has_version

    def record(self, cells: _Cells) -> tuple[dict[str, Any], list[Problem]]:
        """The record of one row and what is wrong with its cells; a field with a problem is None."""
        record = self._form.empty()
        problems: list[Problem] = []
        for rule, positions, meaning in self._fields:
            try:
                if rule.identity is not None:
                    record[rule.field] = self._identity(rule.identity, cells)
                else:
                    record[rule.field] = self._value(rule, positions, meaning, cells)
            except Unreadable as refused:
                record[rule.field] = None
                found = " ".join(cells[position].strip() for position in positions)
                problems.append(row_error(refused.code, rule.field, found, refused.expected))
        self._add_identity(record, cells, problems)
        self._add_version(record, problems)
        if record.get("deleted") is None:
            record["deleted"] = False
        return record, problems

    def _value(self, rule: FieldRule, positions: Sequence[int], meaning: Callable[[str], Any], cells: _Cells) -> Any:
        if rule.constant is not None:
            return meaning(rule.constant)
        parts = [text for text in (clean_code(cells[position]) for position in positions) if text not in rule.empty]
        if not parts:
            return None
        text = " ".join(parts)
        if rule.values is not None:
            mapped = rule.values.get(heading(text))
            if mapped is None and text not in rule.values.values():
                raise Unreadable("value_not_mapped", f"one of {', '.join(rule.values)} (the mapping's values)")
            text = text if mapped is None else mapped
        return meaning(text) if text else None

    def _meaning(self, rule: FieldRule) -> Callable[[str], Any]:
        """How this field's text becomes its value."""
        kind, calendar, field = self._form.kinds[rule.field], rule.calendar, rule.field
        if field in self._form.names:
            return lambda text: clean_name(text) or None
        if calendar is not None:
            return {"date": calendar.day, "timestamp-millis": calendar.time_ms}.get(kind, calendar.month)
        if rule.unit is not None:
            unit = rule.unit
            return lambda text: satang(text, unit)
        plain: dict[str, Callable[[str], Any]] = {
            "date": iso_day,
            "timestamp-millis": iso_time_ms,
            "boolean": truth,
            "int": whole_number,
            "long": whole_number,
        }
        return plain.get(kind) or (lambda text: code(field, text, rule.pad))

    def _identity(self, rule: IdRule, cells: _Cells, record: dict[str, Any] | None = None) -> str | None:
        """The id that these columns make; where there is a ``record``, the fields in it that the mapping fills."""
        parts = []
        for name in rule.parts:
            # A column may have the name of a field that the mapping does not fill: the id's own, for one.
            value = record[name] if record is not None and name in self._named else clean_code(cells[self._at[name]])
            if value is None or value in {"", "-"}:
                return None
            # A number with and without dashes is one number, also in another feed's file.
            parts.append(plain_number(str(value)) if rule.hashed else str(value))
        return rule.prefix + (self._hashed(rule.hash_as, parts) if rule.hashed else "-".join(parts))

    def _add_identity(self, record: dict[str, Any], cells: _Cells, problems: list[Problem]) -> None:
        if self._record_id is not None:
            record["record_id"] = self._identity(self._record_id, cells, record)
        if record["record_id"] is None and not any(problem.field == "record_id" for problem in problems):
            parts = self._record_id.parts if self._record_id else ("record_id",)
            bad = {problem.field for problem in problems}
            if not bad.intersection(parts):
                problems.append(row_error("missing", "record_id", "nothing", f"a value in {', '.join(parts)}"))

    def _add_version(self, record: dict[str, Any], problems: list[Problem]) -> None:
        if not self._has_changed_at:
            record["changed_at"] = self._as_of_ms
        if not self._has_version:
            record["version"] = record["changed_at"]
        told = {problem.field for problem in problems}
        for field, has_column in (("changed_at", self._has_changed_at), ("version", self._has_version)):
            if has_column and record[field] is None and field not in told:
                problems.append(row_error("missing", field, "nothing", "a value: the mapping names a column for it"))
