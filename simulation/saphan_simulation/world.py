"""One simulated province: what its agencies publish, in order of publication, as a function of a seed.

The same parameters, seed, number of workers, months and start give the same events on every machine.
"""

from collections.abc import Iterator
from datetime import date
from random import Random
from typing import NamedTuple

from saphan_schemas.topics import HEARTBEATS, INSURED_PERSONS
from saphan_schemas.values import date_to_days
from saphan_simulation.agencies import Agencies, Window
from saphan_simulation.book import Book, Event, Final
from saphan_simulation.dates import months_later
from saphan_simulation.draws import seed_of, share_per_draw
from saphan_simulation.employer_registries import EmployerRegistries
from saphan_simulation.employers import Employers
from saphan_simulation.employment_department import EmploymentDepartment
from saphan_simulation.identifiers import WORKERS_MAX
from saphan_simulation.life import Life
from saphan_simulation.lives import Lives
from saphan_simulation.names import Names
from saphan_simulation.other_registries import CivilRegistration, Immigration, PublicHealth
from saphan_simulation.pairs import Pairs
from saphan_simulation.parameters import Parameters
from saphan_simulation.settlement import Settlement
from saphan_simulation.social_security import SocialSecurity

#: e-WorkPermit, the real-time channel of DOE, opened on 13 October 2025 [EWP1]; the month is taken whole.
DEFAULT_START = date(2025, 10, 1)
MONTHS_MAX = 240

_EMPLOYER_STREAM = 3
_WORKER_STREAM = 4
_NAME_PARTS = 3


class WorldError(ValueError):
    """A world that cannot be simulated. The text says what was found and what was expected."""


class Told(NamedTuple):
    """What the agencies published about one worker."""

    life: Life
    events: list[Event]
    finals: list[Final]
    shares_a_number: bool


class Plan(NamedTuple):
    """All that a world follows from."""

    parameters: Parameters
    seed: int
    workers: int
    months: int
    start: date


class World:
    """A province. :meth:`employer` and :meth:`worker` (1 to ``workers``) may be asked in any order."""

    def __init__(
        self, parameters: Parameters, seed: int, workers: int, months: int, start: date = DEFAULT_START
    ) -> None:
        _check(seed, workers, months, start)
        self.plan = Plan(parameters, seed, workers, months, start)
        self.seed = seed
        self.workers = workers
        start_day = date_to_days(start)
        self.window = Window(start_day, months_later(start_day, months))
        self.parameters = parameters
        self.agencies = Agencies(self.window, seed, parameters)
        self.employers = Employers(workers, seed, parameters)
        self._pairs = Pairs(self.employer)
        names = Names(share_per_draw(parameters["identifiers.name_respelt_share"], _NAME_PARTS))
        parts = (self.window, parameters)
        self._book = Book(self.agencies, parameters)
        self._random = Random()
        self._lives = Lives(*parts, self.employers, names)
        self._employer_registries = EmployerRegistries(*parts, self.employers, names)
        self._employment_department = EmploymentDepartment(*parts, self.employers, names)
        self._civil_registration = CivilRegistration(*parts, names)
        self._immigration = Immigration(*parts, names)
        self._social_security = SocialSecurity(*parts, self.employers, names)
        self._public_health = PublicHealth(*parts)

    def employer_events(self) -> Iterator[Event]:
        """Everything published about employers, by employer."""
        for number in range(len(self.employers)):
            yield from self.employer(number)

    def employer(self, number: int) -> list[Event]:
        """Everything published about one employer; they are numbered from 0."""
        self._random.seed(seed_of(self.seed, _EMPLOYER_STREAM, number))
        self._book.begin(number, self._random)
        self._employer_registries.keep(number, self._book)
        events: list[Event] = []
        self._book.publish(events)
        return events

    def worker(self, number: int) -> Told:
        """Everything published about one worker."""
        self._random.seed(seed_of(self.seed, _WORKER_STREAM, number))
        book = self._book
        book.begin(number, self._random)
        life = self._lives.live(number, self._random)
        self._employment_department.keep(life, book)
        self._civil_registration.keep(life, book)
        self._immigration.keep(life, book)
        is_insured = self._social_security.keep(life, book)
        self._public_health.keep(life, book, is_insured=is_insured)
        events: list[Event] = []
        finals = book.publish(events)
        return Told(life, events, finals, book.shares_a_number)

    def heartbeat_events(self) -> Iterator[Event]:
        """All heartbeats; ``end_offsets`` is left to whoever publishes, who alone knows them."""
        for feed, sent_ms, complete_until_ms in self.agencies.heartbeats():
            yield sent_ms, HEARTBEATS, {"feed": feed, "complete_until": complete_until_ms, "sent_at": sent_ms}

    def settlement(self) -> Settlement:
        """What settles the alerts, at any moment up to the end."""
        beats = [
            (sent_ms, until_ms) for feed, sent_ms, until_ms in self.agencies.heartbeats() if feed == INSURED_PERSONS
        ]
        return Settlement(self._pairs, beats, self.window.end_ms, self.parameters["law.enrolment_deadline_days"])

    def events(self) -> Iterator[Event]:
        """Every event of the province: by employer, by worker, then heartbeats (not in order of time)."""
        yield from self.employer_events()
        for number in range(1, self.workers + 1):
            yield from self.worker(number).events
        yield from self.heartbeat_events()


def _check(seed: int, workers: int, months: int, start: date) -> None:
    if seed < 0:
        message = f"the seed is {seed}, expected a whole number from 0 on"
        raise WorldError(message)
    if not 1 <= workers <= WORKERS_MAX:
        message = f"{workers} workers, expected 1 to {WORKERS_MAX}"
        raise WorldError(message)
    if not 1 <= months <= MONTHS_MAX:
        message = f"{months} months, expected 1 to {MONTHS_MAX}"
        raise WorldError(message)
    if not date(2010, 1, 1) <= start <= date(2090, 1, 1):
        message = f"the simulation would start on {start}, expected a day from 2010 to 2090"
        raise WorldError(message)
