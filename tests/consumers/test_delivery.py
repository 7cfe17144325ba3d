from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from saphan_consumers.delivery import (
    BODY_BYTES_MAX,
    AlertMessage,
    Decision,
    Told,
    body_of,
    deliveries_for,
    delivery_id,
    fingerprint_of,
    parts_of,
    problem_of,
)
from saphan_schemas.codec import Codec
from saphan_schemas.topics import ENROLMENT_ALERTS
from saphan_schemas.values import date_to_days, parse_date

STATES = ("due", "overdue", "resolved", "reopened", "withdrawn")


def alert(alert_id: str = "A-abc", version: int = 1, state: str = "due", **fields: Any) -> dict[str, Any]:
    reference = {"feed": "doe.employments.v1", "record_id": "E1", "version": 1, "partition": 0, "offset": 7}
    return {
        "alert_id": alert_id,
        "version": version,
        "kind": "enrolment_missing",
        "state": state,
        "reason": "no_insurance",
        "hold": None,
        "employment_record_id": "E1",
        "worker_id": "W-1",
        "employer_id": "0105500000001",
        "due_on": 20_000,
        "state_since": 19_970,
        "rule_version": "1",
        "evidence": [{**reference, "role": "employment"}],
        "sso_complete_until": None,
        "caused_at": 1_700_000_000_000,
        **fields,
    }


class Sink:
    """The smallest ledger: what a sink was told, and all that it got."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.times: Counter[tuple[str, str]] = Counter()
        self.got: list[tuple[str, int, str]] = []
        self.ids: list[str] = []

    def take(self, alerts: list[dict[str, Any]]) -> Decision:
        messages = [AlertMessage(row, row["caused_at"] + 200) for row in alerts]
        decision = deliveries_for(messages, self.told, lambda *state: self.times[state])
        self.told.update(decision.told)
        for state, times in decision.times.items():
            self.times[state] = times
        self.got += [(row.alert_id, row.version, row.fingerprint) for row in decision.deliveries]
        self.ids += [row.delivery_id for row in decision.deliveries]
        return decision


alerts = st.builds(alert, st.sampled_from(["A-a", "A-b", "A-c"]), st.integers(1, 12), st.sampled_from(STATES))
logs = st.lists(alerts, max_size=40)


def cut(log: list[dict[str, Any]], places: list[int]) -> list[list[dict[str, Any]]]:
    edges = sorted({0, len(log), *(place % (len(log) + 1) for place in places)})
    return [log[start:end] for start, end in pairwise(edges)]


@given(logs, st.lists(st.integers(0, 100)))
def test_how_the_log_is_cut_into_chunks_changes_nothing(log: list[dict[str, Any]], places: list[int]) -> None:
    whole, parts = Sink(), Sink()
    whole.take(log)
    for chunk in cut(log, places):
        parts.take(chunk)
    assert (whole.ids, whole.told, whole.times) == (parts.ids, parts.told, parts.times)


@given(logs, st.integers(0, 40))
def test_reading_the_log_again_from_anywhere_repeats_nothing(log: list[dict[str, Any]], start: int) -> None:
    sink = Sink()
    sink.take(log)
    before = list(sink.ids)
    again = sink.take(log[start:])
    assert not again.deliveries
    assert sink.ids == before
    assert again.repeats == len(log[start:])


@given(logs)
def test_versions_rise_states_change_and_ids_are_never_used_twice(log: list[dict[str, Any]]) -> None:
    sink = Sink()
    sink.take(log)
    assert len(set(sink.ids)) == len(sink.ids)
    for alert_id in {row["alert_id"] for row in log}:
        got = [(version, fingerprint) for one, version, fingerprint in sink.got if one == alert_id]
        assert got == sorted(got, key=lambda row: row[0])
        assert all(before[1] != after[1] for before, after in pairwise(got))


@given(logs)
def test_the_receiver_ends_with_the_state_of_the_highest_version(log: list[dict[str, Any]]) -> None:
    sink = Sink()
    sink.take(log)
    first_of_version: dict[tuple[str, int], str] = {}
    for row in log:
        first_of_version.setdefault((row["alert_id"], row["version"]), fingerprint_of(row))
    for alert_id in {row["alert_id"] for row in log}:
        # Of two states that claim one version, the one that the log had first counts.
        newest = max(version for one, version in first_of_version if one == alert_id)
        told = [fingerprint for one, _, fingerprint in sink.got if one == alert_id]
        if told:
            assert told[-1] == first_of_version[alert_id, newest]
        else:
            states = {row["state"] for row in log if (row["alert_id"], row["version"]) == (alert_id, newest)}
            assert states & {"resolved", "withdrawn"}


def test_a_receiver_is_not_told_that_something_is_closed_of_which_it_never_heard() -> None:
    sink = Sink()
    sink.take([alert(version=1, state="resolved"), alert(version=2, state="withdrawn")])
    assert sink.ids == []
    sink.take([alert(version=3, state="reopened"), alert(version=4, state="resolved")])
    assert [version for _, version, _ in sink.got] == [3, 4]


def test_an_alert_that_comes_back_to_a_state_is_told_again_under_another_id() -> None:
    sink = Sink()
    sink.take(
        [alert(version=1, state="overdue"), alert(version=2, state="resolved"), alert(version=3, state="overdue")]
    )
    first, second, third = sink.ids
    assert third == first + "-2"
    assert second != first


def test_the_same_state_with_a_higher_version_or_other_evidence_is_a_repeat() -> None:
    sink = Sink()
    sink.take([alert(version=1), alert(version=2, evidence=[]), alert(version=3, caused_at=5)])
    assert len(sink.ids) == 1
    assert sink.told["A-abc"].version == 3


def test_a_corrected_employer_is_delivered_and_so_is_the_way_back() -> None:
    sink = Sink()
    sink.take([alert(version=number, employer_id=name) for number, name in ((1, "EMP-A"), (2, "EMP-B"), (3, "EMP-A"))])
    first, second, third = sink.ids
    assert third == first + "-2"
    assert second != first


def test_a_late_lower_version_is_dropped() -> None:
    sink = Sink()
    sink.take([alert(version=5, state="overdue"), alert(version=4, state="due")])
    assert [version for _, version, _ in sink.got] == [5]


def test_the_id_depends_on_what_is_told_and_on_nothing_else() -> None:
    base = fingerprint_of(alert())
    sames: list[dict[str, Any]] = [{"version": 9}, {"evidence": []}, {"caused_at": 1}, {"worker_id": "W-2"}]
    for same in sames:
        assert fingerprint_of(alert(**same)) == base
    changes: list[dict[str, Any]] = [
        {"state": "overdue"},
        {"due_on": 1},
        {"state_since": 1},
        {"hold": "employer_unpaired"},
        {"reason": "x"},
        {"employer_id": "EMP-B"},
    ]
    assert len({fingerprint_of(alert(**change)) for change in changes} | {base}) == len(changes) + 1


def test_the_example_of_the_readme_has_the_id_that_its_delivery_would_have() -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    data = orjson.loads(page.split("```json\n")[1].split("```")[0])["data"]
    days = {name: date_to_days(parse_date(data[name])) for name in ("due_on", "state_since")}
    shown = page.split("webhook-id: ")[1].split("\n")[0]
    assert shown == delivery_id(data["alert_id"], fingerprint_of({**data, **days}), 1)


@given(st.from_regex(r"A-[a-z2-7]{16}", fullmatch=True), st.integers(1, 50))
def test_an_id_gives_back_its_parts_and_has_no_full_stop(alert_id: str, occurrence: int) -> None:
    fingerprint = fingerprint_of(alert(alert_id))
    identifier = delivery_id(alert_id, fingerprint, occurrence)
    assert parts_of(alert_id, identifier) == (fingerprint, occurrence)
    assert "." not in identifier


def test_the_body_has_iso_dates_and_the_evidence() -> None:
    body = orjson.loads(body_of(AlertMessage(alert(), 1_700_000_000_200)))
    assert body["type"] == "alert.enrolment.due"
    assert body["timestamp"] == "2023-11-14T22:13:20.200Z"
    assert body["data"]["due_on"] == "2024-10-04"
    assert body["data"]["evidence"][0]["record_id"] == "E1"


@given(st.integers(0, 3000))
def test_a_body_is_always_below_the_limit_and_says_how_much_evidence_it_leaves_out(count: int) -> None:
    message = AlertMessage(alert(evidence=alert()["evidence"] * count), 0)
    body = body_of(message)
    data = orjson.loads(body)["data"]
    assert len(body) < BODY_BYTES_MAX
    assert len(data["evidence"]) + data.get("evidence_omitted", 0) == count


def test_what_cannot_be_a_header_or_a_type_is_no_alert() -> None:
    assert problem_of(alert()) is None
    assert problem_of(alert(alert_id="A\r\nx: y"))
    assert problem_of(alert(alert_id="a.b"))
    assert problem_of(alert(state="Due now"))


def test_the_sample_is_a_message_of_the_topic() -> None:
    codec = Codec()
    assert codec.decode(ENROLMENT_ALERTS, codec.encode(ENROLMENT_ALERTS, alert())) == alert()
