"""An event loop whose time jumps: one per simulated process, stepped from outside, the same way every time.

`asyncio`'s own tasks, futures, queues, locks and timeouts run on it unchanged. Nothing here waits, and no thread is
started: what goes to a thread is done inline, and its result arrives after as much virtual time as `Desk` says.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

TICK = 1e-6  # seconds that a turn of a loop takes: else a timer's rounding error could be waited for for ever
EPOCH = datetime.fromisoformat("2026-03-02T12:00:00+00:00")


@dataclass
class Time:
    """Both clocks of the simulated machines. The wall clock may be set; the monotonic one only goes on."""

    seconds: float = 0.0
    stepped: timedelta = timedelta(0)  # by how much the wall clock was set, in sum
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.seconds

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds

    def wall(self) -> datetime:
        """What the wall clock shows."""
        return EPOCH + timedelta(seconds=self.seconds - self.began) + self.stepped


@dataclass(slots=True)
class Desk:
    """Where work for a thread is done: how long the next one takes, and whether its effect comes first or last."""

    seconds: Callable[[], float] = lambda: 0.0
    done_first: Callable[[], bool] = lambda: True
    on_work: Callable[[Any], None] = lambda _: None


class Handle:
    """What a loop is to call. asyncio's own does the same, at twice the cost."""

    __slots__ = ("args", "callback", "context", "dead")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> None:
        self.callback, self.args, self.dead = callback, args, False
        self.context = context or copy_context()

    def cancel(self) -> None:
        self.dead = True

    def cancelled(self) -> bool:
        return self.dead


class VirtualLoop(asyncio.AbstractEventLoop):
    """Belongs to one process. `errors` are the contexts of what nobody caught."""

    def __init__(self, time: Time, desk: Desk | None = None) -> None:
        self._time, self._desk = time, desk or Desk()
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self.errors: list[dict[str, Any]] = []

    # --- stepping --------------------------------------------------------------------------------

    def next_at(self) -> float | None:
        """When something is to be done here; None: never, unless somebody calls."""
        if self._ready:
            return self._time.seconds
        while self._timers and self._timers[0][2].dead:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def step(self) -> None:
        """Do all that is to be done now."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        ready = self._ready
        try:
            self._due()
            while ready:
                self._time.seconds += TICK
                handle = ready.popleft()
                if not handle.dead:
                    self._call(handle)
                if not ready:
                    self._due()
        finally:
            asyncio._set_running_loop(before)

    def _call(self, handle: Handle) -> None:
        try:
            handle.context.run(handle.callback, *handle.args)
        except Exception as error:
            self.errors.append({"message": f"in {handle.callback}", "exception": error})

    def _due(self) -> None:
        timers, now = self._timers, self._time.seconds
        while timers and timers[0][0] <= now:
            self._ready.append(heapq.heappop(timers)[2])

    def abandon(self) -> None:
        """The process is gone: nothing of it runs any more, not even to clean up."""
        self._ready.clear()
        self._timers.clear()
        for task in self._tasks.values():
            task._log_destroy_pending = False

    # --- what asyncio wants ----------------------------------------------------------------------

    def time(self) -> float:
        return self._time.seconds

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:  # fmt: skip
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self._time.seconds + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle(callback, args, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **kwargs)
        self._tasks[id(task)] = task
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(id(task), None)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Whatever thread it was meant for."""
        result = self.create_future()
        work = partial(func, *args)
        self._desk.on_work(func)
        seconds = self._desk.seconds()
        if seconds and self._desk.done_first():
            self.call_later(seconds, _tell, result, *_outcome(work))
        elif seconds:
            self.call_later(seconds, lambda: _tell(result, *_outcome(work)))
        else:
            _tell(result, *_outcome(work))
        return result

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass


def _outcome(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error


def _tell(result: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if result.done():  # cancelled meanwhile: a thread goes on all the same
        return
    if error is None:
        result.set_result(value)
    else:
        result.set_exception(error)
