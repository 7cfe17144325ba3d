"""What DOE, the SSO, the labour inspectors and the coordination write down about an employer."""

from saphan_schemas.topics import DAY_MS, DOE_EMPLOYERS, EMPLOYER_PAIRS, INSPECTIONS, SSO_EMPLOYERS
from saphan_simulation.agencies import Window
from saphan_simulation.book import Book, Record
from saphan_simulation.dates import office_time_ms
from saphan_simulation.draws import SLOTS, YEAR_DAYS, waiting_table
from saphan_simulation.employers import SECTORS, Employers, branch_text, employer_id
from saphan_simulation.identifiers import citizen_number, juristic_tax_id, record_id
from saphan_simulation.names import Names
from saphan_simulation.parameters import Parameters

_ESTABLISHMENT_PREFIX, _ESTABLISHMENT_SHIFT = "LP71", 21


class EmployerRegistries:
    """Keeps the records of one employer after another."""

    def __init__(self, window: Window, parameters: Parameters, employers: Employers, names: Names) -> None:
        self._window = window
        self._employers = employers
        self._names = names
        self._changes = waiting_table(parameters["employers.changes_per_year"])
        visits = parameters["employers.inspections_per_year"]
        self._visits = (waiting_table(visits["size_1_19"]), waiting_table(visits["size_20_up"]))
        self._p = {
            name: parameters[f"employers.{name}"]
            for name in (
                "paired_share", "paired_at_start_share", "pair_first_wrong_share", "pair_deleted_share",
                "tax_id_given_share",
            )
        }  # fmt: skip

    def keep(self, employer: int, book: Book) -> None:
        """Write all records about one employer."""
        random = book.random
        opened = self._window.start_day - 1 - int(random() * 6 * YEAR_DAYS)
        self._doe(employer, book, opened)
        for branch in range(self._employers.branches[employer]):
            self._sso(employer, book, branch, opened + int(random() * 300))
            if random() < self._p["paired_share"]:
                self._pair(employer, book, branch)
        self._inspections(employer, book)

    def _facts(self, employer: int, *, again: bool) -> Record:
        employers = self._employers
        natural = bool(employers.naturals[employer])
        sector = SECTORS[employers.sectors[employer]]
        return {
            "id_type": "person" if natural else "juristic",
            "tax_id": citizen_number(employer) if natural else juristic_tax_id(employer),
            "name": self._names.employer(employer, sector, natural=natural, again=again),
            "workers": employers.sizes[employer],
            "sector": sector,
            "address_district": employers.district(employer),
        }

    def _doe(self, employer: int, book: Book, opened: int) -> None:
        random = book.random
        fields = {"record_id": employer_id(employer), **self._facts(employer, again=False)}
        slot = book.open(DOE_EMPLOYERS, office_time_ms(opened, random()), {}, fields)
        self._grow(employer, book, slot)

    def _sso(self, employer: int, book: Book, branch: int, opened: int) -> None:
        random = book.random
        facts = self._facts(employer, again=True)
        if random() >= self._p["tax_id_given_share"]:
            facts["tax_id"] = facts["id_type"] = None
        account = {"sso_account": self._employers.account(employer), "sso_branch": branch_text(branch)}
        slot = book.open(SSO_EMPLOYERS, office_time_ms(opened, random()), {}, {**account, **facts})
        self._grow(employer, book, slot)

    def _grow(self, employer: int, book: Book, slot: int) -> None:
        random = book.random
        size = self._employers.sizes[employer]
        day = self._window.start_day + self._changes[int(random() * SLOTS)]
        while day < self._window.end_day:
            book.change(slot, office_time_ms(day, random()), workers=max(1, int(size * (0.8 + 0.4 * random()))))
            day += self._changes[int(random() * SLOTS)]

    def _pair(self, employer: int, book: Book, branch: int) -> None:
        random = book.random
        window = self._window
        days = window.end_day - window.start_day
        at_start = random() < self._p["paired_at_start_share"]
        day = window.start_day - 1 - int(random() * 90) if at_start else window.start_day + int(random() * days)
        fields: Record = {
            "sso_account": self._employers.account(employer),
            "sso_branch": branch_text(branch),
            "employer_id": employer_id(employer),
        }
        at_ms = office_time_ms(day, random())
        slot = book.open(EMPLOYER_PAIRS, at_ms, {}, fields)
        luck = random()
        if luck < self._p["pair_first_wrong_share"]:
            wrong = (employer + 1 + int(random() * 5)) % len(self._employers)
            book.amend(slot, employer_id=employer_id(wrong))
            book.change(slot, at_ms + int((1 + random() * 60) * DAY_MS), employer_id=employer_id(employer))
        elif luck > 1 - self._p["pair_deleted_share"]:
            book.delete(slot, at_ms + int((1 + random() * 200) * DAY_MS))

    def _inspections(self, employer: int, book: Book) -> None:
        random = book.random
        size = self._employers.sizes[employer]
        table = self._visits[size >= 20]
        day = self._window.start_day + table[int(random() * SLOTS)]
        while day < self._window.end_day:
            fields: Record = {
                "establishment_number": record_id(_ESTABLISHMENT_PREFIX, _ESTABLISHMENT_SHIFT, employer),
                "employer_id": employer_id(employer),
                "district": self._employers.district(employer),
                "visited_on": day,
                "workers_found": max(0, int(size * (0.7 + 0.5 * random()))),
            }
            book.open(INSPECTIONS, office_time_ms(day + 1 + int(random() * 14), random()), {}, fields)
            day += 30 + table[int(random() * SLOTS)]
