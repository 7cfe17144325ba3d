"""All deliberate faults that the suite must catch, area by area."""

from mutants.deciding import DECIDING
from mutants.delivering import DELIVERING
from mutants.fold import FOLD
from mutants.linking import LINKING
from mutants.mutant import Mutant
from mutants.processing import PROCESSING
from mutants.publishing import PUBLISHING
from mutants.reading_ahead import READING_AHEAD
from mutants.transport import TRANSPORT
from mutants.waiting import WAITING

MUTANTS: tuple[Mutant, ...] = (
    *FOLD,
    *LINKING,
    *DECIDING,
    *TRANSPORT,
    *WAITING,
    *PROCESSING,
    *READING_AHEAD,
    *DELIVERING,
    *PUBLISHING,
)
