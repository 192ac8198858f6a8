"""Who asks: one run of this process, with its clocks."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import structlog

from fsm.clock import ClockStep

log = structlog.get_logger(__name__)
STEP: Final = 10.0  # seconds by which the wall clock must leave the monotonic one at once to have been set
KEPT: Final = 16  # steps


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Observer:
    """One run of this process. Both clocks can be given; they are read nowhere else.

    `clock` gives aware UTC, `monotonic` gives seconds that never step back. `steps` says by what the wall clock was set
    since this run began, or by how long the machine slept.
    """

    clock: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    id: str = field(default_factory=lambda: uuid4().hex)
    started: float = field(init=False)
    steps: tuple[ClockStep, ...] = field(default=(), init=False)
    _last: tuple[datetime, float] = field(init=False)  # readings of both clocks
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.started = self.monotonic()
        self._last = self.clock(), self.started

    def now(self) -> datetime:
        """The present, aware UTC. Looks whether the clock was set since it was read last."""
        with self._lock:  # what another thread read before a step must not be put back after it was noticed
            wall, seconds = self.clock(), self.monotonic()
            before, then = self._last
            if abs((wall - before).total_seconds() - (seconds - then)) < STEP:
                self._last = wall, seconds
                return wall
            return self._after_step()

    def _after_step(self) -> datetime:
        wall, seconds = self.clock(), self.monotonic()  # again: we may have been stopped between the two
        before, then = self._last
        expected = before + timedelta(seconds=seconds - then)
        self._last = wall, seconds
        ahead = (wall - expected).total_seconds()
        if abs(ahead) >= STEP:
            self.steps = (*self.steps, ClockStep(expected, wall))[-KEPT:]
            log.warning("The clock of this machine was set, or the machine slept; no job is judged by that",
                        seconds_ahead=round(ahead, 1), now=wall.isoformat())  # fmt: skip
        return wall

    def uptime(self) -> float:
        """Seconds since this run began, by the monotonic clock."""
        return self.monotonic() - self.started
