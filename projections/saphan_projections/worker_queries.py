"""What people ask about one worker: which one is meant, what is known, which record said it, whose numbers these are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from saphan_projections.database import Transaction
from saphan_projections.link_records import record_key_hashes
from saphan_projections.worker import Member, WorkerState
from saphan_projections.worker_view import View, person_sources, view
from saphan_schemas.codec import Codec
from saphan_schemas.topics import WORKER_FEEDS


class WorkerLine(NamedTuple):
    """One worker in a list."""

    worker_id: str
    records: int
    nationality: str | None
    sex: str | None
    birth_year: int | None
    employed: bool
    enrolled: bool
    eligible: bool


class ContributionMonth(NamedTuple):
    """One month's contribution; ``paid_day`` counts from 1970-01-01."""

    record_id: str
    version: int
    month: str | None
    account: str | None
    branch: str | None
    wage_satang: int | None
    amount_satang: int | None
    paid_day: int | None


class WorkerShown(NamedTuple):
    """What is known of one worker, without names and numbers. ``sources``: attribute → the record that said it.

    ``worker_id`` and ``view`` are None for contributions that belong to no record of a person yet.
    """

    worker_no: int
    worker_id: str | None
    view: View | None
    sources: Mapping[str, Member]
    members: Sequence[Member]
    contributions: Sequence[ContributionMonth]


def workers(transaction: Transaction, limit: int) -> list[WorkerLine]:
    """The first workers in order of their arrival."""
    rows = transaction.rows(
        "SELECT worker_id, records, nationality, sex, birth_year, employed, enrolled, eligible FROM worker"
        " WHERE records > 0 ORDER BY worker_no LIMIT ?",
        (limit,),
    )
    return [WorkerLine._make((*row[:5], *map(bool, row[5:]))) for row in rows]


def worker_number_by_id(transaction: Transaction, worker_id: str) -> int | None:
    """The number of a worker by its id."""
    rows = transaction.rows("SELECT worker_no FROM worker WHERE worker_id = ? AND records > 0", (worker_id,))
    return int(rows[0][0]) if rows else None


class RecordOwner(NamedTuple):
    """Whose a record is by link's reckoning; ``worker_no`` None: deleted or nobody's."""

    feed: str
    record_id: str
    worker_no: int | None
    deleted: bool


def record_owners(transaction: Transaction, text: str) -> list[RecordOwner]:
    """Records by ``FEED/RECORD_ID`` or by record id alone in any feed about people, from link's database."""
    feed, _, rest = text.partition("/")
    wanted = [(feed, rest)] if feed in WORKER_FEEDS and rest else [(feed, text) for feed in WORKER_FEEDS]
    rows = transaction.rows_in(
        "SELECT feed, record_id, worker_no, deleted FROM record WHERE key_hash IN (:keys)",
        [number for feed, record_id in wanted for number in record_key_hashes(feed, (record_id,))],
    )
    found = [RecordOwner(row[0], row[1], row[2], bool(row[3])) for row in rows if (row[0], row[1]) in wanted]
    return sorted(found, key=lambda owner: WORKER_FEEDS.index(owner.feed))


def worker_shown(transaction: Transaction, worker_no: int) -> WorkerShown | None:
    """Everything that integrate knows of a worker; None while it knows nothing."""
    rows = transaction.rows("SELECT worker_id, state FROM worker WHERE worker_no = ? AND records > 0", (worker_no,))
    contributions = transaction.rows(
        "SELECT record_id, version, month, account, branch, wage_satang, amount_satang, paid_day"
        " FROM contribution_month WHERE worker_no = ? AND present",
        (worker_no,),
    )
    months = sorted(
        (ContributionMonth._make(row) for row in contributions), key=lambda row: (row.month or "", row.record_id)
    )
    if not rows:
        return WorkerShown(worker_no, None, None, {}, (), months) if months else None
    ((worker_id, packed),) = rows
    state = WorkerState.unpack(worker_no, packed)
    members = sorted(state.members.values(), key=lambda member: (WORKER_FEEDS.index(member.feed), member.record_id))
    return WorkerShown(worker_no, worker_id, view(state), person_sources(state), members, months)


def personal_records(transaction: Transaction, codec: Codec, worker_no: int) -> list[tuple[str, dict[str, Any]]]:
    """(feed, whole record in wire form) of a worker's records, names and numbers included, from link's database."""
    rows = transaction.rows("SELECT feed, payload FROM record WHERE worker_no = ? AND NOT deleted", (worker_no,))
    found = [(feed, codec.decode(feed, bytes(payload))) for feed, payload in rows]
    return sorted(found, key=lambda row: (WORKER_FEEDS.index(row[0]), row[1]["record_id"]))
