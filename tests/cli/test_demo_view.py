"""That the demo's picture shows whole names and ids, and fits into the terminal."""

from io import StringIO

import pytest
from rich.console import Console

from saphan_cli.commands.demo import _beginning
from saphan_cli.demo_view import Picture, Snapshot
from saphan_projections.alerts import STATES
from saphan_projections.coverage import Coverage
from saphan_projections.queries import FeedFreshness
from saphan_projections.settled import SettledAlert
from saphan_schemas.topics import RECORD_FEEDS

_TIME = 1_793_127_600_000


def snapshot() -> Snapshot:
    feeds = [FeedFreshness(feed, 123_456, 17, _TIME, _TIME, _TIME) for feed in RECORD_FEEDS]
    alerts = [(_TIME, alert(number)) for number in range(20)]
    return Snapshot(
        feeds, Coverage(100_000, 90_000, 80_000, 70_000, 60_000), dict.fromkeys(STATES, 12_345), alerts,
        {"link": 50_000, "integrate": 50_000},
    )  # fmt: skip


def alert(number: int) -> SettledAlert:
    return SettledAlert(
        f"A-zjyokd4m64gqvrl{number:x}"[:18], "enrolment_missing", f"E-{number}", "withdrawn", "no_insurance",
        "employer_unpaired", "employer_unpaired", 20_750, 20_750, "W-1", "EMP-1", "sso-s34.1", 7, (),
    )  # fmt: skip


def lines(width: int, height: int) -> list[str]:
    console = Console(
        file=StringIO(), width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False
    )
    console.print(Picture(snapshot(), _TIME, "Saphan: a simulated province of 1,000 workers"))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_feed_and_number_is_shown_with_its_whole_name(width: int) -> None:
    text = "\n".join(lines(width, 24))
    assert all(feed in text for feed in RECORD_FEEDS)
    assert all(f"alerts {state}" in text for state in STATES)
    # Only the reason of an alert may be cut.
    assert "…" not in text.replace("employer_unp…", "")


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("height", [18, 24, 50])
def test_the_picture_has_both_its_borders(width: int, height: int) -> None:
    shown = lines(width, height)
    assert len(shown) <= height
    assert shown[0][0] + shown[-1][0] == "╭╰"
    assert {len(line) for line in shown} == {width}


@pytest.mark.parametrize(("height", "count"), [(24, 6), (50, 8)])
def test_the_lines_that_are_left_show_the_newest_alerts_whole(height: int, count: int) -> None:
    shown = [line for line in lines(80, height) if " A-" in line]
    assert len(shown) == count
    for number, line in enumerate(shown):
        assert alert(number).alert_id in line
        assert "withdrawn  2026-10-24  no_insurance" in line


def test_a_number_of_workers_that_comes_too_late_is_told() -> None:
    assert _beginning(100, 100, 0) == "a province of 100 workers begins to report."
    assert _beginning(100, None, 7) == _beginning(100, 100, 7) == "the province of 100 workers goes on."
    assert _beginning(100, 500, 7) == "the province of 100 workers goes on; --workers needs --fresh."


def test_the_summary_names_the_coverage_as_status_does() -> None:
    assert snapshot().summary()["coverage"].keys() >= {"of_registered", "of_eligible_employed"}
