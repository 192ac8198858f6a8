"""The appliance behind both ports: progress map, status tracker, copies, faults and counters."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

from vma.simulator.entries import Entry
from vma.simulator.faults import FaultSwitch
from vma.simulator.hub import Copies
from vma.simulator.lazy import Lazily
from vma.simulator.older import SHAPES, Generation, Sight
from vma.simulator.plans import Plan
from vma.simulator.progress import ProgressMap
from vma.simulator.requests_log import RequestLog
from vma.simulator.sight import sight
from vma.simulator.state import StateFile
from vma.simulator.wire import ProgressUpdate


@dataclass(frozen=True, slots=True)
class ApplianceClock:
    """The appliance's idea of the time: ahead by `offset_s` (behind if negative), in a zone of its own.

    `time` gives seconds since the epoch as the rest of the world counts them.
    """

    offset_s: float = 0.0
    utc_offset_min: int = 0
    time: Callable[[], float] = time.time

    def now(self) -> datetime:
        return self.at(self.time())

    def at(self, instant: float) -> datetime:
        """What this clock shows at an instant, in seconds since the epoch."""
        zone = timezone(timedelta(minutes=self.utc_offset_min)) if self.utc_offset_min else UTC
        return datetime.fromtimestamp(instant + self.offset_s, zone)


@dataclass(slots=True)
class Tracked:
    """What GET /status knows of a job: that it was started, and whether it was cleaned up."""

    started: datetime
    updated: datetime
    status: str = "running"
    operation: str = "initializing"


class Appliance:
    """Make it inside a running event loop; `close` it there."""

    def __init__(
        self,
        clock: ApplianceClock,
        speed: float,
        default_plan: Plan,
        state: StateFile,
        generation: Generation = "current",
    ) -> None:
        self.clock = clock
        self.now = clock.now
        self.speed = speed
        self.generation = generation
        shape = None if generation == "current" else partial(self._older, generation)
        self.progress = ProgressMap(clock.now, shape, self._look_first)
        self.tracked: dict[str, Tracked] = {}
        self.faults = FaultSwitch()
        self.requests = RequestLog(clock.time)
        lazily = Lazily(self._take, self.progress.knows)
        self._deaf_until = -math.inf
        self.copies = Copies(self.post, clock.time, speed, default_plan, state, lazily)

    def post(self, key: str, update: ProgressUpdate) -> bool:
        """What a copy process says; false if the key was known, or nobody listens."""
        return self.clock.time() > self._deaf_until and self.progress.update(key, update)

    def hear_nothing_until(self, instant: float) -> None:
        """The server is away: what copies post before `instant` (seconds since the epoch) is lost."""
        self._deaf_until = instant
        self.copies.hear_nothing_until(instant)

    async def forget(self, keys: list[str] | None, *, copies_survive: bool) -> None:
        """As after a restart of the appliance (`keys` None), or only of these keys."""
        if not copies_survive:
            await self.copies.kill_those_posting_to(keys)
        self.progress.forget(keys)
        for job_id in list(self.tracked) if keys is None else keys:
            self.tracked.pop(job_id, None)

    async def close(self) -> None:
        await self.copies.close()

    def _look_first(self, key: str | None) -> None:
        self.copies.catch_up(key)

    def _take(self, key: str, update: ProgressUpdate, instant: float) -> bool:
        return self.progress.take(key, update, self.clock.at(instant))

    def _older(self, generation: Generation, key: str, entry: Entry, now: datetime) -> dict[str, Any]:
        return SHAPES[generation](key, self._sight(key, entry), now)

    def _sight(self, key: str, entry: Entry) -> Sight:
        return sight(entry, self.copies.record(key), self.clock.at, self.speed)
