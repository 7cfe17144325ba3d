"""In which order everything of one simulated world runs: one thread, virtual time, a seeded choice of who goes next.

Within one process callbacks run first in, first out, as asyncio promises; between processes any order is possible.
"""

import asyncio
import contextvars
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import Context, ContextVar
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar, cast

STEPS_MAX = 400_000
#: A coroutine that cleans up may wait a few times more before it ends.
_CLOSES_MAX = 8

Result = TypeVar("Result")
Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class Crashed(BaseException):
    """The process is gone; raised where it died, so that nothing after that place runs."""


class Stuck(AssertionError):
    """The world goes on and on without coming to its end."""


class Process:
    """One simulated process of the operating system: what it has still to run, and whether it is alive or stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.doomed = False
        self.resumes_at = 0.0
        self.steps = 0
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.jobs: deque[Job] = deque()
        self.is_thread_busy = False
        self.job_timer: asyncio.TimerHandle | None = None
        self.answer_at = 0.0
        self.context = contextvars.copy_context()
        self.context.run(OWNER.set, self)

    def die(self) -> Crashed:
        """The process ends here. Raise what is returned; the loop drops the rest."""
        self.doomed = True
        return Crashed(self.name)


OWNER: ContextVar[Process] = ContextVar("OWNER")


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop for many processes at once; ``delay_seconds`` says how long a thread or the network takes.

    ``before_step`` may let a process die before its next callback, ``around_job`` may stop it around a job.
    """

    def __init__(self, draw: random.Random, delay_seconds: Callable[[], float]) -> None:
        super().__init__()
        self._draw = draw
        self._delay_seconds = delay_seconds
        self._now = 0.0
        self._count = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Process]] = []
        self._trace = blake2b(digest_size=16)
        self._told: list[str] | None = None
        self.before_step: Callable[[Process], None] = lambda _: None
        self.around_job: Callable[[Process], None] = lambda _: None
        #: Whether a process does something in the middle of another one's job.
        self.is_overtaken = False
        self.on_death: Callable[[Process], None] = lambda _: None
        self.world = Process("world")
        self.processes = [self.world]
        self.complaints: list[str] = []
        self.steps = 0

    # -- what asyncio asks for -------------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self._now

    def get_debug(self) -> bool:
        return False

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        owner = _owner_of(handle)
        if owner.alive:
            owner.ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        owner = _owner_of(handle)
        if owner.alive:
            self._count += 1
            heapq.heappush(self._timers, (when, self._count, handle, owner))
        return handle

    def create_task(
        self, coro: Any, *, name: object = None, context: Context | None = None, **_: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=str(name or "task"), context=context)
        owner = (OWNER if context is None else _Within(context)).get()
        owner.tasks = [known for known in owner.tasks if not known.done()]
        owner.tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """A process has one thread; what it does there happens at one moment, and is known a moment later."""
        if getattr(executor, "_shutdown", False):
            raise RuntimeError("cannot schedule new futures after shutdown")
        process = OWNER.get()
        if process is self.world or not process.alive:
            raise RuntimeError("only a living process has a thread")
        future: asyncio.Future[Result] = self.create_future()
        process.jobs.append((partial(func, *args), future))
        if not process.is_thread_busy:
            self._start_job(process)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if "handle" in context and not isinstance(error, Crashed):
            self.complaints.append(f"{context['message']}: {error!r}")

    # -- processes -------------------------------------------------------------------------------------------------

    def start(self, process: Process, main: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Begin a process."""
        self.processes.append(process)
        return cast(
            "asyncio.Task[None]", process.context.run(lambda: self.create_task(main(), context=process.context))
        )

    def kill(self, process: Process) -> None:
        """End a process at once: none of its code runs any more, not even what cleans up."""
        process.alive = False
        self.processes.remove(process)
        process.ready.clear()
        process.jobs.clear()
        for task in process.tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _forget(task)
        process.tasks.clear()
        self.on_death(process)

    def stop_for(self, process: Process, seconds: float) -> None:
        """Let a process stand still, as after SIGSTOP, without its knowledge."""
        process.resumes_at = max(process.resumes_at, self._now + seconds)

    def _start_job(self, process: Process) -> None:
        # What was given up before the thread came to it is not done; what has begun is.
        while process.jobs and process.jobs[0][1].cancelled():
            process.jobs.popleft()
        process.is_thread_busy = bool(process.jobs)
        if process.is_thread_busy:
            process.job_timer = self.call_later(self._delay_seconds(), self._do_job, process, context=process.context)

    def _do_job(self, process: Process) -> None:
        job, future = process.jobs.popleft()
        result, error = None, None
        try:
            result = job()
        except Crashed:
            return
        except BaseException as raised:  # noqa: BLE001 - handed to who asked
            error = raised
        # A thread tells its results in their order.
        process.answer_at = max(process.answer_at, self._now + self._delay_seconds())
        self.call_at(process.answer_at, _answer, future, result, error, context=process.context)
        self.around_job(process)
        self._start_job(process)

    def waiting_jobs(self, of_others_than: Process) -> list[Process]:
        """The other processes whose threads are about to do something; none while one already does it before its time."""
        if self.is_overtaken:
            return []
        return [
            process
            for process in self.processes
            if process.is_thread_busy
            and process.jobs
            and process.resumes_at <= self._now
            and process is not of_others_than
        ]

    def do_now(self, process: Process) -> None:
        """Let a process do what its thread is about to, in the middle of another one's job."""
        if process.job_timer is not None:
            process.job_timer.cancel()
        self.is_overtaken = True
        try:
            process.context.run(self._do_job, process)
        finally:
            self.is_overtaken = False
        if process.doomed and process.alive:
            self.kill(process)

    # -- the run ---------------------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Add something that happened to the trace."""
        line = f"{self._now:.6f} {text}"
        self._trace.update(line.encode())
        if self._told is not None:
            self._told.append(line)

    def keep_trace(self) -> list[str]:
        """From now on, keep what happens as lines."""
        self._told = []
        return self._told

    @property
    def trace(self) -> str:
        """A hash of everything that happened so far, in its order."""
        return self._trace.hexdigest()

    def run_while(self, goes_on: Callable[[], bool]) -> None:
        """Run everybody. Raises Stuck."""
        asyncio._set_running_loop(self)
        try:
            while goes_on():
                self._move_due_timers()
                ready = [process for process in self.processes if process.ready and process.resumes_at <= self._now]
                if ready:
                    self._step(ready[int(self._draw.random() * len(ready))] if len(ready) > 1 else ready[0])
                else:
                    self._now = self._next_moment()
        finally:
            asyncio._set_running_loop(None)

    def _step(self, process: Process) -> None:
        self.before_step(process)
        if not process.doomed:
            handle = process.ready.popleft()
            if not handle.cancelled():
                self.steps += 1
                process.steps += 1
                self.tell(process.name)
                handle._run()
        if process.doomed and process.alive:
            self.kill(process)
        if self.steps > STEPS_MAX:
            raise Stuck(f"{self.steps} steps until {self._now:.1f} s")

    def _move_due_timers(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            _, _, handle, owner = heapq.heappop(timers)
            if owner.alive and not handle.cancelled():
                owner.ready.append(handle)

    def _next_moment(self) -> float:
        timers = self._timers
        while timers and (timers[0][2].cancelled() or not timers[0][3].alive):
            heapq.heappop(timers)
        moments = [process.resumes_at for process in self.processes if process.ready]
        if timers:
            moments.append(timers[0][0])
        if not moments:
            raise Stuck(f"nothing is left to happen at {self._now:.1f} s")
        return max(self._now, min(moments))


class _Within:
    """The owner as another context knows it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self) -> Process:
        return self._context[OWNER]


def _owner_of(handle: asyncio.Handle) -> Process:
    context: Context = handle._context  # type: ignore[attr-defined]
    return context[OWNER]


def _answer(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _forget(task: asyncio.Task[Any]) -> None:
    """Take a task's memory back; what it would still do while it is closed finds its process dead."""
    coroutine = cast("Coroutine[Any, Any, Any]", task.get_coro())
    for _ in range(_CLOSES_MAX):
        # It may wait for something in a ``finally``, or find that it is dead.
        with suppress(Exception):
            coroutine.close()
            return
