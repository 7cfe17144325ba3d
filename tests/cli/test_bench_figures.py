"""What the figures of a benchmark say, and that a whole run gives them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_cli.bench.figures import (
    Span,
    StageUse,
    is_bounded,
    latency_report,
    limited_by,
    per_event_us,
    per_second,
    percentile,
    recovered_at,
    span_report,
)
from saphan_cli.bench.speed import speed
from saphan_cli.bench.usage import usage, with_children
from saphan_cli.bench.wording import lines
from saphan_infra.owned_process import OwnedProcess, wait_until


def span(link: float, integrate: float, *, busiest: float = 0.0, process: float = 0.0, others: float = 0.0) -> Span:
    """Ten seconds of two cores and 1,000 events; what the stages used in seconds of CPU."""
    stages = {"link": StageUse(link, busiest, process, 100.4), "integrate": StageUse(integrate, 0.0, 0.0, 50.0)}
    return Span(1_000, 10.0, 2.0, stages, 0.2, others)


def test_rates_and_costs_of_nothing_are_zero() -> None:
    assert (per_second(5, 0.0), per_event_us(1.0, 0)) == (0.0, 0.0)


def test_the_stages_costs_add_up_to_the_total_and_to_their_share_of_the_cores() -> None:
    report = span_report(span(4.0, 2.0))
    assert report["events_per_second"] == 100.0
    assert report["cpu_us_per_event"] == {"link": 4000.0, "integrate": 2000.0, "total": 6000.0}
    assert report["cores_share"] == {
        "link": 0.2, "integrate": 0.1, "total": 0.3, "measuring": 0.01, "other_programs": 0.0,
    }  # fmt: skip
    assert report["peak_rss_mib"] == {"link": 100, "integrate": 50}


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (span(12.0, 6.0), "CPU of all 2 cores (91% busy)"),
        (span(10.0, 4.0, others=4.0), "CPU of all 2 cores (91% busy), 20% of them taken by other programs"),
        (span(9.0, 2.0, busiest=9.0, process=9.0), "link: one thread at 90% of a core"),
        (span(9.0, 2.0, busiest=5.0, process=8.5), "link: one Python process at 85% of a core"),
        (span(4.0, 2.0, busiest=4.0, process=4.0), "waiting for the disk or for each other (the cores are 31% busy)"),
    ],
)
def test_what_limits_a_run_is_said_with_the_number_that_says_so(measured: Span, said: str) -> None:
    assert limited_by(measured) == said


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.floats(0.01, 1.0))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[int], share: float) -> None:
    found = percentile(sorted(values), share)
    enough = [
        value for value in values if sum(other <= value for other in values) >= share * len(values) - 1e-9
    ]  # fmt: skip
    assert found == min(enough)


def test_latencies_of_no_alerts_are_unknown_not_zero() -> None:
    assert latency_report([]) == {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None}
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_latencies_are_reported_whatever_order_they_come_in() -> None:
    assert latency_report([30.0, 10.0, 20.0]) == {
        "count": 3, "p50_ms": 20.0, "p95_ms": 30.0, "p99_ms": 30.0, "max_ms": 30.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lags", "bounded"), [([], False), ([900, 10, 10], True), ([10, 10, 1_001], False), ([10, 1_000, 1_000], True)]
)
def test_a_lag_is_bounded_when_its_second_half_is_below_a_seconds_events(lags: list[int], bounded: bool) -> None:
    assert is_bounded(lags, 1_000) is bounded


@pytest.mark.parametrize(
    ("looks", "at"),
    [
        ([], None),
        ([(1.0, 500)], None),
        ([(1.0, 500), (2.0, 5), (3.0, 4)], 2.0),
        ([(1.0, 5), (2.0, 500), (3.0, 5)], 3.0),
        ([(1.0, 5), (2.0, 500)], None),
    ],
)
def test_a_killed_process_has_recovered_once_the_lag_is_back_for_good(
    looks: list[tuple[float, int]], at: float | None
) -> None:
    assert recovered_at(looks, 10) == at


def test_reports_read_as_lines_with_plain_figures_of_a_group_on_one() -> None:
    report = {"events": 1_000_000, "cpu_us": {"link": 1.5, "all": 2}, "latency": {"p50_ms": None, "bounded": True}}
    assert list(lines(report)) == [
        "events: 1,000,000", "cpu us: link 1.5, all 2", "latency:", "  p50 ms: –", "  bounded: yes",
    ]  # fmt: skip


def test_the_speed_of_all_cores_is_told_in_single_cores() -> None:
    measured = speed(2)
    assert measured.one_core > 0
    assert measured.cores_worth == pytest.approx(measured.all_cores / measured.one_core, abs=0.02)


def test_a_measurement_of_speed_that_fails_is_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(subprocess.CalledProcessError):
        speed(1)


def test_an_interrupted_measurement_of_speed_leaves_nothing_behind() -> None:
    # A shell's job in the background is begun deaf to Ctrl-C, and so is what it begins.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script += "from saphan_cli.bench import speed; speed._SECONDS = 600.0; speed.speed(1)"
    measuring = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        # So much that it can only be at work.
        assert wait_until(lambda: usage([measuring.pid]).cpu_seconds > 2, 100)
        (child,) = [OwnedProcess.of(pid) for pid in with_children([measuring.pid])[1:]]
        measuring.send_signal(signal.SIGINT)
        measuring.wait(60)
        assert not child.alive()
    finally:
        measuring.kill()
        measuring.wait()


@pytest.mark.broker
def test_a_small_run_reports_everything_that_the_readme_promises(java_cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "saphan_cli", "bench", "pipeline", "--events", "3000", "--latency-seconds", "2"]
    environment = {**os.environ, "SAPHAN_CACHE_DIR": str(java_cache), "SAPHAN_DATA_DIR": str(tmp_path)}
    ended = subprocess.run(
        [*command, "--latency-rate", "300", "--no-stock", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    heartbeats = report["messages"]["in"]["feed-heartbeats.v1"]
    assert report["events"] == sum(report["messages"]["in"].values()) == 3_000 + heartbeats
    assert report["events_per_second"] == pytest.approx(report["events"] / report["seconds"], rel=0.01)
    costs = report["cpu_us_per_event"]
    assert costs["total"] == pytest.approx(costs["broker"] + costs["link"] + costs["integrate"], abs=0.02)
    assert min(costs.values()) > 0
    assert report["limited_by"]
    assert report["latency"]["count"] > 0
    assert report["latency"]["p50_ms"] <= report["latency"]["p95_ms"] <= report["latency"]["p99_ms"]
    assert report["latency"]["lag_at_end"] == 0
    assert report["machine"]["cores"] > 0
    assert report["machine_speed"].keys() == {"before", "after"}
