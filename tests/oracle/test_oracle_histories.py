import random
from collections import Counter
from pathlib import Path

import pytest
from in_process import InProcessPlatform, opened
from oracle.arrivals import arrive, migrated, platform_in, said_by
from oracle.differences import differences, printed
from oracle.histories import HEARTBEATS, Event, as_of, heartbeats_of, records_of
from oracle.oracle_numbers import Identifier, identifiers_of
from oracle.oracle_outcome import BIRTH_DATES_OF_NOBODY, KEPT, compute_of
from oracle.oracle_records import Folded, fold, sso_complete_until
from oracle.platform_side import as_told, committed

from saphan_schemas.topics import DEAD_LETTERS
from saphan_schemas.values import time_to_ms

HISTORIES = 200
_HEADER_BYTES = 5


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


def by_feed(events: list[Event]) -> dict[str, list[dict[str, object]]]:
    history: dict[str, list[dict[str, object]]] = {}
    for feed, row in events:
        history.setdefault(feed, []).append(row)
    return history


def refused_by(platform: InProcessPlatform) -> set[tuple[str, bytes]]:
    """The records that were refused; whether a heartbeat was shows in the alerts."""
    return {
        (letter["topic"], bytes.fromhex(letter["value"])[_HEADER_BYTES:])
        for letter in platform.sent(DEAD_LETTERS)
        if letter["topic"] != HEARTBEATS
    }


def found_in(platform: InProcessPlatform, seed: int, records: list[Event], heartbeats: list[Event]) -> dict[str, str]:
    """What differs, by where it was looked for; nothing when the platform is right."""
    history = by_feed(records + heartbeats)
    folded, heartbeat = fold(history), sso_complete_until(history)
    oracle = compute_of(folded, heartbeat)
    says, heard = said_by(platform)
    moment = as_of(seed)
    with platform.state_database.reading() as transaction:
        then = committed(transaction, time_to_ms(moment)).settled
    found = {
        "settled anew": differences(oracle, says.settled),
        "rows of alerts": differences(oracle._replace(workers={}), says.stored),
        "as told": differences(as_told(oracle), heard),
        f"as of {moment}": differences(compute_of(folded, heartbeat, moment), then),
    }
    lines = {place: printed(some) for place, some in found.items() if some}
    wrong = folded.refused.keys() ^ refused_by(platform)
    if wrong:
        lines["refused"] = ", ".join(sorted(f"{topic} {folded.refused.get((topic, body))}" for topic, body in wrong))
    return lines


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_random_history_ends_as_the_oracle_says(
    seed: int, tmp_path: Path, template: Path, request: pytest.FixtureRequest
) -> None:
    records = records_of(seed)
    heartbeats = heartbeats_of(seed, records)
    with opened(lambda: platform_in(tmp_path, template)) as platform:
        arrive(platform, records, heartbeats, random.Random(f"arrival {seed}"))
        found = found_in(platform, seed, records, heartbeats)
    told = "\n".join(f"-- {place}\n{lines}" for place, lines in found.items())
    assert not found, f"history {seed} differs; replay: pytest '{request.node.nodeid}'\n{told}"


def test_the_histories_hold_every_state_reason_and_hold_and_the_numbers_that_name_nobody() -> None:
    met: Counter[str] = Counter()
    for seed in range(HISTORIES):
        records = records_of(seed)
        history = by_feed(records + heartbeats_of(seed, records))
        folded = fold(history)
        outcome = compute_of(folded, sso_complete_until(history))
        met.update(f"{alert['state']} {alert['reason']} {alert['hold']}" for alert in outcome.alerts.values())
        met["refused"] += len(folded.refused)
        met["workers of many records"] += sum(len(fields["records"]) > 5 for fields in outcome.workers.values())
        met["workers of contributions alone"] += sum(not fields["records"] for fields in outcome.workers.values())
        met["histories where an office's number joins nobody"] += bool(nobodys_numbers(folded))
    assert min(met.values()) >= 2, met
    assert len(met) == 12 + 4, met


def nobodys_numbers(folded: Folded) -> list[Identifier]:
    births: dict[Identifier, set[object]] = {}
    for record in (record for feed in KEPT for record in folded.present.get(feed, ())):
        for identifier in identifiers_of(record.said):
            births.setdefault(identifier, set()).add(record.said.get("birth_date"))
    return [identifier for identifier, days in births.items() if len(days - {None}) >= BIRTH_DATES_OF_NOBODY]
