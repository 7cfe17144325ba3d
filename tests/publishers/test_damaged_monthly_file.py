"""Monthly files with lines that are cut off, garbled or of another kind: the other employers' rows go out."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from publishers.test_monthly_file import AS_OF, TWO, Filing, Insured, PublishFiles, number, told

from saphan_publishers.input_files import ENCODINGS
from saphan_schemas.topics import CONTRIBUTIONS

OTHER = replace(TWO, account="7100099999")
THIRD = replace(TWO, account="7100088888")


@pytest.fixture
def publish(publish_files: PublishFiles, tmp_path: Path) -> Callable[..., Any]:
    def publish_bytes(*lines: str | bytes, **options: Any) -> Any:
        path = tmp_path / "sso-11-2569.txt"
        path.write_bytes(b"\r\n".join(line if isinstance(line, bytes) else line.encode("tis_620") for line in lines))
        return publish_files(CONTRIBUTIONS, path, as_of=AS_OF, **options)

    return publish_bytes


def accounts(broker: Any) -> list[str]:
    return [row["sso_account"] for row in broker.records(CONTRIBUTIONS)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_header_that_cannot_be_read_costs_its_own_rows_and_no_other_employers(
    publish: Callable[..., Any], broker: Any, tmp_path: Path, place: int
) -> None:
    filings = [filing.lines() for filing in (TWO, OTHER, THIRD)]
    filings[place][0] = filings[place][0][:100]
    outcome = publish(*chain(*filings), format="monthly")
    assert (outcome.rows, outcome.published, outcome.rejected, outcome.failed) == (7, 4, 3, False)
    others = [filing.account for at, filing in enumerate((TWO, OTHER, THIRD)) if at != place]
    assert accounts(broker) == [account for account in others for _ in range(2)]
    line = 1 + 3 * place
    assert told(tmp_path) == [
        (line, "", "unknown_header"),
        (line + 1, "", "header_missing"),
        (line + 2, "", "header_missing"),
    ]
    kept = (tmp_path / "report.rejected" / "sso-11-2569.txt").read_bytes().decode("tis_620")
    assert kept.splitlines() == filings[place]


@pytest.mark.parametrize("line", [0, 1])
def test_a_letter_of_no_meaning_in_a_name_does_not_matter_for_names_are_not_read(
    publish: Callable[..., Any], line: int
) -> None:
    lines = [text.encode("tis_620") for text in TWO.lines()]
    lines[line] = lines[line][:40] + b"\xff" + lines[line][41:]
    outcome = publish(*lines, format="monthly")
    assert (outcome.published, outcome.report) == (2, None)


def test_a_file_that_lacks_details_is_not_read_to_its_end(
    publish: Callable[..., Any], broker: Any, tmp_path: Path
) -> None:
    outcome = publish(*TWO.lines(), *OTHER.lines()[:-1], heartbeat_ms=AS_OF)
    assert (outcome.published, outcome.failed) == (3, True)
    assert "1 details fewer" in str(outcome.files[0].failure)
    assert outcome.withheld == [CONTRIBUTIONS]
    assert (4, "count", "header_total_mismatch") in told(tmp_path)


def test_a_detail_whose_type_is_garbled_is_a_bad_row_of_a_whole_file(
    publish: Callable[..., Any], tmp_path: Path
) -> None:
    lines = TWO.lines()
    outcome = publish(lines[0], lines[1], "3" + lines[2][1:])
    assert (outcome.published, outcome.rejected, outcome.failed) == (1, 1, False)
    assert told(tmp_path) == [(3, "", "record_type"), (1, "wages", "header_totals_not_compared")]


def test_details_under_a_header_whose_type_is_garbled_are_not_the_employers_before_it(
    publish: Callable[..., Any], broker: Any, tmp_path: Path
) -> None:
    header, *details = OTHER.lines()
    outcome = publish(*TWO.lines(), "3" + header[1:], *details, *THIRD.lines())
    assert (outcome.published, outcome.rejected, outcome.failed) == (4, 3, False)
    assert accounts(broker) == [TWO.account] * 2 + [THIRD.account] * 2
    assert told(tmp_path)[::2] == [(4, "", "record_type"), (5, "", "header_missing")]


@pytest.mark.parametrize("encoding", ["tis-620", "utf-8"])
def test_corrected_rows_are_published_with_the_same_options_and_make_the_feed_complete(
    publish: Callable[..., Any], publish_files: PublishFiles, broker: Any, tmp_path: Path, encoding: str
) -> None:
    options = {"encoding": ENCODINGS[encoding], "heartbeat_ms": AS_OF}
    lines = [line.encode(encoding) for filing in (TWO, OTHER) for line in filing.lines()]
    lines[1], lines[5] = b"3" + lines[1][1:], lines[5][:60]
    outcome = publish(*lines, **options)
    assert (outcome.published, outcome.rejected, outcome.withheld) == (2, 2, [CONTRIBUTIONS])
    kept = tmp_path / "report.rejected" / "sso-11-2569.txt"
    corrected = kept.read_bytes().replace(b"\n3", b"\n2").splitlines()
    assert (len(corrected), corrected[3]) == (4, lines[5])
    kept.write_bytes(b"\r\n".join([*corrected[:3], OTHER.lines()[2].encode(encoding)]))
    (tmp_path / "report.jsonl").unlink()
    outcome = publish_files(CONTRIBUTIONS, kept, as_of=AS_OF, **options)
    assert (outcome.published, outcome.failed, outcome.withheld, outcome.report) == (2, False, [], None)
    assert len(outcome.heartbeats) == 1
    assert sorted(accounts(broker)) == sorted([TWO.account, OTHER.account] * 2)


def test_a_line_of_another_kind_is_no_detail(publish: Callable[..., Any], tmp_path: Path) -> None:
    outcome = publish(*TWO.lines(), "9" + "0" * 134)
    assert (outcome.published, outcome.rejected, outcome.failed) == (2, 1, False)
    assert (4, "", "record_type") in told(tmp_path)
    assert (1, "count", "header_total_mismatch") not in told(tmp_path)


def test_a_monthly_file_in_utf8_is_seen_as_one_and_told_to_be_tis620(publish: Callable[..., Any]) -> None:
    outcome = publish(*(line.encode("utf-8") for line in TWO.lines()))
    assert "TIS-620" in str(outcome.files[0].failure)
    assert "mapping" not in str(outcome.files[0].failure)
    filing = Filing((Insured(number(1)),))
    assert publish(*(line.encode("utf-8") for line in filing.lines()), encoding="utf-8").published == 1


def test_a_damaged_letter_in_utf8_moves_no_wage_but_rejects_its_line(
    publish: Callable[..., Any], broker: Any, tmp_path: Path
) -> None:
    lines = [line.encode("utf-8") for line in replace(TWO, insured=(Insured(number(1), "ธิดา"), TWO.insured[1])).lines()]
    lines[1] = lines[1].replace("ธ".encode(), b"\xe0\xff\xfe")
    outcome = publish(*lines, format="monthly", encoding="utf-8")
    assert (outcome.published, outcome.rejected, outcome.failed) == (1, 1, False)
    assert {row["wage_satang"] for row in broker.records(CONTRIBUTIONS)} == {915_200}
    assert (2, "", "encoding") in told(tmp_path)


def test_a_damaged_letter_in_a_header_in_utf8_rejects_it_with_its_lines(
    publish: Callable[..., Any], broker: Any, tmp_path: Path
) -> None:
    lines = [line.encode("utf-8") for filing in (TWO, OTHER) for line in filing.lines()]
    lines[0] = lines[0].replace("น้ำตาล".encode(), b"\xe0\xff" + "น้ำตาล".encode())
    outcome = publish(*lines, format="monthly", encoding="utf-8")
    assert (outcome.published, outcome.rejected) == (2, 3)
    assert accounts(broker) == [OTHER.account] * 2
    assert told(tmp_path) == [(1, "", "encoding"), (2, "", "header_missing"), (3, "", "header_missing")]


@pytest.mark.parametrize("name", ["ดี" + " " * 32, "ดี" + " " * 34, "ดีดี".encode().decode("cp874") + " " * 31])
def test_a_name_that_is_too_long_or_too_short_moves_no_wage(
    publish: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    lines = TWO.lines()
    lines[1] = lines[1][:47] + name + lines[1][82:]
    assert publish(lines[0], lines[1].encode("cp874"), lines[2], format="monthly").published == 1
    assert (2, "amount_satang", "layout_shifted") in told(tmp_path)
