"""That a shell shows since when the database does not do what it is asked for."""

import psycopg
import pytest
from shell_runs import Processor, fetch, run
from sqlalchemy.exc import DBAPIError

from saphan_infra.metrics import REGISTRY
from saphan_projections.database import DatabaseUnavailable
from saphan_projections.offsets import Fenced
from saphan_streams import shell as shell_module
from saphan_streams.shell import Shell


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting with backoff takes no time here."""
    monkeypatch.setattr(shell_module, "_RETRY_SECONDS_MIN", 0.0)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of what waits, to be set."""
    found = [1000.0]
    monkeypatch.setattr("saphan_infra.waiting_metrics.monotonic_seconds", lambda: found[0])
    return found


def waited() -> float | None:
    return REGISTRY.get_sample_value("saphan_waiting_seconds", {"app": "test", "service": "database"})


def test_how_long_the_database_has_been_away_is_shown_until_it_is_back(now: list[float]) -> None:
    shown = []

    def trouble(_: list[str], __: str | None) -> None:
        shown.append(waited())
        now[0] += 7
        if len(shown) < 3:
            raise DatabaseUnavailable("away")

    run(Processor(trouble), lambda shell: shell.handle(fetch(["a"])))
    assert shown == [0, 7, 14]
    assert waited() == 0


@pytest.mark.parametrize("refuses_it_all", [True, False])
def test_how_long_the_database_has_been_refusing_is_shown_until_it_takes_something(
    now: list[float], refuses_it_all: bool
) -> None:
    """Each try was a wait of its own, so that no alarm was raised while a right was missing."""
    shown = []

    def trouble(_: list[str], poison: str | None) -> None:
        if poison is None and not refuses_it_all:
            raise ZeroDivisionError
        shown.append(waited())
        now[0] += 7
        if len(shown) < 4:
            raise DBAPIError("INSERT", None, psycopg.errors.InsufficientPrivilege())

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a"]))
        shown.append(waited())

    run(Processor(trouble), work)
    assert shown == [0, 0, 7, 14, 0]


def test_a_chunk_that_was_refused_and_is_another_owners_now_is_waited_for_no_longer(now: list[float]) -> None:
    def trouble(_: list[str], __: str | None) -> None:
        now[0] += 7
        if now[0] > 1020:
            raise Fenced("another owner")
        raise DBAPIError("INSERT", None, psycopg.errors.InsufficientPrivilege())

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a"]))
        now[0] += 7
        assert waited() == 0

    run(Processor(trouble), work)
    assert now[0] == 1028


def test_a_database_that_is_away_while_nothing_arrives_is_shown(now: list[float]) -> None:
    class Away(Processor):
        def tidy(self, sent: set[int]) -> None:  # noqa: ARG002
            if now[0] < 1030:
                raise DatabaseUnavailable("away")

    shown = []

    async def work(shell: Shell) -> None:
        for now[0] in (1000, 1010, 1020, 1030, 1040):
            await shell.tidy()
            shown.append(waited())

    run(Away(), work)
    assert shown == [0, 10, 20, 0, 0]
