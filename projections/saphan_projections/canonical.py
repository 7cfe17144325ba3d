"""What makes two states the same: canonical forms of workers and settled alerts, their hashes and their differences.

A form holds nothing that depends on history: no worker or record numbers, sequences, partitions, offsets, clocks. The
hash of many is the sum of the hashes of each, so that their order does not matter and none need be remembered. It finds
accidents; it is no seal against somebody who wants two states to look alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import msgpack

from saphan_projections.database import Row, Transaction
from saphan_projections.law import Law
from saphan_projections.settled import NO_BASIS, SettledAlert, read_bases, settled_of_worker
from saphan_projections.worker import WorkerState

_NUMBERS_PER_READ = 2_048
_DIGEST_BYTES = 32
_MODULUS = 1 << (8 * _DIGEST_BYTES)
#: Differing items are looked up by bucket, so that only those are kept in memory.
_BUCKETS = 4_096
_BUCKETS_PER_PASS = 256

Form = dict[str, Any]
Kind = Literal["worker", "alert"]


class StateHash(NamedTuple):
    """Hashes (hexadecimal) of all integrated workers and of all settled alerts, and how many there are.

    ``workers`` counts contributions that belong to no known worker as one for each person.
    """

    workers_hash: str
    workers: int
    alerts_hash: str
    alerts: int

    @property
    def state_hash(self) -> str:
        """One hash of both."""
        text = f"{self.workers}:{self.workers_hash}:{self.alerts}:{self.alerts_hash}"
        return blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


class Difference(NamedTuple):
    """What differs in one worker or alert. ``field`` is "presence" where only one of both has it.

    ``one`` and ``other`` are the field's values without people's attributes: of ``view`` both are the names of the
    parts that differ. ``records`` are the ids of the records that are concerned.
    """

    kind: Kind
    id: str
    field: str
    one: Any
    other: Any
    records: tuple[str, ...]


def state_hash(
    transaction: Transaction, law: Law, as_of_ms: int | None = None, on_progress: Callable[[int], None] | None = None
) -> StateHash:
    """The canonical hashes of the committed rows; ``as_of_ms`` as in :func:`saphan_projections.settled.settled_alerts`.

    ``on_progress`` is told now and then how many workers are done.
    """
    sums: dict[str, int] = {"worker": 0, "alert": 0}
    counts: dict[str, int] = {"worker": 0, "alert": 0}
    for kind, _, form in forms(transaction, law, as_of_ms):
        sums[kind] = (sums[kind] + _digest(form)) % _MODULUS
        counts[kind] += 1
        if on_progress is not None and kind == "worker" and counts[kind] % 10_000 == 0:
            on_progress(counts[kind])
    return StateHash(
        f"{sums['worker']:0{2 * _DIGEST_BYTES}x}",
        counts["worker"],
        f"{sums['alert']:0{2 * _DIGEST_BYTES}x}",
        counts["alert"],
    )


def forms(transaction: Transaction, law: Law, as_of_ms: int | None = None) -> Iterator[tuple[Kind, str, Form]]:
    """(kind, id, canonical form) of every worker and settled alert, in no order that means anything."""
    bases = read_bases(transaction)
    for start in range(0, _highest_number(transaction) + 1, _NUMBERS_PER_READ):
        part = _read_part(transaction, start, start + _NUMBERS_PER_READ)
        for number, (partition, worker_id, packed, *columns) in part.workers.items():
            state = WorkerState.unpack(number, packed)
            contributions = part.contributions.pop(number, [])
            if not state.members:
                if contributions:
                    yield _contributions_alone(contributions)
                continue
            yield "worker", worker_id, _worker_form(worker_id, columns, state, part, contributions)
            for alert in settled_of_worker(state, worker_id, bases.get(partition, NO_BASIS), law, as_of_ms):
                yield "alert", alert.alert_id, alert_form(alert)
        for contributions in part.contributions.values():
            yield _contributions_alone(contributions)


class _Part(NamedTuple):
    """The rows of a range of worker numbers, by number."""

    workers: dict[int, Row]
    employments: dict[int, list[Row]]
    enrolments: dict[int, list[Row]]
    contributions: dict[int, list[Row]]


_WORKERS = (
    "SELECT worker_no, partition, worker_id, state, nationality, sex, birth_year, employed, enrolled, eligible"
    " FROM worker WHERE worker_no >= ? AND worker_no < ?"
)
_EMPLOYMENTS = (
    "SELECT worker_no, record_id, employer_id, district, sector, start_day, end_day"
    " FROM employment WHERE worker_no >= ? AND worker_no < ?"
)
_ENROLMENTS = (
    "SELECT worker_no, record_id, section, account, branch, start_day, end_day"
    " FROM enrolment WHERE worker_no >= ? AND worker_no < ?"
)
_CONTRIBUTIONS = (
    "SELECT worker_no, record_id, version, content_hash, month, account, branch, wage_satang, amount_satang, paid_day"
    " FROM contribution_month WHERE worker_no >= ? AND worker_no < ? AND present"
)


def _highest_number(transaction: Transaction) -> int:
    ((workers, contributions),) = transaction.rows(
        "SELECT (SELECT max(worker_no) FROM worker), (SELECT max(worker_no) FROM contribution_month)"
    )
    return max(workers or 0, contributions or 0)


def _read_part(transaction: Transaction, start: int, end: int) -> _Part:
    def grouped(sql: str) -> dict[int, list[Row]]:
        by_number: dict[int, list[Row]] = {}
        for row in transaction.rows(sql, (start, end)):
            by_number.setdefault(row[0], []).append(row[1:])
        return by_number

    workers = transaction.rows(_WORKERS, (start, end))
    return _Part(
        {row[0]: row[1:] for row in workers}, grouped(_EMPLOYMENTS), grouped(_ENROLMENTS), grouped(_CONTRIBUTIONS)
    )


def _worker_form(
    worker_id: str, columns: Sequence[Any], state: WorkerState, part: _Part, contributions: list[Row]
) -> Form:
    nationality, sex, birth_year, *flags = columns
    number = state.worker_no
    # The rows beside the state are what people query and what a change of a pair is looked up in: they count, too.
    return {
        "worker_id": worker_id,
        "members": sorted([(m.feed, m.record_id, m.version, m.changed_at, m.content_hash, m.kept) for m in state.members.values()]),
        # In the order of _VIEW_PARTS.
        "view": (nationality, sex, birth_year, *map(bool, flags)),
        "employments": sorted(part.employments.get(number, ())),
        "enrolments": sorted(part.enrolments.get(number, ())),
        "contributions": sorted(contributions),
    }  # fmt: skip


def _contributions_alone(contributions: list[Row]) -> tuple[Kind, str, Form]:
    rows = sorted(contributions)
    name = f"contributions:{rows[0][0]}"
    return "worker", name, {"worker_id": name, "members": [], "contributions": rows}


def alert_form(alert: SettledAlert) -> Form:
    """The canonical form of a settled alert: without the version told, and evidence without partition and offset."""
    return {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "employment_record_id": alert.employment_record_id,
        "worker_id": alert.worker_id,
        "employer_id": alert.employer_id,
        "state": alert.state,
        "reason": alert.reason,
        "hold": alert.hold,
        "hold_as_of": alert.hold_as_of,
        "due_day": alert.due_day,
        "since_day": alert.since_day,
        "rule_version": alert.rule_version,
        "evidence": [(role, r.feed, r.record_id, r.version) for role, r in alert.evidence],
    }


def _digest(form: Form) -> int:
    return int.from_bytes(blake2b(msgpack.packb(form), digest_size=_DIGEST_BYTES).digest(), "big")


# -- differences ---------------------------------------------------------------------------------------------------


def differences(one: Transaction, other: Transaction, law: Law, as_of_ms: int | None = None) -> Iterator[Difference]:
    """Where two states differ, in no order; nothing when their hashes are the same.

    Reads each side once, and again for what differs: memory grows with a part of the differences only. Take as many
    as you need.
    """
    ours, theirs = _bucket_sums(one, law, as_of_ms), _bucket_sums(other, law, as_of_ms)
    differing = [bucket for bucket in range(_BUCKETS) if ours[bucket] != theirs[bucket]]
    for start in range(0, len(differing), _BUCKETS_PER_PASS):
        wanted = set(differing[start : start + _BUCKETS_PER_PASS])
        left, right = (_items(side, law, as_of_ms, wanted) for side in (one, other))
        for key in sorted(left.keys() | right.keys()):
            yield from _compare(key, left.get(key), right.get(key))


def _bucket(kind: Kind, name: str) -> int:
    return int.from_bytes(blake2b(f"{kind}|{name}".encode(), digest_size=2).digest(), "big") % _BUCKETS


def _bucket_sums(transaction: Transaction, law: Law, as_of_ms: int | None) -> list[int]:
    sums = [0] * _BUCKETS
    for kind, name, form in forms(transaction, law, as_of_ms):
        bucket = _bucket(kind, name)
        sums[bucket] = (sums[bucket] + _digest(form)) % _MODULUS
    return sums


def _items(
    transaction: Transaction, law: Law, as_of_ms: int | None, wanted: set[int]
) -> Mapping[tuple[Kind, str], Form]:
    return {
        (kind, name): form for kind, name, form in forms(transaction, law, as_of_ms) if _bucket(kind, name) in wanted
    }


def _compare(key: tuple[Kind, str], one: Form | None, other: Form | None) -> Iterator[Difference]:
    kind, name = key
    if one is None or other is None:
        records = _records(kind, one or other or {})
        yield Difference(kind, name, "presence", one is not None, other is not None, records)
        return
    for field in sorted(one.keys() | other.keys()):
        left, right = one.get(field), other.get(field)
        if left == right:
            continue
        if field in _ROWS:
            yield _rows_difference(kind, name, field, left or [], right or [])
        elif field == "view":
            parts = [
                part for part, ours, theirs in zip(_VIEW_PARTS, one[field], other[field], strict=True) if ours != theirs
            ]
            yield Difference(kind, name, field, parts, parts, _records(kind, one))
        else:
            yield Difference(kind, name, field, left, right, _records(kind, one))


_VIEW_PARTS = ("nationality", "sex", "birth_year", "employed", "enrolled", "eligible")
#: Fields that are lists of rows, and where in a row the record id stands.
_ROWS = {"members": 1, "employments": 0, "enrolments": 0, "contributions": 0, "evidence": 2}


def _rows_difference(kind: Kind, name: str, field: str, left: Sequence[Any], right: Sequence[Any]) -> Difference:
    """Which rows only one side has: by record id and, where a row has one, version; never people's attributes."""
    place = _ROWS[field]
    shared = set(left) & set(right)
    only_left, only_right = ([row for row in rows if row not in shared] for rows in (left, right))
    records = sorted({row[place] for row in (*only_left, *only_right)})
    said = [
        [f"{row[place]} version {row[place + 1]}" if field in {"members", "contributions", "evidence"} else row[place] for row in rows]
        for rows in (only_left, only_right)
    ]  # fmt: skip
    return Difference(kind, name, field, said[0], said[1], tuple(records))


def _records(kind: Kind, form: Form) -> tuple[str, ...]:
    if kind == "alert":
        return (form["employment_record_id"],)
    return tuple(row[1] for row in form["members"]) or tuple(row[0] for row in form["contributions"])
