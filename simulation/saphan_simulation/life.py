"""What is true of one worker: jobs, stays, papers, names, illnesses, and as whom the registries know them when."""

from saphan_simulation.names import Name


class Job:
    """One employment as it truly is. ``end_day`` is the last day of work, None while it lasts."""

    __slots__ = (
        "contract_months",
        "eligible",
        "employer",
        "end_day",
        "is_seasonal",
        "sector",
        "start_day",
        "wage_satang",
    )

    def __init__(self, employer: int, sector: str, start_day: int, contract_months: int) -> None:
        self.employer = employer
        self.sector = sector
        self.start_day = start_day
        self.end_day: int | None = None
        self.contract_months = contract_months
        self.is_seasonal = False
        self.eligible = True
        self.wage_satang = 0


class Passport:
    """A document from the day on that it is used; ``previous`` is the number that the holder can prove."""

    __slots__ = ("from_day", "number", "previous")

    def __init__(self, from_day: int, number: str, previous: str | None) -> None:
        self.from_day = from_day
        self.number = number
        self.previous = previous


class Identity:
    """As whom the registries know a worker from a day on; ``is_apart``: by nothing that the one before had."""

    __slots__ = ("from_day", "is_apart", "ordinal", "person_number")

    def __init__(self, from_day: int, ordinal: int, person_number: str | None, *, is_apart: bool = False) -> None:
        self.from_day = from_day
        self.ordinal = ordinal
        self.person_number = person_number
        self.is_apart = is_apart


class Life:
    """A worker. ``stays`` are (entry, exit or None) in the province, ``names`` (from day, name), both rising.

    ``illnesses`` are (first, last day), apart from each other.
    """

    __slots__ = (
        "arrival_day", "birth_day", "identities", "illnesses", "jobs", "names", "nationality", "number", "passports",
        "sex", "stays", "track",
    )  # fmt: skip

    track: str
    nationality: str
    sex: str
    birth_day: int
    arrival_day: int

    def __init__(self, number: int) -> None:
        self.number = number
        self.jobs: list[Job] = []
        self.stays: list[tuple[int, int | None]] = []
        self.illnesses: list[tuple[int, int]] = []
        self.passports: list[Passport] = []
        self.identities: list[Identity] = []
        self.names: list[tuple[int, Name]] = []

    def name_on(self, day: int) -> Name:
        """The name used on a day; before the first, the first."""
        return next((name for from_day, name in reversed(self.names) if from_day <= day), self.names[0][1])

    def passport_on(self, day: int) -> Passport | None:
        """The document in use on a day; before the first, the first; None for who has none."""
        passports = self.passports
        if len(passports) < 2:
            return passports[0] if passports else None
        return next((passport for passport in reversed(passports) if passport.from_day <= day), passports[0])

    def identity_on(self, day: int) -> Identity:
        """As whom the registries know the worker on a day; before the first, the first."""
        identities = self.identities
        if len(identities) < 2:
            return identities[0]
        return next((identity for identity in reversed(identities) if identity.from_day <= day), identities[0])

    def is_present(self, day: int) -> bool:
        """Whether the worker is in the province on a day."""
        return any(entry <= day and (leave is None or day <= leave) for entry, leave in self.stays)
