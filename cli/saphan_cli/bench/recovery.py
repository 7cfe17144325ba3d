"""How long it takes after kill -9 of a process under load until nothing lags any more."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from saphan_cli.bench.figures import recovered_at
from saphan_cli.bench.latency import Pace
from saphan_cli.bench.looking import Eye, looking_at
from saphan_cli.bench.pipeline import prepare_databases
from saphan_cli.bench.province import Province
from saphan_cli.bench.stand import Stand
from saphan_infra.clock import monotonic_seconds
from saphan_infra.owned_process import OwnedProcess
from saphan_infra.producer import BatchProducer, Message
from saphan_infra.roles import LINK, announced, integrate_name, integrate_roles
from saphan_infra.supervisor import Supervisor
from saphan_projections.database import DatabaseUnavailable

#: Much longer than the calm that is waited for: a lag seldom met while nothing is wrong is then met here, too.
_USUAL_SECONDS = 10.0
_LOOK_SECONDS = 0.1
#: So long the lag must stay at its usual height before it counts as gone.
_CALM_SECONDS = 2.0
_RECOVERY_SECONDS_MAX = 120.0
#: More than enough newcomers for two kills with their waits.
SECONDS_MAX = 2 * (_USUAL_SECONDS + _RECOVERY_SECONDS_MAX)


def measured(stand: Stand, province: Province, rate: float) -> dict[str, Any]:
    """Kill an integrate and then link of the loaded platform at this rate of events; seconds until no lag, of each."""
    prepare_databases(stand.settings)
    stand.report("Simulating what will arrive under load …")
    newcomers = province.newcomers()
    with looking_at(stand) as eye, _supervised(stand):
        stand.report("Processing what is loaded …")
        eye.until_done(eye.look(), lambda _look: None)
        return asyncio.run(_kills(stand, newcomers, rate, eye))


@contextmanager
def _supervised(stand: Stand) -> Iterator[Supervisor]:
    """Link and integrate as `saphan up` keeps them: a killed one is started again."""
    roles = (LINK, *integrate_roles(stand.settings))
    supervisor = Supervisor(stand.settings.data_dir, roles, Stand.COMMAND, stand.environment(), stand.report)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


async def _kills(stand: Stand, newcomers: Sequence[tuple[str, Message]], rate: float, eye: Eye) -> dict[str, Any]:
    producer = BatchProducer(stand.settings.bootstrap, "saphan-bench-pace")
    await producer.start()
    stop = asyncio.Event()
    pace = Pace(producer, newcomers, rate)
    sending = asyncio.create_task(pace.run(SECONDS_MAX, stop))
    found: dict[str, Any] = {}
    try:
        for role in (integrate_name(0), LINK.name):
            found[role] = await _one_kill(stand, role, eye, sending)
    finally:
        stop.set()
        await asyncio.gather(sending, return_exceptions=True)
        await producer.stop()
    return {"events_per_second": rate, "killed": found}


async def _one_kill(stand: Stand, role: str, eye: Eye, sending: "asyncio.Task[None]") -> dict[str, Any]:
    usual = max(lag for _, lag in await _looks(eye, _USUAL_SECONDS))
    victim: OwnedProcess | None = announced(stand.settings.data_dir, role)
    if victim is None or not victim.send(signal.SIGKILL):
        message = f"{role} does not run"
        raise ProcessLookupError(message)
    killed_at = monotonic_seconds()
    stand.report(f"Killed {role} (usual lag: at most {usual:,} messages) …")
    looks: list[tuple[float, int]] = []
    while monotonic_seconds() - killed_at < _RECOVERY_SECONDS_MAX:
        if sending.done():
            sending.result()
        looks += await _looks(eye, _LOOK_SECONDS)
        back = recovered_at(looks, usual)
        restarted = announced(stand.settings.data_dir, role) not in {None, victim}
        if restarted and back is not None and looks[-1][0] - back >= _CALM_SECONDS:
            break
    back = recovered_at(looks, usual)
    return {
        "seconds_until_no_lag": None if back is None else round(back - killed_at, 2),
        "lag_max": max(lag for _, lag in looks),
        "usual_lag_max": usual,
    }


async def _looks(eye: Eye, seconds: float) -> list[tuple[float, int]]:
    """(moment, lag) of each look during so many seconds, at least one."""
    found: list[tuple[float, int]] = []
    loop = asyncio.get_running_loop()
    ends_at = monotonic_seconds() + seconds
    while not found or monotonic_seconds() < ends_at:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            look = await loop.run_in_executor(None, eye.look)
        except DatabaseUnavailable:
            continue
        found.append((look.at, look.lag()))
    return found
