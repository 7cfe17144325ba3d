"""That a report never costs a row: not the input's, not an earlier report's, not another file's; and who may read it."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from publishers.employer_pairs import pair
from typer.testing import CliRunner, Result

from saphan_cli.commands import publish
from saphan_publishers.reports import Report
from saphan_publishers.rows import Row, row_warning
from saphan_publishers.written_aside import WrittenAside
from saphan_schemas.topics import EMPLOYER_PAIRS

Saphan = Callable[..., Result]
#: More than a reader takes at once.
MANY = 8_000


def bad(number: int) -> dict[str, Any]:
    return pair(number, sso_branch="0")


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def ids(path: Path) -> list[str]:
    return [json.loads(line)["record_id"] for line in path.read_bytes().splitlines()]


@pytest.fixture
def saphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saphan:
    """`saphan publish EMPLOYER_PAIRS … --dry-run` with settings of its own."""
    for name in [name for name in os.environ if name.startswith("SAPHAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(lambda: None)
    publish.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["publish", EMPLOYER_PAIRS, *map(str, arguments), "--dry-run"])


def test_corrected_rows_are_all_read_although_the_report_is_the_one_that_rejected_them(
    saphan: Saphan, tmp_path: Path
) -> None:
    report = tmp_path / "r" / "big.jsonl"
    write(tmp_path / "big.jsonl", *map(bad, range(MANY)))
    assert saphan(tmp_path / "big.jsonl", "--report", report).exit_code == 4
    kept = tmp_path / "r" / "big.rejected" / "big.jsonl"
    assert len(ids(kept)) == MANY
    # Corrected, all but the first.
    write(kept, bad(0), *map(pair, range(1, MANY)))
    assert kept.stat().st_size > 1 << 20
    before = kept.read_bytes()
    result = saphan(kept, "--report", report, "--json")
    assert result.exit_code == 4
    assert (json.loads(result.stdout)["rows"], json.loads(result.stdout)["rejected"]) == (MANY, 1)
    assert kept.read_bytes() == before, "it is published again if Kafka was away"
    assert ids(kept.with_name("2-big.jsonl")) == ["PAIR-0"]


@pytest.mark.parametrize("given", ["in.jsonl", "./in.jsonl", "link.jsonl", "in.x"])
def test_a_report_or_summary_in_the_place_of_an_input_is_refused_and_the_input_stays(
    saphan: Saphan, tmp_path: Path, given: str
) -> None:
    source = write(tmp_path / "in.jsonl", bad(1))
    summary = write(tmp_path / "in.summary.txt", bad(1))
    (tmp_path / "link.jsonl").symlink_to(source)
    before = source.read_bytes()
    result = saphan(source, summary, "--report", given)
    assert result.exit_code == 2
    assert "to be published" in result.stderr
    assert (source.read_bytes(), summary.read_bytes()) == (before, before)


def test_the_last_report_stays_whole_until_the_next_one_is(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"earlier\n")
    file = WrittenAside(path)
    file.write(b"later\n")
    assert path.read_bytes() == b"earlier\n"
    file.close()
    assert path.read_bytes() == b"later\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_behind_a_link_leaves_the_link(tmp_path: Path) -> None:
    (tmp_path / "newest.jsonl").symlink_to(tmp_path / "r.jsonl")
    WrittenAside(tmp_path / "newest.jsonl").close()
    assert (tmp_path / "newest.jsonl").is_symlink()
    assert (tmp_path / "r.jsonl").read_bytes() == b""


def test_rejected_rows_of_files_of_one_name_are_all_kept(saphan: Saphan, tmp_path: Path) -> None:
    names = ["a/x.jsonl", "b/2-x.jsonl", "c/x.jsonl", "d/2-x.jsonl"]
    files = [write(tmp_path / name, bad(number)) for number, name in enumerate(names)]
    assert saphan(*files, "--report", tmp_path / "r.jsonl").exit_code == 4
    kept = {path.name: ids(path) for path in (tmp_path / "r.rejected").iterdir()}
    assert kept == {"x.jsonl": ["PAIR-0"], "2-x.jsonl": ["PAIR-1"], "3-x.jsonl": ["PAIR-2"], "2-2-x.jsonl": ["PAIR-3"]}


@pytest.mark.parametrize(
    ("report", "said"),
    [("there", "Is a directory"), ("in.jsonl/below/r.jsonl", "Not a directory"), ("/proc/none/r.jsonl", "/proc/none")],
)
def test_a_report_that_cannot_be_made_exits_2_and_says_so(
    saphan: Saphan, tmp_path: Path, report: str, said: str
) -> None:
    (tmp_path / "there").mkdir()
    result = saphan(write(tmp_path / "in.jsonl", pair(1)), "--report", report)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "The report cannot be written" in result.stderr
    assert said in result.stderr


def test_a_full_disk_under_the_report_exits_1_and_blames_no_input(saphan: Saphan, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").symlink_to("/dev/full")
    result = saphan(write(tmp_path / "in.jsonl", bad(1)), "--report", tmp_path / "r.jsonl", "--json")
    assert result.exit_code == 1
    assert "The report cannot be written" in result.stderr
    assert "No space left on device" in result.stderr
    assert json.loads(result.stdout)["files"][0]["failure"] is None


def test_a_place_for_rejected_rows_that_is_taken_exits_1_and_blames_no_input(saphan: Saphan, tmp_path: Path) -> None:
    (tmp_path / "r.rejected").write_bytes(b"")
    result = saphan(write(tmp_path / "in.jsonl", bad(1)), "--report", tmp_path / "r.jsonl", "--json")
    assert result.exit_code == 1
    assert "r.rejected" in result.stderr
    assert json.loads(result.stdout)["files"][0]["failure"] is None


def test_only_the_owner_reads_a_report_also_where_everybody_read_the_one_before(saphan: Saphan, tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("r.jsonl", "r.summary.txt", "r.rejected/a.jsonl")]
    for place in places:
        write(place, {}).chmod(0o644)
    assert saphan(write(tmp_path / "a.jsonl", bad(1)), "--report", tmp_path / "r.jsonl").exit_code == 4
    assert [stat.S_IMODE(place.stat().st_mode) for place in places] == [0o600] * 3


def test_a_file_whose_name_is_no_utf8_is_published_and_told(saphan: Saphan, tmp_path: Path) -> None:
    source = write(tmp_path / os.fsdecode("ข้อมูล.jsonl".encode("tis_620")), pair(1), bad(2))
    result = saphan(source, "--report", tmp_path / "r.jsonl", "--json")
    assert result.exit_code == 4
    (file,) = json.loads(result.stdout)["files"]
    assert (file["published"], file["rejected"]) == (1, 1)
    (problem,) = map(json.loads, (tmp_path / "r.jsonl").read_bytes().splitlines())
    assert problem["file"] == file["file"]
    assert file["file"].endswith("\\udcc5.jsonl")
    assert file["file"] in (tmp_path / "r.summary.txt").read_text("utf-8")
    (kept,) = (tmp_path / "r.rejected").iterdir()
    assert ids(kept) == ["PAIR-2"]
    assert str(kept) in (tmp_path / "r.summary.txt").read_text("utf-8")


def test_a_report_that_could_not_be_written_to_its_end_leaves_the_earlier_one(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("r.jsonl", "r.summary.txt", "r.rejected/a.jsonl")]
    for place in places:
        write(place, "earlier")
    report = Report(tmp_path / "r.jsonl")
    report.start_file("a.jsonl")
    row = Row(1, b"{}\n", {}, [])
    report.row(row, [], rejected=True)
    report.note(1, row_warning("any", "", "found", "expected"))
    report.start_file("\udce0")
    with pytest.raises(TypeError):
        report.note(2, row_warning("any", "", "found", "expected"))
    report.close(["the end"])
    assert [place.read_text("utf-8") for place in places[:2]] == ['"earlier"\n'] * 2
    assert not list(tmp_path.rglob("*.partial"))


def test_a_summary_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    earlier = write(tmp_path / "r.summary.txt", "earlier")
    with pytest.raises(UnicodeEncodeError):
        Report(tmp_path / "r.jsonl", always=True).close(["\udce0"])
    assert earlier.read_text("utf-8") == '"earlier"\n'
    assert not list(tmp_path.rglob("*.partial"))
