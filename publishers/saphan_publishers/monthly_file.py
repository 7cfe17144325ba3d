"""Which contributions the SSO's fixed-width monthly file (สปส.1-10) holds, and whether its totals add up.

The widths are as a public payroll program writes the file; the SSO has NOT confirmed them to us. The file is
TIS-620, one byte a letter, so widths count letters and bytes alike. Years have two digits of the Buddhist era,
money is satang. A header "1" stands before the details "2" of its employer account; a file may hold several.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from saphan_projections.law import Law, contribution_terms, default_law, employee_contribution_satang
from saphan_publishers.dates import CalendarFormat
from saphan_publishers.input_files import CTRL_Z, Encoding, InputFile, LineDecoder
from saphan_publishers.monthly_layout import (
    DETAIL,
    DETAIL_CHARACTERS_MIN,
    HEADER,
    LINE_CHARACTERS,
    UNSTATED,
    is_header_of_another_type,
    is_utf8_header,
    layout_problem,
    without_totals,
)
from saphan_publishers.record_form import record_form
from saphan_publishers.record_ids import KeyedHash
from saphan_publishers.rows import FileNote, FileProblem, Row, Unreadable, row_error, row_warning
from saphan_publishers.text import clean_code
from saphan_schemas.rules import Problem
from saphan_schemas.topics import CONTRIBUTIONS
from saphan_schemas.values import bangkok_day, date_to_days, days_to_date

_PAY_DATE = CalendarFormat("DDMMYY", "BE")
_PERIOD = CalendarFormat("MMYY", "BE")
_ONE_BAHT_SATANG = 100


@dataclass(slots=True)
class _Section:
    """One header, and the sums over the details read under it so far, rejected ones included.

    ``preamble`` is the header under which rejected rows are kept, ``others`` counts lines that are no details.
    """

    line: int
    preamble: bytes
    record: dict[str, Any]
    problems: list[Problem]
    rate_bp: int | None
    stated: dict[str, int | None]
    count: int = 0
    others: int = 0
    wages: int = 0
    amounts: int = 0
    whole: bool = True

    @property
    def details(self) -> int:
        """How many details there are; a line of another kind is a damaged one where the header counts it."""
        return min(max(self.stated["count"] or 0, self.count), self.count + self.others)


class MonthlyFile:
    """A monthly file as it is read. ``as_of_ms`` is when the file was made or first seen: its version."""

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
        self._missing_details = 0
        self._section: _Section | None = None
        self._first_problem: FileProblem | None = None
        self._has_begun = False
        self._form = record_form(CONTRIBUTIONS)
        year = days_to_date(bangkok_day(as_of_ms)).year
        self._pay_date, self._period = _PAY_DATE.near(year), _PERIOD.near(year)

    def rows(self) -> Iterator[Row | FileNote]:
        """Each detail as a row, and a note for each total that does not add up.

        A header that cannot be read is a rejected row, and so is each line under it: the next employers are read all
        the same. Raises FileProblem where there is no header at all, and where details are missing.
        """
        for number, raw in self._lines:
            if raw.rstrip(b"\r\n").rstrip(CTRL_Z).strip():
                yield from self._line(number, raw)
        yield from self._ended()
        if not self._has_begun:
            no_header = FileProblem("no_header", "an empty file", "a header line that begins with 1", "Check the file.")
            raise self._first_problem or no_header
        if self._missing_details:
            found = f"{self._missing_details} details fewer than the headers say"
            todo = "The file may be cut off: get the whole file and publish it; what was published is not doubled."
            raise FileProblem("details_missing", found, "as many details as each header counts", todo)

    def _line(self, number: int, raw: bytes) -> Iterator[Row | FileNote]:
        if self._section is not None and raw[:1] != b"1":
            text = self._text(raw)
            yield self._detail(number, raw, text, self._section)
            if is_header_of_another_type(text or ""):
                # The lines under it are another employer's.
                yield from self._ended()
            return
        yield from self._ended()
        self._section = section = self._read_header(number, raw)
        if section is not None:
            self._has_begun = True
            for problem in section.problems:
                yield FileNote(number, problem)
            return
        if not self._has_begun:
            self._first_problem = self._first_problem or self._no_header(number, raw)
            if self._first_problem.code == "encoding" or raw[:1] not in b"12":
                raise self._first_problem
        yield self._under_no_header(number, raw)

    def _ended(self) -> Iterator[FileNote]:
        section, self._section = self._section, None
        if section is not None:
            self._missing_details += max((section.stated["count"] or 0) - section.details, 0)
            yield from _total_notes(section)

    def _under_no_header(self, number: int, raw: bytes) -> Row:
        text = self._text(raw)
        if text is None:
            problem = self._not_text(raw)
        elif raw[:1] == b"1":
            expected = f"a header of {LINE_CHARACTERS} characters; none of the lines under it can be read without it"
            problem = row_error("unknown_header", "", f"{len(text)} characters", expected)
        else:
            problem = row_error("header_missing", "", "nothing", "a header above this line that can be read")
        # The header comes first in the file of rejected rows, as a row of its own.
        return Row(number, raw, None, [problem], repeatable=False)

    def _text(self, raw: bytes) -> str | None:
        """The line's text, None when its bytes are not of the file's encoding.

        Letters of no meaning are marked where each is one byte: only names have any, and names are not read. In UTF-8
        nobody knows how many letters the damaged bytes were, so no column behind them has a place.
        """
        text = self._decoder.text(raw)
        if text is None and self._decoder.encoding == "cp874":
            text = raw.rstrip(b"\r\n").rstrip(CTRL_Z).decode(self._decoder.encoding, "replace")
        return text

    def _not_text(self, raw: bytes) -> Problem:
        found = raw.rstrip(b"\r\n").decode("utf-8", "replace")
        return row_error("encoding", "", found, f"text in {self._decoder.encoding} as in the rest of the file")

    def _read_header(self, number: int, raw: bytes) -> _Section | None:
        text = self._text(raw)
        if text is None or text[:1] != "1" or len(text) < LINE_CHARACTERS or text[LINE_CHARACTERS:].strip():
            return None
        parts = {name: clean_code(text[place.start : place.end]) for name, place in HEADER.items()}
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
            if value is None and set(parts[name]) != {UNSTATED}:
                problems.append(row_warning("header_total_unreadable", name, parts[name], "digits only"))
        rate_bp = _number(parts["rate"])
        if rate_bp is None:
            problems.append(row_warning("header_rate_unreadable", "rate", parts["rate"], "four digits, 0500 is 5 %"))
        problems += self._rate_problems(rate_bp, record["month"])
        preamble = without_totals(raw, text, self._decoder.encoding)
        return _Section(number, preamble, record, problems, rate_bp, stated)

    def _no_header(self, number: int, raw: bytes) -> FileProblem:
        text = self._decoder.text(raw)
        expected = (
            f"a header: 1, then {LINE_CHARACTERS - 1} characters in TIS-620 (account 10, branch 6, pay date DDMMYY, …)"
        )
        if is_utf8_header(raw) and self._decoder.encoding != "utf-8":
            todo = "Give --encoding utf-8, or save the file as TIS-620 and publish it again."
            return FileProblem("encoding", f"a header in UTF-8 (line {number})", expected, todo)
        found = "bytes that are not text" if text is None else f"{len(text)} characters that begin with {text[:1]!r}"
        todo = "Check that this is the monthly contribution file; its layout is in publishers/README.md."
        return FileProblem("unknown_header", f"{found} in line {number}", expected, todo)

    def _detail(self, number: int, raw: bytes, text: str | None, section: _Section) -> Row:
        if raw[:1] == b"2":
            section.count += 1
        else:
            section.others += 1
        problem = layout_problem(text) if text is not None else None
        if text is None or problem is not None:
            section.whole = False
            if problem is None or self._decoder.text(raw) is None:
                problem = self._not_text(raw)
            return Row(number, raw, None, [problem], section.preamble, repeatable=False)
        text = text.ljust(DETAIL_CHARACTERS_MIN)
        parts = {name: clean_code(text[place.start : place.end]) for name, place in DETAIL.items()}
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
        return Row(number, raw, record, problems, section.preamble, repeatable=False)

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


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _total_notes(section: _Section) -> Iterator[FileNote]:
    """What the header says against what its details sum up to."""
    stated = section.stated
    pairs: list[tuple[str, int | None, int]] = [("count", stated["count"], section.details)]
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
