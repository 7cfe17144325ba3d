"""Which employers there are: their size, kind, sector and place, their accounts at the SSO, and who is paired with whom.

Compact arrays hold what is random; the rest follows from an employer's number.
"""

from array import array
from bisect import bisect_right
from random import Random

from saphan_simulation.draws import SLOTS, mix_table, quantile_table, seed_of
from saphan_simulation.identifiers import record_id, sso_account
from saphan_simulation.parameters import Parameters

DOMESTIC = "domestic"
AGRICULTURE = "agriculture"
SECTORS = ("agriculture", "manufacturing", "construction", "services", "domestic", "other")
_STREAM = 2
_ID_PREFIX, _ID_SHIFT = "ER", 3


class Employers:
    """All employers of the province, numbered from 0. ``choose`` picks one by size."""

    def __init__(self, workers: int, seed: int, parameters: Parameters) -> None:
        random = Random(seed_of(seed, _STREAM))
        self._districts = mix_table(parameters["province.district_mix"])
        self.sizes = array("i")
        self.sectors = bytearray()
        self.naturals = bytearray()
        #: Branches at the SSO: 0 without an account.
        self.branches = bytearray()
        self._first: dict[str, int] = {}
        self._cumulated: dict[str, array[int]] = {}
        self._registered: dict[str, array[int]] = {}
        for place, sector in enumerate(SECTORS):
            self._fill(
                place, sector, max(1, int(workers * parameters["province.sector_mix"][sector])), random, parameters
            )

    def __len__(self) -> int:
        return len(self.sizes)

    def _fill(self, place: int, sector: str, seats: int, random: Random, parameters: Parameters) -> None:
        natural_share = parameters["employers.natural_person_share"][sector]
        natural_sizes = quantile_table(parameters["employers.size_natural_quantiles"])
        if sector == DOMESTIC:
            natural_sizes = quantile_table(parameters["employers.size_domestic_quantiles"])
        juristic_sizes = quantile_table(parameters["employers.size_juristic_quantiles"])
        largest = max(1, int(seats * parameters["employers.sector_share_max"]))
        self._first[sector] = len(self.sizes)
        cumulated = self._cumulated[sector] = array("q")
        registered = self._registered[sector] = array("i")
        filled = 0
        while filled < seats:
            natural = random.random() < natural_share
            table = natural_sizes if natural else juristic_sizes
            size = max(1, min(table[int(random.random() * SLOTS)], largest, seats - filled))
            branches = _branches(sector, size, random, parameters, natural=natural)
            if branches:
                registered.append(len(self.sizes))
            self.sizes.append(size)
            self.sectors.append(place)
            self.naturals.append(natural)
            self.branches.append(branches)
            filled += size
            cumulated.append(filled)

    def choose(self, sector: str, u: float) -> int:
        """An employer of the sector, by size; ``u`` from 0 to 1 decides."""
        cumulated = self._cumulated[sector]
        return self._first[sector] + bisect_right(cumulated, int(u * cumulated[-1]))

    def choose_registered(self, sector: str, u: float) -> int | None:
        """Any employer of the sector that has an account at the SSO; None when there is none."""
        registered = self._registered[sector]
        return registered[int(u * len(registered))] if registered else None

    def is_eligible(self, employer: int, sector: str, contract_months: int, exempt_below: int) -> bool:
        """Whether the law asks for insurance: not for households, nor for farm work below a full year (unconfirmed)."""
        if sector == DOMESTIC:
            return not self.naturals[employer]
        return sector != AGRICULTURE or contract_months >= exempt_below

    def account(self, employer: int) -> str:
        """The employer's account number at the SSO, whether it has one or not."""
        return sso_account(employer)

    def branch_of(self, employer: int, worker: int) -> str:
        """The branch under which this employer would register this worker."""
        return branch_text(worker % max(1, self.branches[employer]))

    def district(self, employer: int) -> str:
        """Four-digit code of the employer's district."""
        return self._districts[employer * 617 % SLOTS]


def employer_id(employer: int) -> str:
    """DOE's number of an employer: the record id in doe.employers.v1."""
    return record_id(_ID_PREFIX, _ID_SHIFT, employer)


def branch_text(branch: int) -> str:
    """Six digits; 000000 is the head office."""
    return f"{branch:06d}"


def _branches(sector: str, size: int, random: Random, parameters: Parameters, *, natural: bool) -> int:
    shares = parameters["employers.sso_registered_share"]
    registers, has_second = random.random(), random.random()
    if natural and sector == DOMESTIC:
        return 0
    if natural and sector == AGRICULTURE:
        share = parameters["employers.sso_registered_share_exempt"]
    elif natural:
        share = shares["natural_1_4" if size < 5 else "natural_5_up"]
    else:
        share = shares["juristic_1_19" if size < 20 else "juristic_20_up"]
    if registers >= share:
        return 0
    return 2 if size >= 50 and has_second < parameters["employers.branches_share"] else 1
