"""What the Department of Employment writes down about a worker: permits, and hires and exits as they are notified."""

from collections.abc import Callable

from saphan_schemas.topics import DAY_MS, EMPLOYMENTS, WORK_PERMITS
from saphan_simulation.agencies import Window
from saphan_simulation.book import NEW_IDENTITY, BirthDates, Book, Record
from saphan_simulation.dates import months_later, office_time_ms
from saphan_simulation.draws import SLOTS, quantile_table
from saphan_simulation.employers import Employers, employer_id
from saphan_simulation.identifiers import PERMITS_MAX, permit_number
from saphan_simulation.life import Job, Life
from saphan_simulation.names import Names
from saphan_simulation.parameters import Parameters

#: A permit: the day from which it counts and its number.
Permit = tuple[int, str]


class EmploymentDepartment:
    """Keeps permits and employments of one worker after another."""

    def __init__(self, window: Window, parameters: Parameters, employers: Employers, names: Names) -> None:
        self._window = window
        self._employers = employers
        self._names = names
        self._notice_days = quantile_table(parameters["doe.notice_days_quantiles"])
        self._months = parameters["doe.permit_months"]
        given = parameters["doe.identifiers_given_share"]
        self._gives_permit: float = given["permit_number"]
        self._gives_number: float = given["non_thai_id"]
        self._gives_passport: float = given["passport_number"]
        self._exit_share: float = parameters["doe.exit_notified_share"]
        self._renewed_share: float = parameters["doe.permit_renewed_share"]
        self._late_share: float = parameters["doe.permit_renewal_late_share"]
        self._new_number_share: float = parameters["doe.permit_new_number_share"]
        self._permit_number_share: float = parameters["doe.permit_person_number_share"]
        self._contract_known_share: float = parameters["jobs.contract_known_share"]
        self._previous_share: float = parameters["identifiers.previous_passport_given_share"]["permits"]
        self._birth_dates = BirthDates(parameters)
        self._correction_share: float = parameters["faults.correction_share"]
        self._wrong_employer_share: float = parameters["faults.correction_employer_share"]
        self._correction_soon_share: float = parameters["faults.correction_soon_share"]
        self._twice_share: float = parameters["faults.registered_twice_share"]
        self._deleted_share: float = parameters["faults.deleted_share"]

    def keep(self, life: Life, book: Book) -> None:
        """Write the worker's permits and employments into the book."""
        permits: list[Permit] = []
        for place, (entry, leave) in enumerate(life.stays):
            self._permit(life, book, permits, entry, leave, is_return=place > 0)
        for job in life.jobs:
            self._employment(life, book, permits, job)

    def _permit(
        self, life: Life, book: Book, permits: list[Permit], entry: int, leave: int | None, *, is_return: bool
    ) -> None:
        random = book.random
        window = self._window
        months = self._months[life.track]
        registered = entry + int(random() * 20)
        valid_from = registered
        if entry < window.start_day:
            # The permit in force when the simulation begins was issued some time ago; earlier ones are past.
            valid_from = max(entry, window.start_day - 1 - int(random() * months * 30))
            registered = min(registered, window.start_day - 1)
        slot = self._issue(life, book, permits, registered, valid_from, is_return=is_return)
        last_day = min(window.end_day, leave if leave is not None else window.end_day)
        until = months_later(valid_from, months) - 1
        while until < last_day and random() < self._renewed_share:
            renewed_on = until - int(random() * 15) if random() >= self._late_share else until + int(random() * 60)
            valid_from, until = until + 1, months_later(until + 1, months) - 1
            if random() < self._new_number_share and len(permits) < PERMITS_MAX:
                slot = self._issue(life, book, permits, renewed_on, valid_from, is_return=False)
            else:
                at_ms = office_time_ms(renewed_on, random())
                book.change(slot, at_ms, valid_from=valid_from, valid_until=until)
        self._new_passports(life, book, slot, registered, last_day)

    def _issue(
        self, life: Life, book: Book, permits: list[Permit], day: int, valid_from: int, *, is_return: bool
    ) -> int:
        random = book.random
        if len(permits) < PERMITS_MAX:
            permits.append((valid_from, permit_number(life.number, len(permits))))
        passport, identity = life.passport_on(day), life.identity_on(day)
        shows_previous = passport is not None and passport.previous and random() < self._previous_share
        numbers = {
            "non_thai_id": identity.person_number if random() < self._permit_number_share else None,
            "passport_number": passport.number if passport else None,
            "previous_passport_number": passport.previous if passport and shows_previous else None,
        }
        fields: Record = {
            "nationality": life.nationality,
            "permit_number": permits[-1][1],
            "full_name": self._names.spell(life.name_on(day), random),
            "birth_date": self._birth_dates.noted(random, life.birth_day),
            "sex": life.sex,
            "permit_type": life.track,
            "valid_from": valid_from,
            "valid_until": months_later(valid_from, self._months[life.track]) - 1,
        }
        slot = book.open(WORK_PERMITS, office_time_ms(day, random()), numbers, fields)
        if is_return and passport is not None and len(life.passports) > 1 and not shows_previous:
            book.mark(slot, NEW_IDENTITY)
        return slot

    def _new_passports(self, life: Life, book: Book, slot: int, first_day: int, last_day: int) -> None:
        random = book.random
        for passport in life.passports:
            if first_day < passport.from_day < last_day:
                shows = passport.previous is not None and random() < self._previous_share
                book.change(
                    slot,
                    office_time_ms(passport.from_day + int(random() * 30), random()),
                    passport_number=book.written(passport.number),
                    previous_passport_number=passport.previous if shows else None,
                )

    def _employment(self, life: Life, book: Book, permits: list[Permit], job: Job) -> None:
        random = book.random
        window = self._window
        noticed = job.start_day + self._notice_days[int(random() * SLOTS)]
        if noticed >= window.end_day:
            return
        fields = self._hire(life, job, random)
        at_ms = office_time_ms(noticed, random())
        slot = book.open(EMPLOYMENTS, at_ms, self._numbers(life, book, permits, job.start_day), fields)
        if life.identity_on(job.start_day).is_apart:
            book.mark(slot, NEW_IDENTITY)
        luck = random()
        if luck < self._correction_share:
            self._correct(book, slot, at_ms, job)
        elif luck < self._correction_share + self._twice_share:
            numbers = self._numbers(life, book, permits, job.start_day)
            book.open(EMPLOYMENTS, at_ms + int(random() * 10) * DAY_MS, numbers, fields.copy())
        elif luck < self._correction_share + self._twice_share + self._deleted_share:
            self._mistaken(life, book, permits, job, noticed)
        if job.end_day is not None and random() < self._exit_share:
            told = job.end_day + self._notice_days[int(random() * SLOTS)]
            book.change(slot, office_time_ms(told, random()), end_date=job.end_day)

    def _hire(self, life: Life, job: Job, random: Callable[[], float]) -> Record:
        return {
            "nationality": life.nationality,
            **self._place_of_work(job.employer),
            "sector": job.sector,
            "start_date": job.start_day,
            "end_date": None,
            "contract_months": job.contract_months if random() < self._contract_known_share else None,
        }

    def _place_of_work(self, employer: int) -> Record:
        return {"employer_id": employer_id(employer), "workplace_district": self._employers.district(employer)}

    def _numbers(self, life: Life, book: Book, permits: list[Permit], day: int) -> dict[str, str | None]:
        random = book.random
        permit = next((number for from_day, number in reversed(permits) if from_day <= day + 30), permits[0][1])
        passport = life.passport_on(day)
        numbers = {
            "permit_number": permit if random() < self._gives_permit else None,
            "non_thai_id": life.identity_on(day).person_number if random() < self._gives_number else None,
            "passport_number": passport.number if passport and random() < self._gives_passport else None,
        }
        if not any(numbers.values()):
            numbers["permit_number"] = permit
        return numbers

    def _correct(self, book: Book, slot: int, at_ms: int, job: Job) -> None:
        """The notice first had a wrong employer or a wrong first day; often it is set right within hours."""
        random = book.random
        employer = job.employer
        if random() < self._wrong_employer_share:
            employer = self._employers.choose(job.sector, random())
        if employer != job.employer:
            first, right = self._place_of_work(employer), self._place_of_work(job.employer)
        else:
            first, right = {"start_date": job.start_day - 1 - int(random() * 12)}, {"start_date": job.start_day}
        book.amend(slot, **first)
        soon = random() < self._correction_soon_share
        later_ms = int(random() * 10_800_000) if soon else (1 + int(random() * 20)) * DAY_MS
        book.change(slot, at_ms + later_ms, **right)

    def _mistaken(self, life: Life, book: Book, permits: list[Permit], job: Job, day: int) -> None:
        """A hire that never was, with another employer, taken out again."""
        random = book.random
        wrong = Job(self._employers.choose(job.sector, random()), job.sector, job.start_day, job.contract_months)
        numbers = self._numbers(life, book, permits, job.start_day)
        slot = book.open(EMPLOYMENTS, office_time_ms(day, random()), numbers, self._hire(life, wrong, random))
        book.delete(slot, office_time_ms(day + 1 + int(random() * 40), random()))
