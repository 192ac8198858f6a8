"""The appliance behind both ports: progress map, status tracker, copies, faults and counters."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from vma.simulator.faults import FaultSwitch
from vma.simulator.hub import Copies
from vma.simulator.plans import Plan
from vma.simulator.progress import ProgressMap
from vma.simulator.requests_log import RequestLog
from vma.simulator.state import StateFile


@dataclass(frozen=True, slots=True)
class ApplianceClock:
    """The appliance's idea of the time: ahead by `offset_s` (behind if negative), in a zone of its own."""

    offset_s: float = 0.0
    utc_offset_min: int = 0

    def now(self) -> datetime:
        zone = timezone(timedelta(minutes=self.utc_offset_min)) if self.utc_offset_min else UTC
        return datetime.now(zone) + timedelta(seconds=self.offset_s)


@dataclass(slots=True)
class Tracked:
    """What GET /status knows of a job: that it was started, and whether it was cleaned up."""

    started: datetime
    updated: datetime
    status: str = "running"
    operation: str = "initializing"


class Appliance:
    """Make it inside a running event loop; `close` it there."""

    def __init__(self, clock: ApplianceClock, speed: float, default_plan: Plan, state: StateFile) -> None:
        self.now = clock.now
        self.progress = ProgressMap(clock.now)
        self.tracked: dict[str, Tracked] = {}
        self.faults = FaultSwitch()
        self.requests = RequestLog(lambda: datetime.now(UTC))
        self.copies = Copies(self.progress.update, time.time, speed, default_plan, state)

    async def forget(self, keys: list[str] | None, *, copies_survive: bool) -> None:
        """As after a restart of the appliance (`keys` None), or only of these keys."""
        if not copies_survive:
            await self.copies.kill_those_posting_to(keys)
        self.progress.forget(keys)
        for job_id in list(self.tracked) if keys is None else keys:
            self.tracked.pop(job_id, None)

    async def close(self) -> None:
        await self.copies.close()
