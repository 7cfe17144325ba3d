"""What truly happens to a worker: arriving by one of the tracks, documents, jobs, leaving and coming back."""

from collections.abc import Callable
from random import Random

from saphan_simulation.agencies import Window
from saphan_simulation.dates import month_first_day, month_of
from saphan_simulation.draws import SLOTS, YEAR_DAYS, mix_table, quantile_table, waiting_table
from saphan_simulation.employers import Employers
from saphan_simulation.identifiers import IDENTITIES_MAX, PASSPORTS_MAX, passport_number, person_number
from saphan_simulation.life import Identity, Job, Life, Passport
from saphan_simulation.names import Names
from saphan_simulation.parameters import Parameters

AGRICULTURE = "agriculture"
_SEASON_MONTHS = 6


class Lives:
    """Makes one life after another from its own random numbers."""

    def __init__(self, window: Window, parameters: Parameters, employers: Employers, names: Names) -> None:
        self._window = window
        self._employers = employers
        self._names = names
        self._tracks = mix_table(parameters["people.track_mix"])
        self._nationalities = mix_table(parameters["people.nationality_mix"])
        self._sectors = mix_table(parameters["province.sector_mix"])
        self._ages = quantile_table(parameters["people.age_years_quantiles"])
        self._departures = waiting_table(parameters["people.departures_per_year"])
        self._renewals = waiting_table(parameters["identifiers.passport_renewals_per_year"])
        self._illnesses = waiting_table(parameters["people.illnesses_per_year"])
        self._illness_days = quantile_table(parameters["people.illness_days_quantiles"])
        self._tenures = {name: waiting_table(rate) for name, rate in parameters["jobs.changes_per_year"].items()}
        self._gaps = quantile_table(parameters["jobs.gap_days_quantiles"])
        self._after_season = quantile_table(parameters["jobs.after_season_days_quantiles"])
        self._first_days = quantile_table(parameters["jobs.start_days_quantiles"])
        self._wages = quantile_table(parameters["jobs.wage_factor_quantiles"])
        self._month_wage_satang = parameters["jobs.daily_wage_satang"] * 26
        self._season = frozenset(month - 1 for month in parameters["province.cane_season_months"])
        self._off_season_share = 1 / max(1.0, parameters["province.cane_season_hires_factor"])
        self._exempt_below = parameters["law.contract_months_exempt_below"]
        self._person_number_share = parameters["identifiers.person_number_share"]
        self._passport_share = parameters["identifiers.passport_share"]
        self._p = {
            name: parameters[name]
            for name in (
                "people.male_share", "people.birth_day_unknown_share", "people.stock_share", "people.stock_years_max",
                "people.return_share", "people.return_days_min", "people.return_days_max", "people.return_new_passport_share", "people.return_previous_known_share",
                "people.return_new_name_share", "people.return_new_person_number_share",
                "identifiers.other_series_share",
                "identifiers.passport_renewal_new_name_share", "jobs.same_sector_share", "jobs.second_job_share",
                "jobs.seasonal_share", "jobs.full_year_share", "jobs.one_year_contract_share",
            )
        }  # fmt: skip

    def live(self, number: int, source: Random) -> Life:
        """The whole life of worker ``number`` up to the end of the window."""
        random = source.random
        life = Life(number)
        p = self._p
        life.track = track = self._tracks[int(random() * SLOTS)]
        life.nationality = self._nationalities[int(random() * SLOTS)]
        life.sex = "M" if random() < p["people.male_share"] else "F"
        life.arrival_day = self._arrival(random)
        age_days = self._ages[int(random() * SLOTS)] * YEAR_DAYS + int(random() * YEAR_DAYS)
        life.birth_day = self._window.start_day - age_days - 5
        if random() < p["people.birth_day_unknown_share"]:
            life.birth_day = month_first_day(month_of(life.birth_day) // 12 * 12)
        life.names.append((0, self._names.choose(life.nationality, life.sex, random)))
        own_number = None
        has_passport = random() < self._passport_share[track]
        if random() < self._person_number_share[track] or not has_passport:
            other = random() < p["identifiers.other_series_share"]
            own_number = person_number(number, 0, other_series=other)
        life.identities.append(Identity(life.arrival_day, 0, own_number))
        if has_passport:
            life.passports.append(Passport(life.arrival_day, passport_number(number, 0), None))
        self._stay(life, random)
        self._fall_ill(life, random)
        self._work(life, random)
        return life

    def _arrival(self, random: Callable[[], float]) -> int:
        window = self._window
        p = self._p
        if random() < p["people.stock_share"]:
            return window.start_day - 1 - int(random() * p["people.stock_years_max"] * YEAR_DAYS)
        span = window.end_day - window.start_day
        day = window.start_day + int(random() * span)
        # Out of season only a part of the arrivals stays where it fell; the rest is drawn once more.
        if month_of(day) % 12 not in self._season and random() >= self._off_season_share:
            day = window.start_day + int(random() * span)
        return day

    def _stay(self, life: Life, random: Callable[[], float]) -> None:
        window = self._window
        entry = life.arrival_day
        while True:
            leave = max(entry, window.start_day) + self._departures[int(random() * SLOTS)]
            self._renew(life, max(entry, window.start_day), min(leave, window.end_day), random)
            if leave >= window.end_day:
                life.stays.append((entry, None))
                return
            life.stays.append((entry, leave))
            shortest, below = self._p["people.return_days_min"], self._p["people.return_days_max"]
            entry = leave + shortest + int(random() * max(0, below - shortest))
            if random() >= self._p["people.return_share"] or entry >= window.end_day:
                return
            self._come_back(life, entry, random)

    def _renew(self, life: Life, first_day: int, before_day: int, random: Callable[[], float]) -> None:
        if not life.passports:
            return
        day = first_day + self._renewals[int(random() * SLOTS)]
        while day < before_day and len(life.passports) < PASSPORTS_MAX:
            old = life.passports[-1].number
            life.passports.append(Passport(day, passport_number(life.number, len(life.passports)), old))
            if random() < self._p["identifiers.passport_renewal_new_name_share"]:
                life.names.append((day, self._names.choose(life.nationality, life.sex, random)))
            day += 2 * YEAR_DAYS + self._renewals[int(random() * SLOTS)]

    def _come_back(self, life: Life, entry: int, random: Callable[[], float]) -> None:
        p = self._p
        renewed = random() < p["people.return_new_passport_share"]
        if renewed and life.passports and len(life.passports) < PASSPORTS_MAX:
            known = random() < p["people.return_previous_known_share"]
            previous = life.passports[-1].number if known else None
            life.passports.append(Passport(entry, passport_number(life.number, len(life.passports)), previous))
            if not known:
                self._begin_anew(life, entry, random)
        if random() < p["people.return_new_name_share"]:
            life.names.append((entry, self._names.choose(life.nationality, life.sex, random)))

    def _begin_anew(self, life: Life, entry: int, random: Callable[[], float]) -> None:
        """Who comes back with papers that name no earlier ones is known by an old 13-digit number or not at all."""
        before = life.identities[-1]
        number = before.person_number
        if len(life.identities) == IDENTITIES_MAX:
            return
        registered_anew = number is not None and random() < self._p["people.return_new_person_number_share"]
        if registered_anew:
            number = person_number(life.number, before.ordinal + 1, other_series=False)
        is_apart = registered_anew or number is None
        life.identities.append(Identity(entry, before.ordinal + 1, number, is_apart=is_apart))

    def _fall_ill(self, life: Life, random: Callable[[], float]) -> None:
        window = self._window
        day = window.start_day + self._illnesses[int(random() * SLOTS)]
        while day < window.end_day:
            last = day + self._illness_days[int(random() * SLOTS)] - 1
            if life.is_present(day):
                life.illnesses.append((day, last))
            day = last + self._illnesses[int(random() * SLOTS)]

    def _work(self, life: Life, random: Callable[[], float]) -> None:
        window = self._window
        sector = self._sectors[int(random() * SLOTS)]
        for entry, leave in life.stays:
            last_day = leave if leave is not None else window.end_day
            start = entry + self._first_days[int(random() * SLOTS)]
            while start < last_day:
                job = self._hire(sector, start, random)
                if job.start_day >= last_day:
                    break
                life.jobs.append(job)
                self._end(job, leave, random)
                if random() < self._p["jobs.second_job_share"]:
                    self._second(life, job, leave, random)
                if job.end_day is None or job.end_day == leave:
                    break
                gaps = self._after_season if job.is_seasonal else self._gaps
                start = job.end_day + 1 + gaps[int(random() * SLOTS)]
                if random() >= self._p["jobs.same_sector_share"]:
                    sector = self._sectors[int(random() * SLOTS)]

    def _hire(self, sector: str, day: int, random: Callable[[], float]) -> Job:
        window = self._window
        if day < window.start_day:
            # Of a past of many jobs only the present one matters: it began some time between arrival and now.
            day = max(day, window.start_day - 1 - self._tenures[sector][int(random() * SLOTS)])
        months = 12 if random() < self._p["jobs.one_year_contract_share"] else 24
        is_seasonal = False
        if sector == AGRICULTURE:
            kind = random()
            seasonal = self._p["jobs.seasonal_share"]
            is_seasonal = kind < seasonal and bool(self._season)
            if is_seasonal:
                day = self._in_season(day, random)
                months = _SEASON_MONTHS
            elif kind >= seasonal + self._p["jobs.full_year_share"]:
                months = 3 + int(random() * 7)
        employer = self._employers.choose(sector, random())
        job = Job(employer, sector, day, months)
        job.is_seasonal = is_seasonal
        job.eligible = self._employers.is_eligible(employer, sector, months, self._exempt_below)
        factor = self._wages[int(random() * SLOTS)]
        job.wage_satang = self._month_wage_satang * factor // 10_000 * 100
        return job

    def _in_season(self, day: int, random: Callable[[], float]) -> int:
        if day < self._window.start_day:
            day = max(day, self._window.start_day - 1 - int(random() * 60))
        month = month_of(day)
        if month % 12 in self._season or not self._season:
            return day
        while month % 12 not in self._season:
            month += 1
        return month_first_day(month) + int(random() * 45)

    def _end(self, job: Job, leave: int | None, random: Callable[[], float]) -> None:
        window = self._window
        end = max(job.start_day, window.start_day) + self._tenures[job.sector][int(random() * SLOTS)]
        if job.is_seasonal:
            end = min(end, self._season_end(job.start_day))
        if leave is not None:
            end = min(end, leave)
        job.end_day = end if end < window.end_day else None

    def _season_end(self, day: int) -> int:
        month = month_of(day)
        while month % 12 in self._season and month < month_of(day) + 12:
            month += 1
        return max(day + 5, month_first_day(month) - 1)

    def _second(self, life: Life, job: Job, leave: int | None, random: Callable[[], float]) -> None:
        window = self._window
        start = max(job.start_day, window.start_day) + int(random() * 60)
        last_day = job.end_day if job.end_day is not None else window.end_day
        if start >= min(last_day, window.end_day):
            return
        second = self._hire(job.sector, start, random)
        if second.employer != job.employer and second.start_day < last_day:
            self._end(second, leave, random)
            life.jobs.append(second)
