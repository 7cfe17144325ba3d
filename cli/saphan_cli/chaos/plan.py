"""Which fault comes when: a seed, a length and a database give one list of timed faults, and nothing else decides it."""

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

Database = Literal["sqlite", "postgresql"]
Lane = Literal["processes", "surroundings"]

#: Longer than link's lease (15 s) and the pause of one that stands by (up to 10 s), and than a Kafka session (10 s):
#: the other one must take over.
_LEASE_OVER_SECONDS = (26.0, 28.0)
_SESSION_OVER_SECONDS = (13.0, 16.0)
_FIRST_SECONDS = 6.0
#: The last fault must have time to be over before the load ends.
_LAST_SECONDS = 8.0
_JITTER_SECONDS_MAX = 1.5


class Cause(NamedTuple):
    """One kind of fault at one target, and how long it may last. ``seconds`` (0, 0): over at once."""

    kind: str
    target: str
    seconds: tuple[float, float]
    lane: Lane
    databases: tuple[Database, ...] = ("sqlite", "postgresql")

    @property
    def name(self) -> str:
        """Kind and target in one word, as `--only` takes it."""
        return f"{self.kind}:{self.target}"


class Fault(NamedTuple):
    """One fault of a plan. Times count from the start of the load; ``seconds_max`` ends the wait until it has bitten.

    ``strength`` from 0 to 1 says how strong it is, where that can be chosen.
    """

    at_seconds: float
    lasts_seconds: float
    seconds_max: float
    cause: Cause
    strength: float


def _at_processes(kind: str, seconds: tuple[float, float], *targets: str) -> tuple[Cause, ...]:
    return tuple(Cause(kind, target, seconds, "processes") for target in targets)


def _of_postgres(kind: str, target: str, seconds: tuple[float, float]) -> Cause:
    return Cause(kind, target, seconds, "processes", ("postgresql",))


CAUSES: tuple[Cause, ...] = (
    *_at_processes("kill", (0, 0), "link", "link-standby", "integrate", "delivery", "metrics"),
    *_at_processes("pause", _LEASE_OVER_SECONDS, "link"),
    *_at_processes("pause", _SESSION_OVER_SECONDS, "integrate"),
    *_at_processes("pause", (4, 8), "link-standby", "delivery", "metrics", "broker"),
    *_at_processes("restart", (2, 6), "broker"),
    *_at_processes("kill", (1, 5), "broker"),
    *_at_processes("disk_full", (4, 8), "delivery", "broker"),
    # On PostgreSQL these two write nothing to a disk of their own.
    Cause("disk_full", "link", (4, 8), "processes", ("sqlite",)),
    Cause("disk_full", "integrate", (4, 8), "processes", ("sqlite",)),
    *_at_processes("rebalance_storm", (8, 12), "integrate"),
    *_at_processes("clock_forward", (6, 10), "all"),
    *_at_processes("clock_back", (6, 10), "all"),
    *_at_processes("clock_forward", (6, 10), "link-standby"),
    Cause("locked", "link", (5, 9), "processes", ("sqlite",)),
    Cause("locked", "integrate", (5, 9), "processes", ("sqlite",)),
    _of_postgres("kill", "database-connection", (0, 0)),
    _of_postgres("kill", "database", (1, 5)),
    _of_postgres("restart", "database", (2, 6)),
    _of_postgres("pause", "database", (4, 8)),
    _of_postgres("disk_full", "database", (3, 6)),
    Cause("slow", "webhook", (8, 14), "surroundings"),
    Cause("failing", "webhook", (6, 12), "surroundings"),
    Cause("resetting", "webhook", (6, 12), "surroundings"),
    Cause("silent", "webhook", (6, 12), "surroundings"),
    Cause("answer_lost", "webhook", (6, 12), "surroundings"),
    Cause("duplicated", "producers", (8, 14), "surroundings"),
    Cause("reordered", "producers", (8, 14), "surroundings"),
    Cause("poison", "producers", (8, 14), "surroundings"),
)
#: What a fault of each lane gets beside its own length, to bite and to be recovered from: at least, and where the plan is
#: long enough. While a fault of a process holds everything up, nothing is posted that one of the surroundings could bite.
_REST_SECONDS: dict[Lane, tuple[float, float]] = {"processes": (13.0, 13.0), "surroundings": (6.0, 24.0)}


def causes(database: Database, only: Collection[str] = ()) -> tuple[Cause, ...]:
    """What can be done to a platform on this database. ``only``: names, kinds or targets; none means all."""
    return tuple(
        cause
        for cause in CAUSES
        if database in cause.databases and (not only or {cause.name, cause.kind, cause.target} & set(only))
    )


def seconds_for_all(database: Database) -> float:
    """How long a plan must be to hold every cause."""
    needed = dict.fromkeys(_REST_SECONDS, 0.0)
    for cause in causes(database):
        needed[cause.lane] += _room_of(cause, _REST_SECONDS[cause.lane][0])
    return _FIRST_SECONDS + _LAST_SECONDS + max(needed.values())


def _room_of(cause: Cause, rest: float) -> float:
    return cause.seconds[1] + rest


def _rest_of(lane: Lane, room: float, chosen: Sequence[Cause]) -> float:
    """As much rest as lets every cause come once, within the lane's limits."""
    least, most = _REST_SECONDS[lane]
    lasting = sum(cause.seconds[1] for cause in chosen)
    return max(least, min(most, (room - lasting) / max(len(chosen), 1)))


def plan(seed: int, seconds: float, database: Database, only: Collection[str] = ()) -> tuple[Fault, ...]:
    """The faults of a run in order of time.

    Each lane has one fault at a time: every cause in an order that the seed gives, then every one again, as long as one
    fits. The two lanes go on beside each other.
    """
    chosen = causes(database, only)
    found: list[Fault] = []
    for lane in _REST_SECONDS:
        random = Random(f"{seed} {lane}")  # noqa: S311 - a plan must be the same again
        found += _in_lane(random, lane, seconds, [cause for cause in chosen if cause.lane == lane])
    return tuple(sorted(found))


def _in_lane(random: Random, lane: Lane, seconds: float, chosen: Sequence[Cause]) -> Iterator[Fault]:
    room = seconds - _FIRST_SECONDS - _LAST_SECONDS
    rest = _rest_of(lane, room, chosen)
    order, room = _order(random, room, rest, chosen)
    at, more = _FIRST_SECONDS, room / max(len(order), 1)
    for cause in order:
        late = random.uniform(0, _JITTER_SECONDS_MAX)
        lasts = random.uniform(*cause.seconds)
        seconds_max = _room_of(cause, rest) + more - late - 0.5
        yield Fault(round(at + late, 2), round(lasts, 2), round(seconds_max, 2), cause, round(random.random(), 3))
        at += _room_of(cause, rest) + more


def _order(random: Random, room: float, rest: float, chosen: Sequence[Cause]) -> tuple[list[Cause], float]:
    """Every cause once, then again in another order, as long as one fits; and the seconds that are left over."""
    found: list[Cause] = []
    while fitting := [cause for cause in random.sample(chosen, len(chosen)) if _room_of(cause, rest) <= room]:
        for cause in fitting:
            if _room_of(cause, rest) <= room:
                found.append(cause)
                room -= _room_of(cause, rest)
    return found, room
