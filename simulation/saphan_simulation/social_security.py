"""What the SSO writes down about a worker: who was registered by whom, when, and which months were paid."""

from collections.abc import Sequence

from saphan_schemas.topics import CONTRIBUTIONS, DAY_MS, INSURED_PERSONS
from saphan_simulation.agencies import Window
from saphan_simulation.book import NEW_IDENTITY, SSO_NUMBER_ONLY, BirthDates, Book, Record
from saphan_simulation.dates import month_first_day, month_of, month_text, office_time_ms
from saphan_simulation.draws import SLOTS, quantile_table
from saphan_simulation.employers import Employers
from saphan_simulation.identifiers import assigned_insured_number
from saphan_simulation.life import Job, Life
from saphan_simulation.names import Names
from saphan_simulation.parameters import Parameters


class Insured:
    """One insurance as filed, for its contributions. ``last_day`` is None while it lasts.

    ``papers_day`` is the day whose papers the employer shows, the last one at work when it files later.
    """

    __slots__ = ("account", "branch", "first_day", "last_day", "number", "papers_day", "wage_satang")

    def __init__(self, number: str, account: str, branch: str, first_day: int, wage_satang: int) -> None:
        self.number = number
        self.account = account
        self.branch = branch
        self.first_day = first_day
        self.last_day: int | None = None
        self.papers_day = first_day
        self.wage_satang = wage_satang


class SocialSecurity:
    """Keeps insured persons and contributions of one worker after another."""

    def __init__(self, window: Window, parameters: Parameters, employers: Employers, names: Names) -> None:
        self._window = window
        self._employers = employers
        self._names = names
        self._filing_days = quantile_table(parameters["sso.filing_days_quantiles"])
        self._filed = parameters["sso.filed_share"]
        self._voluntary = parameters["sso.voluntary_share"]
        given = parameters["sso.identifiers_given_share"]
        self._gives_number: float = given["non_thai_id"]
        self._gives_passport: tuple[float, float] = (given["passport_without_number"], given["passport_with_number"])
        self._p = {
            name: parameters[name]
            for name in (
                "sso.other_employer_share", "sso.start_backdated_share", "sso.ends_early_share",
                "sso.exit_notified_share", "sso.number_only_share", "sso.never_after_exit_share",
                "sso.other_employer_reach_share", "sso.exit_late_share",
                "faults.correction_share", "faults.correction_soon_share", "faults.registered_twice_share", "faults.deleted_share",
            )
        }  # fmt: skip
        self._birth_dates = BirthDates(parameters)
        self._contributions = Contributions(window, parameters)

    def keep(self, life: Life, book: Book) -> bool:
        """Write the worker's insurances and contributions; returns whether any insurance was ever filed."""
        random = book.random
        number_only = random() < self._p["sso.number_only_share"]
        any_filed = False
        for job in life.jobs:
            any_filed |= self._file(life, book, job, number_only=number_only)
        self._volunteer(life, book, number_only=number_only)
        return any_filed

    def _file(self, life: Life, book: Book, job: Job, *, number_only: bool) -> bool:
        random = book.random
        employer = self._registering(job, random(), random())
        filed_day = job.start_day + self._filing_days[int(random() * SLOTS)]
        if employer is None or filed_day >= self._window.end_day:
            return False
        if job.end_day is not None and filed_day > job.end_day and random() < self._p["sso.never_after_exit_share"]:
            return False
        backdated = random() < self._p["sso.start_backdated_share"]
        insured = Insured(
            _insured_number(life, job.start_day, number_only=number_only),
            self._employers.account(employer),
            self._employers.branch_of(employer, life.number),
            job.start_day if backdated or (job.end_day is not None and filed_day > job.end_day) else filed_day,
            job.wage_satang,
        )
        insured.papers_day = filed_day if job.end_day is None else min(filed_day, job.end_day)
        at_ms = office_time_ms(filed_day, random())
        slot = self._register(life, book, insured, at_ms, number_only=number_only)
        self._err(life, book, insured, slot, at_ms, filed_day, number_only=number_only)
        self._finish(book, job, insured, slot, filed_day)
        self._contributions.keep(book, insured, filed_day, life.illnesses)
        return True

    def _registering(self, job: Job, u_files: float, u_other: float) -> int | None:
        """The employer under whose account the worker is registered for this job; None: never."""
        share = self._filed["eligible" if job.eligible else "exempt"]
        other_share = self._p["sso.other_employer_share"]
        files = self._employers.branches[job.employer] > 0 and u_files < share
        if u_other < other_share and (files or u_files < self._p["sso.other_employer_reach_share"]):
            return self._employers.choose_registered(job.sector, u_other / other_share)
        return job.employer if files else None

    def _register(self, life: Life, book: Book, insured: Insured, at_ms: int, *, number_only: bool) -> int:
        random = book.random
        day = insured.papers_day
        passport, identity = life.passport_on(day), life.identity_on(day)
        shows_passport = passport is not None and random() < self._gives_passport[identity.person_number is not None]
        numbers: dict[str, str | None] = {
            "non_thai_id": identity.person_number if random() < self._gives_number and not number_only else None,
            "passport_number": passport.number if passport and shows_passport and not number_only else None,
        }
        fields: Record = {
            "insured_number": insured.number,
            "nationality": life.nationality,
            "full_name": self._names.spell(life.name_on(day), random),
            "birth_date": self._birth_dates.noted(random, life.birth_day),
            "sex": life.sex,
            "section": "33",
            "sso_account": insured.account,
            "sso_branch": insured.branch,
            "start_date": insured.first_day,
            "end_date": None,
        }
        slot = book.open(INSURED_PERSONS, at_ms, numbers, fields)
        if not any(numbers.values()) and insured.number != identity.person_number:
            book.mark(slot, SSO_NUMBER_ONLY)
        elif identity.is_apart:
            book.mark(slot, NEW_IDENTITY)
        return slot

    def _err(
        self, life: Life, book: Book, insured: Insured, slot: int, at_ms: int, day: int, *, number_only: bool
    ) -> None:
        random = book.random
        luck = random()
        corrected = self._p["faults.correction_share"]
        twice = corrected + self._p["faults.registered_twice_share"]
        if luck < corrected:
            book.amend(slot, start_date=insured.first_day - int(random() * 9) - 1)
            soon = random() < self._p["faults.correction_soon_share"]
            later_ms = int(random() * 10_800_000) if soon else (1 + int(random() * 25)) * DAY_MS
            book.change(slot, at_ms + later_ms, start_date=insured.first_day)
        elif luck < twice:
            again = day + int(random() * 15)
            self._register(life, book, insured, office_time_ms(again, random()), number_only=number_only)
        elif luck < twice + self._p["faults.deleted_share"]:
            again = day + int(random() * 15)
            wrong = self._register(life, book, insured, office_time_ms(again, random()), number_only=number_only)
            book.delete(wrong, office_time_ms(again + 1 + int(random() * 30), random()))

    def _finish(self, book: Book, job: Job, insured: Insured, slot: int, filed_day: int) -> None:
        random = book.random
        last_possible = job.end_day if job.end_day is not None else self._window.end_day
        if random() < self._p["sso.ends_early_share"] and last_possible - insured.first_day > 60:
            # Ended after being filed, so that in the stock it did not end long before anyone looked.
            earliest = max(insured.first_day + 30, filed_day, self._window.start_day)
            if earliest < last_possible:
                insured.last_day = earliest + int(random() * (last_possible - earliest))
                told = insured.last_day + 1 + int(random() * 20)
                book.change(slot, office_time_ms(told, random()), end_date=insured.last_day)
                return
        if job.end_day is None:
            return
        insured.last_day = max(job.end_day, insured.first_day)
        if random() < self._p["sso.exit_notified_share"]:
            due = month_first_day(month_of(job.end_day) + 1) + 14
            early_days, is_late = int(random() * 30), random() < self._p["sso.exit_late_share"]
            told = max(filed_day, due - early_days + (20 if is_late else 0), job.end_day)
            book.change(slot, office_time_ms(told, random()), end_date=insured.last_day)

    def _volunteer(self, life: Life, book: Book, *, number_only: bool) -> None:
        random = book.random
        luck = random()
        for section, share in self._voluntary.items():
            if luck < share:
                day = max(life.arrival_day, self._window.start_day - 200) + int(random() * 200)
                number = _insured_number(life, day, number_only=number_only)
                voluntary = Insured(number, "", "", day, 0)
                slot = self._register(life, book, voluntary, office_time_ms(day, random()), number_only=False)
                book.amend(slot, section=section, sso_account=None, sso_branch=None)
                return
            luck -= share


def _insured_number(life: Life, day: int, *, number_only: bool) -> str:
    identity = life.identity_on(day)
    if identity.person_number is None or number_only:
        return assigned_insured_number(life.number, identity.ordinal)
    return identity.person_number


class Contributions:
    """The months that are paid for an insurance, and how much."""

    def __init__(self, window: Window, parameters: Parameters) -> None:
        self._window = window
        self._first_month = month_of(window.start_day) - 1
        self._lapsed_share: float = parameters["sso.contribution_lapsed_share"]
        self._late_share: float = parameters["sso.contribution_late_share"]
        self._corrected_share: float = parameters["sso.contribution_corrected_share"]
        self._percent: int = parameters["law.contribution_percent"]
        self._floor: int = parameters["law.wage_floor_satang"]
        self._ceilings: list[tuple[str, int]] = [(step[0], step[1]) for step in parameters["law.wage_ceiling_satang"]]
        self._months: dict[int, tuple[str, str, int, int]] = {}

    def keep(self, book: Book, insured: Insured, filed_day: int, illnesses: Sequence[tuple[int, int]]) -> None:
        """Write one record for each month that is paid before the end of the window."""
        random = book.random
        end_day = self._window.end_day
        first = max(month_of(insured.first_day), self._first_month)
        last = month_of(insured.last_day if insured.last_day is not None else end_day - 1)
        own_id = book.next_id(CONTRIBUTIONS)
        for month in range(first, last + 1):
            text, suffix, due_day, ceiling = self._month(month)
            if due_day >= end_day + 20:
                return
            if random() < self._lapsed_share:
                continue
            wage = earned_satang(insured.wage_satang, month, illnesses) if illnesses else insured.wage_satang
            if not wage:
                continue
            paid_on = due_day - int(random() * 10) if random() >= self._late_share else due_day + int(random() * 40)
            paid_on = max(paid_on, filed_day)
            if paid_on >= end_day:
                continue
            at_ms = office_time_ms(paid_on, random())
            slot = book.open(
                CONTRIBUTIONS,
                at_ms,
                {},
                {
                    "record_id": own_id + suffix,
                    "insured_number": insured.number,
                    "sso_account": insured.account,
                    "sso_branch": insured.branch,
                    "month": text,
                    "wage_satang": wage,
                    "amount_satang": self._amount(wage, ceiling),
                    "paid_on": paid_on,
                },
            )
            if random() < self._corrected_share:
                right = wage + 50_000
                at_ms += (1 + int(random() * 40)) * DAY_MS
                book.change(slot, at_ms, wage_satang=right, amount_satang=self._amount(right, ceiling))

    def _month(self, month: int) -> tuple[str, str, int, int]:
        """(YYYY-MM, suffix of the record id, the 15th of the next month, ceiling in satang)."""
        found = self._months.get(month)
        if found is None:
            text = month_text(month)
            ceiling = [amount for since, amount in self._ceilings if since <= text][-1]
            due_day = month_first_day(month + 1) + 14
            found = self._months[month] = (text, f"-{text[2:4]}{text[5:]}", due_day, ceiling)
        return found

    def _amount(self, wage_satang: int, ceiling: int) -> int:
        return max(self._floor, min(wage_satang, ceiling)) * self._percent // 100


def earned_satang(wage_satang: int, month: int, illnesses: Sequence[tuple[int, int]]) -> int:
    """A month's wage in whole baht without the days of illness; ``month`` counts from year 0."""
    first, after = month_first_day(month), month_first_day(month + 1)
    ill_days = sum(max(0, min(last + 1, after) - max(since, first)) for since, last in illnesses)
    days = after - first
    return wage_satang * (days - ill_days) // days // 100 * 100 if ill_days else wage_satang
