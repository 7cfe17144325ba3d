"""Which states wait behind which, decided in the ledger alone."""

from pathlib import Path

from saphan_consumers.delivery import Delivery
from saphan_consumers.pending import Attempt, Backlog, backlog, due, enqueue, retry_parked, settle
from saphan_consumers.retrying import Verdict
from saphan_consumers.told import open_ledger


def test_of_one_alert_only_the_oldest_state_is_due(tmp_path: Path) -> None:
    states = [Delivery(alert_id, version, f"state-{version}", 1, b"{}") for version in (1, 2, 3) for alert_id in "AB"]
    arrived: list[tuple[str, str]] = []
    with open_ledger(tmp_path, "webhook") as ledger:
        with ledger.transaction():
            enqueue(ledger, states, 0)
        for now in range(1, 100):
            rows = due(ledger, now, 10)
            assert len({row.alert_id for row in rows}) == len(rows)
            verdicts = [Verdict("retry", now + 3) if now % 2 else Verdict("delivered") for _ in rows]
            with ledger.transaction():
                settle(ledger, [Attempt(row, now, one, "") for row, one in zip(rows, verdicts, strict=True)], now)
            arrived += [
                (row.alert_id, row.delivery_id)
                for row, one in zip(rows, verdicts, strict=True)
                if one.kind == "delivered"
            ]
    for alert_id in "AB":
        assert [identity for one, identity in arrived if one == alert_id] == [
            row.delivery_id for row in states if row.alert_id == alert_id
        ]


def test_a_parked_delivery_waits_for_the_operator_and_does_not_count_as_failing(tmp_path: Path) -> None:
    """It alone kept the metric of failing seconds above zero, and that grew for as long as nobody looked."""
    with open_ledger(tmp_path, "webhook") as ledger:

        def attempt(now_ms: int, **verdicts: Verdict) -> Backlog:
            rows = {row.alert_id: row for row in due(ledger, now_ms, 10)}
            with ledger.transaction():
                settle(ledger, [Attempt(rows[name], now_ms, one, "500") for name, one in verdicts.items()], now_ms)
            return backlog(ledger)

        with ledger.transaction():
            enqueue(ledger, [Delivery(alert_id, 1, "state", 1, b"{}") for alert_id in "AB"], 0)
        assert backlog(ledger) == Backlog(2, 0, None)
        assert attempt(100, A=Verdict("retry", 150)) == Backlog(2, 0, 100)
        assert attempt(200, A=Verdict("parked"), B=Verdict("retry", 250)) == Backlog(2, 1, 200)
        assert attempt(300, B=Verdict("delivered")) == Backlog(1, 1, None)
        assert retry_parked(ledger, 400) == 1
        assert attempt(400, A=Verdict("retry", 500)) == Backlog(1, 0, 400)
