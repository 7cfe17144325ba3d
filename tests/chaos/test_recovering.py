"""That a platform counts as recovered only when everything that was there at the fault's end has gone the whole way."""

from hypothesis import given
from hypothesis import strategies as st

from saphan_cli.chaos.recovering import Look, Recovery, Rows, followed

FEED, RECORDS, ALERTS = ("doe.employments.v1", 0), ("worker.records.v2", 0), ("alerts.enrolment.v1", 0)
NONE = Rows(0, 0)
DONE = Look(
    at=10.0,
    feed_ends={FEED: 5},
    linked={FEED: 5},
    link_outbox=NONE,
    record_ends={RECORDS: 7},
    integrated={RECORDS: 7},
    integrate_outbox=NONE,
    alert_ends={ALERTS: 2},
    filed={ALERTS: 2},
    posted={ALERTS: 2},
    waiting=NONE,
)
NOT_DONE = {
    "linked": {FEED: 4},
    "link_outbox": Rows(3, 3),
    "integrated": {RECORDS: 6},
    "integrate_outbox": Rows(1, 9),
    "filed": {ALERTS: 1},
    "posted": {},
    "waiting": Rows(8, 8),
}


def test_when_everything_is_done_it_is_recovered_at_that_look() -> None:
    assert followed(Recovery(9.0, with_webhook=True), DONE).over == 10.0


@given(st.sampled_from(sorted(NOT_DONE)))
def test_whatever_one_step_has_left_it_is_not_recovered(step: str) -> None:
    found = followed(Recovery(9.0, with_webhook=True), DONE._replace(**{step: NOT_DONE[step]}))  # type: ignore[arg-type]
    assert found.over is None
    assert followed(found, DONE._replace(at=11.0)).over == 11.0


def test_a_look_from_before_the_fault_ended_says_nothing() -> None:
    assert followed(Recovery(10.5, with_webhook=False), DONE) == Recovery(10.5, with_webhook=False)


def test_what_comes_after_the_fault_is_not_waited_for() -> None:
    began = followed(Recovery(9.0, with_webhook=False), DONE._replace(linked={FEED: 4}))
    later = DONE._replace(at=12.0, feed_ends={FEED: 900}, link_outbox=NONE)
    assert followed(began, later).over == 12.0


def test_messages_that_link_has_yet_to_send_are_waited_for() -> None:
    unsent = followed(Recovery(9.0, with_webhook=False), DONE._replace(link_outbox=Rows(3, 4)))
    sent = DONE._replace(at=11.0, link_outbox=Rows(5, 6), record_ends={RECORDS: 8})
    waiting = followed(unsent, sent)
    assert waiting.over is None
    assert followed(waiting, sent._replace(at=12.0, integrated={RECORDS: 8})).over == 12.0


def test_the_webhook_counts_only_where_it_was_hurt() -> None:
    look = DONE._replace(waiting=Rows(1, 1))
    assert followed(Recovery(9.0, with_webhook=False), look).over == 10.0
    assert followed(Recovery(9.0, with_webhook=True), look).over is None


def test_a_process_that_is_not_back_is_no_recovery() -> None:
    gone = followed(Recovery(9.0, with_webhook=False), DONE, is_back=False)
    assert gone.over is None
    assert followed(gone, DONE._replace(at=13.0)).over == 13.0


def test_rest_is_when_nothing_is_left_anywhere() -> None:
    assert DONE.is_at_rest()
    assert not any(DONE._replace(**{step: value}).is_at_rest() for step, value in NOT_DONE.items())  # type: ignore[arg-type]
