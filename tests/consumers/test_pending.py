"""Which states wait behind which, decided in the ledger alone."""

from pathlib import Path

from saphan_consumers.delivery import Delivery
from saphan_consumers.pending import Attempt, due, enqueue, settle
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
