"""That a table never cuts what the next command needs, whatever the terminal's width."""

from io import StringIO

import pytest
from rich.console import Console

from saphan_cli.tables import print_rows

WIDTHS = (40, 80, 120, 200)
COLUMNS = ("Alert", "State", "Since", "Due on", "Hold", "Reason", "Worker", "Employer", "Employment record")
SPARE = ("Employment record", "Employer", "Since", "Worker", "Hold")
ALERT = "A-zjyokd4m64gqvrl6"
WORKER = "W-9f2c4b7d1e6a8035c4d1"
ROW = (ALERT, "overdue", "2026-10-28", "2026-10-27", None, "no_insurance", WORKER, "EMP-77", "E-1024")
LETTER = "doe.employments.v1-3-1048576"
DETAIL = "wage_satang: found 'many', expected a whole number; the message is kept as it came"


def printed(width: int, *arguments: object, **options: object) -> tuple[list[str], list[str]]:
    """(lines on the screen, columns left out)"""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    left_out = print_rows(console, *arguments, **options)  # type: ignore[arg-type]
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines(), left_out


@pytest.mark.parametrize("width", WIDTHS)
def test_ids_states_and_dates_are_whole_at_any_width(width: int) -> None:
    lines, left_out = printed(width, COLUMNS, [ROW, ROW], spare=SPARE)
    text = "\n".join(lines)
    assert "…" not in text
    for name, cell in zip(COLUMNS, ROW, strict=True):
        assert name in left_out or text.count(str(cell or "–")) >= 2, name
    # In a list it is the terminal that goes to the next line.
    assert width < 80 or max(map(len, lines)) <= width


def test_only_what_has_no_room_is_left_out_the_least_needed_first() -> None:
    assert printed(200, COLUMNS, [ROW], spare=SPARE)[1] == []
    assert printed(120, COLUMNS, [ROW], spare=SPARE)[1] == ["Employment record"]
    assert printed(80, COLUMNS, [ROW], spare=SPARE)[1] == ["Employment record", "Employer", "Since", "Worker"]
    # As a list there is room for everything again.
    lines, left_out = printed(40, COLUMNS, [ROW], spare=SPARE)
    assert left_out == []
    assert f"Worker             {WORKER}" in [line.rstrip() for line in lines]


@pytest.mark.parametrize("width", WIDTHS)
def test_running_text_goes_over_several_lines_and_loses_nothing(width: int) -> None:
    lines, _ = printed(width, ("Id", "Reason", "Detail"), [(LETTER, "invalid", DETAIL)], text=("Detail",))
    assert any(LETTER in line for line in lines)
    assert sorted(" ".join(lines).replace("─", " ").split()) == sorted(
        ["Id", "Reason", "Detail", LETTER, "invalid", *DETAIL.split()]
    )


def test_a_long_id_in_a_list_has_no_break_of_ours_in_it() -> None:
    id_ = "doe.employments.v1/" + "9" * 60
    assert any(id_ in line for line in printed(40, ("Record", "Field"), [(id_, "name")])[0])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_without_rows_has_its_heads(width: int) -> None:
    lines, left_out = printed(width, COLUMNS[:6], [], spare=SPARE)
    assert not left_out or width < 80
    assert any("State" in line for line in lines)
