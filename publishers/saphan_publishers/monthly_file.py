"""Which contributions the SSO's fixed-width monthly file (สปส.1-10) holds, and whether its totals add up.

The widths are as a public payroll program writes the file; the SSO has NOT confirmed them to us. The file is
TIS-620, one byte a letter, so widths count letters and bytes alike. Years have two digits of the Buddhist era,
money is satang. A header "1" stands before the details "2" of its employer account; a file may hold several.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from saphan_projections.law import Law, contribution_terms, default_law, employee_contribution_satang
from saphan_publishers.dates import CalendarFormat
from saphan_publishers.input_files import CTRL_Z, Encoding, InputFile, LineDecoder
from saphan_publishers.record_form import record_form
from saphan_publishers.record_ids import KeyedHash
from saphan_publishers.rows import FileNote, FileProblem, Row, Unreadable, row_error, row_warning
from saphan_publishers.text import clean_code
from saphan_schemas.rules import Problem
from saphan_schemas.topics import CONTRIBUTIONS
from saphan_schemas.values import bangkok_day, date_to_days, days_to_date

LINE_CHARACTERS = 135
#: A sender may cut trailing blanks off: a detail ends with 27 of them.
_DETAIL_CHARACTERS_MIN = 108
_PAY_DATE = CalendarFormat("DDMMYY", "BE")
_PERIOD = CalendarFormat("MMYY", "BE")
_ONE_BAHT_SATANG = 100


class _Slice(NamedTuple):
    start: int
    end: int


def _slices(*widths: tuple[str, int]) -> dict[str, _Slice]:
    found, start = {}, 1  # character 0 is the record type
    for name, width in widths:
        found[name] = _Slice(start, start + width)
        start += width
    return found


_HEADER = _slices(
    ("account", 10), ("branch", 6), ("pay_date", 6), ("period", 4), ("company", 45), ("rate", 4), ("count", 6),
    ("wages", 15), ("contributions", 14), ("employees", 12), ("employers", 12),
)  # fmt: skip
_DETAIL = _slices(("number", 13), ("title", 3), ("first_name", 30), ("last_name", 35), ("wage", 14), ("amount", 12))


@dataclass(slots=True)
class _Section:
    """One header, and the sums over the details read under it so far, rejected ones included."""

    line: int
    raw: bytes
    record: dict[str, Any]
    problems: list[Problem]
    rate_bp: int | None
    stated: dict[str, int | None]
    count: int = 0
    wages: int = 0
    amounts: int = 0
    whole: bool = True


def looks_like_monthly_file(sample: bytes) -> bool:
    """Whether a file begins with a header line of this layout."""
    first = sample.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r\n")
    return first[:27].isdigit() and first[:1] == b"1" and first[72:].isdigit() and len(first) >= LINE_CHARACTERS


class MonthlyFile:
    """A monthly file on its way through. ``as_of_ms`` is when the file was made or first seen: its version."""

    def __init__(
        self,
        source: InputFile,
        hashed: KeyedHash,
        as_of_ms: int,
        encoding: Encoding | None = None,
        law: Law | None = None,
    ) -> None:
        self._lines = source.lines()
        self._decoder = LineDecoder(encoding or "cp874", source)
        self._hashed = hashed
        self._as_of_ms = as_of_ms
        self._law = law or default_law()
        self._form = record_form(CONTRIBUTIONS)
        year = days_to_date(bangkok_day(as_of_ms)).year
        self._pay_date, self._period = _PAY_DATE.near(year), _PERIOD.near(year)

    def rows(self) -> Iterator[Row | FileNote]:
        """Each detail as a row, and a note for each total that does not add up. Raises FileProblem."""
        section: _Section | None = None
        for number, raw in self._lines:
            body = raw.rstrip(b"\r\n").rstrip(CTRL_Z)
            if not body.strip():
                continue
            text = self._decoder.text(raw)
            if section is None or body[:1] == b"1":
                if section is not None:
                    yield from _total_notes(section)
                section = self._section(number, raw, text)
                for problem in section.problems:
                    yield FileNote(number, problem)
                continue
            yield self._detail(number, raw, text, section)
        if section is None:
            raise FileProblem("no_header", "an empty file", "a header line that begins with 1", "Check the file.")
        yield from _total_notes(section)

    def _section(self, number: int, raw: bytes, text: str | None) -> _Section:
        if text is None or text[:1] != "1" or len(text) < LINE_CHARACTERS:
            raise self._no_header(number, raw, text)
        if len(text) > LINE_CHARACTERS and text[LINE_CHARACTERS:].strip():
            raise self._no_header(number, raw, text)
        parts = {name: clean_code(text[place.start : place.end]) for name, place in _HEADER.items()}
        problems: list[Problem] = []
        record = self._form.empty()
        record.update(sso_account=parts["account"], sso_branch=parts["branch"])
        for field, part, read in (("paid_on", "pay_date", self._pay_date.day), ("month", "period", self._period.month)):
            try:
                record[field] = read(parts[part])
            except Unreadable as refused:
                problems.append(row_error(refused.code, field, parts[part], refused.expected))
        stated = {name: _number(parts[name]) for name in ("count", "wages", "contributions", "employees", "employers")}
        for name, value in stated.items():
            if value is None:
                problems.append(row_warning("header_total_unreadable", name, parts[name], "digits only"))
        rate_bp = _number(parts["rate"])
        if rate_bp is None:
            problems.append(row_warning("header_rate_unreadable", "rate", parts["rate"], "four digits, 0500 is 5 %"))
        problems += self._rate_problems(rate_bp, record["month"])
        return _Section(number, raw, record, problems, rate_bp, stated)

    def _no_header(self, number: int, raw: bytes, text: str | None) -> FileProblem:
        expected = (
            f"a header: 1, then {LINE_CHARACTERS - 1} characters in TIS-620 (account 10, branch 6, pay date DDMMYY, …)"
        )
        try:
            as_utf8 = raw.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError:
            as_utf8 = ""
        if not as_utf8.isascii() and len(as_utf8) == LINE_CHARACTERS and self._decoder.encoding != "utf-8":
            todo = "Give --encoding utf-8, or save the file as TIS-620 and publish it again."
            return FileProblem("encoding", f"a header in UTF-8 (line {number})", expected, todo)
        found = "bytes that are not text" if text is None else f"{len(text)} characters that begin with {text[:1]!r}"
        todo = "Check that this is the monthly contribution file; its layout is in publishers/README.md."
        return FileProblem("unknown_header", f"{found} in line {number}", expected, todo)

    def _detail(self, number: int, raw: bytes, text: str | None, section: _Section) -> Row:
        section.count += 1
        problem = _layout_problem(text, raw, self._decoder.encoding or "")
        if problem is not None or text is None:
            section.whole = False
            return Row(number, raw, None, [problem] if problem else [], section.raw, repeatable=False)
        text = text.ljust(_DETAIL_CHARACTERS_MIN)
        parts = {name: clean_code(text[place.start : place.end]) for name, place in _DETAIL.items()}
        record = dict(section.record)
        # What is wrong with the header is wrong with each row under it: none has a month or a day without it.
        problems = [problem for problem in section.problems if problem.severity == "error"]
        record["insured_number"] = parts["number"] or None
        for field, part in (("wage_satang", "wage"), ("amount_satang", "amount")):
            record[field] = _number(parts[part])
            if record[field] is None:
                section.whole = False
                problems.append(
                    row_error("money_unreadable", field, parts[part], "satang in digits, 2 decimals implied")
                )
        section.wages += record["wage_satang"] or 0
        section.amounts += record["amount_satang"] or 0
        if not parts["number"]:
            problems.append(row_error("missing", "insured_number", "nothing", "13 digits"))
        record["record_id"] = self._record_id(record)
        record["changed_at"] = record["version"] = self._as_of_ms
        problems += self._amount_problems(record, section.rate_bp)
        return Row(number, raw, record, problems, section.raw, repeatable=False)

    def _record_id(self, record: dict[str, Any]) -> str | None:
        parts = [record[name] for name in ("insured_number", "sso_account", "sso_branch", "month")]
        return None if None in parts else "C-" + self._hashed(CONTRIBUTIONS, parts)

    def _terms(self, month: str | None) -> Any:
        if month is None:
            return None
        return contribution_terms(date_to_days(date(int(month[:4]), int(month[5:]), 1)), self._law)

    def _rate_problems(self, rate_bp: int | None, month: str | None) -> list[Problem]:
        terms = self._terms(month)
        if terms is None or rate_bp is None or rate_bp == terms.employee_rate_bp:
            return []
        expected = f"{terms.employee_rate_bp:04} for {month} (law table, {terms.rule_versions[0]})"
        return [row_warning("rate_not_in_law_table", "rate", f"{rate_bp:04}", expected)]

    def _amount_problems(self, record: dict[str, Any], rate_bp: int | None) -> list[Problem]:
        """A warning when the contribution is not the file's own rate on the wage between floor and ceiling."""
        terms = self._terms(record["month"])
        wage, amount = record["wage_satang"], record["amount_satang"]
        if terms is None or wage is None or amount is None:
            return []
        if rate_bp is not None:
            terms = terms._replace(employee_rate_bp=rate_bp)
        due = employee_contribution_satang(wage, terms)
        # Whether the SSO rounds to a whole baht is unconfirmed: less than a baht off is no difference.
        if abs(amount - due) < _ONE_BAHT_SATANG:
            return []
        expected = (
            f"{due} satang: {terms.employee_rate_bp / 100:g} % of the wage between {terms.floor_satang} and "
            f"{terms.ceiling_satang} ({terms.rule_versions[1]}{'' if terms.confirmed else ', unconfirmed'})"
        )
        return [row_warning("contribution_mismatch", "amount_satang", f"{amount} on a wage of {wage}", expected)]


def _layout_problem(text: str | None, raw: bytes, encoding: str) -> Problem | None:
    if text is None:
        found = raw.rstrip(b"\r\n").decode("utf-8", "replace")
        return row_error("encoding", "", found, f"text in {encoding} as in the rest of the file")
    if text[:1] != "2":
        return row_error("record_type", "", text, "a detail line that begins with 2, or a header with 1")
    if len(text) < _DETAIL_CHARACTERS_MIN or text[LINE_CHARACTERS:].strip():
        expected = (
            f"{LINE_CHARACTERS} characters (at least {_DETAIL_CHARACTERS_MIN} where trailing blanks were cut off)"
        )
        return row_error("line_length", "", f"{len(text)} characters", expected)
    title = text[_DETAIL["title"].start : _DETAIL["title"].end]
    if not title.isdigit():
        expected = "three digits in columns 15-17, such as 003; other columns may have moved too"
        return row_error("layout_shifted", "title", title, expected)
    return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _total_notes(section: _Section) -> Iterator[FileNote]:
    """What the header says against what its details sum up to."""
    stated = section.stated
    pairs: list[tuple[str, int | None, int]] = [("count", stated["count"], section.count)]
    if section.whole:
        pairs += [("wages", stated["wages"], section.wages), ("employees", stated["employees"], section.amounts)]
    elif stated["wages"] is not None:
        expected = "each detail readable; the sums of wages and contributions were not compared"
        yield FileNote(section.line, row_warning("header_totals_not_compared", "wages", "unreadable details", expected))
    shares = (stated["employees"], stated["employers"])
    if shares[0] is not None and shares[1] is not None:
        pairs.append(("contributions", stated["contributions"], shares[0] + shares[1]))
    for name, said, found in pairs:
        if said is not None and said != found:
            expected = f"{found}, which the file's details (for contributions: both shares) add up to"
            yield FileNote(section.line, row_warning("header_total_mismatch", name, said, expected))
