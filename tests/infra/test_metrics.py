"""Metrics: every one has a help text, ages grow by themselves, labels name no one, and the server lets go of its port."""

import re
import urllib.request

import pytest

from saphan_infra import metrics, waiting_metrics
from saphan_infra.clock import now_ms
from saphan_infra.owned_process import port_is_free, wait_until
from saphan_infra.serving import metrics_served
from saphan_infra.settings import Settings, SettingsError

ALLOWED_LABELS = {
    "feed", "app", "topic", "partition", "stage", "reason", "state", "group", "denominator", "sink", "outcome", "consumer", "service", "le",
}  # fmt: skip


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def _value(page: str, series: str) -> float:
    (line,) = (line for line in page.splitlines() if line.startswith(series + " "))
    return float(line.rpartition(" ")[2])


def test_the_page_shows_what_was_measured_and_closing_frees_the_port() -> None:
    metrics.set_alerts({"due": 3, "overdue": 0})
    metrics.set_workers({"known": 400, "enrolled": 100}, {"registered": 0.25, "eligible": 0.4})
    metrics.set_lag("link", {("doe.employments.v1", 1): 17})
    server = metrics.serve()
    try:
        page = _page(server.port)
    finally:
        server.close()
    assert _value(page, 'saphan_alerts{state="due"}') == 3
    assert _value(page, 'saphan_alerts{state="overdue"}') == 0
    assert _value(page, 'saphan_workers{group="known"}') == 400
    assert _value(page, 'saphan_coverage_ratio{denominator="registered"}') == 0.25
    assert _value(page, 'saphan_coverage_ratio{denominator="eligible"}') == 0.4
    assert _value(page, 'saphan_lag_messages{app="link",partition="1",topic="doe.employments.v1"}') == 17
    assert wait_until(lambda: port_is_free(server.port), 10)


def _labels(gauge: str, **wanted: str) -> list[dict[str, str]]:
    samples = (sample for family in metrics.REGISTRY.collect() if family.name == gauge for sample in family.samples)
    return [sample.labels for sample in samples if wanted.items() <= sample.labels.items()]


def test_the_lag_of_a_partition_that_another_process_has_now_goes_away() -> None:
    metrics.set_lag("one", {("a.v1", 0): 20_000, ("a.v1", 1): 1})
    metrics.set_lag("other", {("a.v1", 0): 3})
    metrics.set_lag("one", {("a.v1", 1): 2})
    assert _labels("saphan_lag_messages", app="one") == [{"app": "one", "topic": "a.v1", "partition": "1"}]
    assert len(_labels("saphan_lag_messages", app="other")) == 1
    metrics.set_lag("one", {})
    assert _labels("saphan_lag_messages", app="one") == []


def test_dead_letters_that_are_gone_are_not_shown() -> None:
    metrics.set_dead_letters({("link", "undecodable"): 4, ("link", "too_large"): 1})
    metrics.set_dead_letters({("link", "too_large"): 1})
    assert _labels("saphan_dead_letters", stage="link") == [{"stage": "link", "reason": "too_large"}]
    metrics.set_dead_letters({})


def test_a_silent_feed_looks_old_and_an_older_event_does_not_make_it_older() -> None:
    moment = now_ms() - 60_000
    metrics.saw_event("feed.a", moment)
    metrics.saw_event("feed.a", moment - 1_000_000)
    metrics.saw_heartbeat("feed.a", moment)
    for gauge in ("saphan_feed_newest_event_age_seconds", "saphan_feed_heartbeat_age_seconds"):
        age = metrics.REGISTRY.get_sample_value(gauge, {"feed": "feed.a"})
        assert age is not None
        assert 60 <= age < 1000


def test_a_share_of_nobody_is_not_a_number() -> None:
    metrics.set_workers({"known": 0}, {"registered": None, "eligible": None})
    share = metrics.REGISTRY.get_sample_value("saphan_coverage_ratio", {"denominator": "eligible"})
    assert share is not None
    assert share != share  # noqa: PLR0124 - only NaN differs from itself


def test_a_taken_port_is_refused() -> None:
    server = metrics.serve()
    try:
        with pytest.raises(OSError, match="in use"):
            metrics.serve("127.0.0.1", server.port)
    finally:
        server.close()


def test_a_process_whose_metrics_port_is_taken_shows_them_on_another_one() -> None:
    server = metrics.serve()
    try:
        with metrics_served(Settings(metrics_port=server.port)) as other:
            assert other.port != server.port
            assert "saphan_alerts" in _page(other.port)
    finally:
        server.close()


def test_an_address_that_is_not_this_machine_s_is_a_wrong_setting() -> None:
    with (
        pytest.raises(SettingsError, match=r"SAPHAN_METRICS_HOST.*expected an address of this machine"),
        # Kept for documentation: no machine has it.
        metrics_served(Settings(metrics_host="192.0.2.1")),
    ):
        pass


def test_every_metric_is_ours_has_help_and_labels_that_name_no_one() -> None:
    # Of every module that makes some, whichever tests this process ran before.
    waiting_metrics.Wait("link", "database")
    for family in metrics.REGISTRY.collect():
        assert re.match(r"(saphan|process|python)_", family.name)
        assert family.documentation
        labels = {label for sample in family.samples for label in sample.labels}
        if family.name.startswith("saphan_"):
            assert family.documentation.endswith(".")
            assert labels <= ALLOWED_LABELS
