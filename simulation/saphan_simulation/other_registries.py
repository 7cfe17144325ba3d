"""What Immigration, the civil registration and Public Health write down about a worker."""

from saphan_schemas.topics import HEALTH_COVER, NON_THAI_IDS, STAYS
from saphan_simulation.agencies import Window
from saphan_simulation.book import NEW_IDENTITY, BirthDates, Book, Record
from saphan_simulation.dates import months_later, office_time_ms
from saphan_simulation.draws import SLOTS, mix_table, quantile_table, waiting_table
from saphan_simulation.identifiers import record_id
from saphan_simulation.life import Identity, Life, Passport
from saphan_simulation.names import Names, thai
from saphan_simulation.parameters import Parameters

_REPORT_DAYS = 90
_VISAS = {"mou": "Non-LA", "cabinet": "Non-LA", "border": "Border pass", "general": "Non-B"}
_CARD_PREFIX, _CARD_SHIFT = "MHI", 20
_CARDS_PER_WORKER = 64


class Immigration:
    """Keeps the stays of one worker after another: entry, 90-day reports, new passports, exit."""

    def __init__(self, window: Window, parameters: Parameters, names: Names) -> None:
        self._window = window
        self._names = names
        self._reported_share: float = parameters["immigration.ninety_day_reported_share"]
        self._permitted_days: int = parameters["immigration.permitted_days"]
        self._previous_share: float = parameters["identifiers.previous_passport_given_share"]["stays"]
        self._birth_dates = BirthDates(parameters)

    def keep(self, life: Life, book: Book) -> None:
        """Write one record for each stay of a worker who has a passport."""
        for place, (entry, leave) in enumerate(life.stays):
            passport = life.passport_on(entry)
            if passport is not None:
                self._stay(life, book, passport, (entry, leave), is_return=place > 0)

    def _stay(
        self, life: Life, book: Book, passport: Passport, stay: tuple[int, int | None], *, is_return: bool
    ) -> None:
        random = book.random
        window = self._window
        entry, leave = stay
        shows = passport.previous is not None and random() < self._previous_share
        numbers = {
            "passport_number": passport.number,
            "previous_passport_number": passport.previous if shows else None,
        }
        reported = window.start_day - 1 - int(random() * _REPORT_DAYS)
        fields: Record = {
            "nationality": life.nationality,
            "full_name": self._names.spell(life.name_on(entry), random),
            "birth_date": self._birth_dates.noted(random, life.birth_day),
            "sex": life.sex,
            "visa_type": _VISAS[life.track],
            "entry_date": entry,
            "exit_date": None,
            "permitted_until": entry + self._permitted_days * (1 + (window.start_day - entry) // self._permitted_days)
            if entry < window.start_day
            else entry + self._permitted_days,
            "last_report_on": reported if entry + _REPORT_DAYS < reported else None,
        }
        slot = book.open(STAYS, office_time_ms(entry, random()), numbers, fields)
        if is_return and not shows and passport.from_day == entry:
            book.mark(slot, NEW_IDENTITY)
        last_day = leave if leave is not None else window.end_day
        if life.track != "border":
            self._report(book, slot, (reported if entry < window.start_day else entry), last_day)
        for renewed in life.passports:
            if entry < renewed.from_day < last_day:
                self._renew(book, slot, renewed)
        if leave is not None:
            book.change(slot, office_time_ms(leave, random()), exit_date=leave)

    def _report(self, book: Book, slot: int, since: int, last_day: int) -> None:
        random = book.random
        for due in range(since + _REPORT_DAYS, last_day, _REPORT_DAYS):
            if random() < self._reported_share:
                day = due - 15 + int(random() * 22)
                if self._window.start_day <= day < last_day:
                    book.change(slot, office_time_ms(day, random()), last_report_on=day)

    def _renew(self, book: Book, slot: int, passport: Passport) -> None:
        random = book.random
        shows = passport.previous is not None and random() < self._previous_share
        book.change(
            slot,
            office_time_ms(passport.from_day + int(random() * 60), random()),
            passport_number=book.rewritten(passport.number),
            previous_passport_number=passport.previous if shows else None,
        )


class CivilRegistration:
    """Keeps the 13-digit numbers of one worker after another."""

    def __init__(self, window: Window, parameters: Parameters, names: Names) -> None:
        self._window = window
        self._names = names
        self._card_days = quantile_table(parameters["dopa.card_days_quantiles"])
        self._changes = waiting_table(parameters["dopa.changes_per_year"])
        self._passport_share: float = parameters["dopa.passport_given_share"]
        self._districts = mix_table(parameters["province.district_mix"])
        self._birth_dates = BirthDates(parameters)

    def keep(self, life: Life, book: Book) -> None:
        """Write a record for each number that the worker has or had."""
        known: set[str] = set()
        for identity in life.identities:
            if identity.person_number is not None and identity.person_number not in known:
                known.add(identity.person_number)
                self._number(life, book, identity)

    def _number(self, life: Life, book: Book, identity: Identity) -> None:
        random = book.random
        window = self._window
        day = identity.from_day + self._card_days[int(random() * SLOTS)]
        passport = life.passport_on(identity.from_day)
        name = life.name_on(identity.from_day)
        numbers = {
            "non_thai_id": identity.person_number,
            "passport_number": passport.number if passport and random() < self._passport_share else None,
        }
        fields: Record = {
            "nationality": life.nationality,
            "full_name": self._names.spell(name, random),
            "full_name_th": thai(name),
            "birth_date": self._birth_dates.noted(random, life.birth_day),
            "sex": life.sex,
            "address_district": self._districts[int(random() * SLOTS)],
        }
        slot = book.open(NON_THAI_IDS, office_time_ms(day, random()), numbers, fields)
        changed = max(day, window.start_day) + self._changes[int(random() * SLOTS)]
        while changed < window.end_day:
            district = self._districts[int(random() * SLOTS)]
            book.change(slot, office_time_ms(changed, random()), address_district=district)
            changed += self._changes[int(random() * SLOTS)]
        if identity.is_apart:
            book.mark(slot, NEW_IDENTITY)
        for since, renamed in life.names[1:]:
            if since <= identity.from_day or life.identity_on(since).person_number != identity.person_number:
                continue
            day = since + 30 + int(random() * 60)
            spelt = self._names.spell(renamed, random)
            book.change(slot, office_time_ms(day, random()), full_name=spelt, full_name_th=thai(renamed))


class PublicHealth:
    """Keeps the migrant health insurance of one worker after another."""

    def __init__(self, window: Window, parameters: Parameters) -> None:
        self._window = window
        shares = parameters["moph.covered_share"]
        self._covered_share: tuple[float, float] = (shares["not_insured"], shares["insured"])
        self._months = mix_table(parameters["moph.cover_months_mix"])
        self._renewed_share: float = parameters["moph.renewed_share"]
        self._number_share: float = parameters["moph.person_number_given_share"]
        self._passport_too_share: float = parameters["moph.passport_also_given_share"]
        self._bought_when_ill_share: float = parameters["moph.bought_when_ill_share"]
        self._birth_dates = BirthDates(parameters)

    def keep(self, life: Life, book: Book, *, is_insured: bool) -> None:
        """Write the cover that the worker buys, if any, soon after arriving or when ill, and its renewals."""
        random = book.random
        window = self._window
        months = int(self._months[int(random() * SLOTS)])
        if random() < self._covered_share[is_insured]:
            first = life.arrival_day + int(random() * 30)
            if first < window.start_day:
                first = max(first, window.start_day - 1 - int(random() * months * 30))
        elif life.illnesses and not is_insured and random() < self._bought_when_ill_share:
            first = life.illnesses[0][0] + int(random() * 3)
        else:
            return
        self._cover(life, book, first, months)

    def _cover(self, life: Life, book: Book, first: int, months: int) -> None:
        random = book.random
        window = self._window
        passport, identity = life.passport_on(first), life.identity_on(first)
        shows_number = identity.person_number is not None and random() < self._number_share
        numbers = {
            "non_thai_id": identity.person_number if shows_number else None,
            "passport_number": passport.number
            if passport and (not shows_number or random() < self._passport_too_share)
            else None,
        }
        until = months_later(first, months) - 1
        fields: Record = {
            "card_number": record_id(_CARD_PREFIX, _CARD_SHIFT, life.number * _CARDS_PER_WORKER),
            "nationality": life.nationality,
            "birth_date": self._birth_dates.noted(random, life.birth_day),
            "sex": life.sex,
            "valid_from": first,
            "valid_until": until,
        }
        slot = book.open(HEALTH_COVER, office_time_ms(first, random()), numbers, fields)
        while until < window.end_day and random() < self._renewed_share and life.is_present(until):
            first, until = until + 1, months_later(until + 1, months) - 1
            at_ms = office_time_ms(first + int(random() * 10), random())
            book.change(slot, at_ms, valid_from=first, valid_until=until)
