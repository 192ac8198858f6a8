"""The copy process: it works on, whether or not anybody asks, and posts what it has done."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vma.simulator import records
from vma.simulator.oma import ChangeIdNotStoredError, Oma
from vma.simulator.records import CopyRecord, CopyState
from vma.simulator.timeline import Milestone
from vma.simulator.wire import ProgressUpdate

Post = Callable[[str, ProgressUpdate], object]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every copy process shares. `clock` gives seconds since the epoch, `changed` saves the records."""

    post: Post
    oma: Oma
    clock: Callable[[], float]
    speed: float
    changed: Callable[[], None]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class CopyProcess:
    """Runs one record to its end.

    `orphan`: the appliance was away until now; posts due in that time are lost, ChangeID calls are not.
    """

    def __init__(self, record: CopyRecord, around: Surroundings, *, orphan: bool = False) -> None:
        self.record = record
        self._around = around
        self._timeline = record.timeline()
        self._last_post = self._elapsed()
        self._lost_until = self._last_post if orphan else -math.inf

    async def run(self) -> None:
        """Until all disks are copied, or it stops as planned, or the OMA refuses a ChangeID: then without a word."""
        try:
            while self.record.milestones_done < len(self._timeline.milestones):
                milestone = self._timeline.milestones[self.record.milestones_done]
                if milestone.kind == "stop" and milestone.at <= self._elapsed():
                    self._stop_as_planned()
                    return
                await self._step(milestone)
        except ChangeIdNotStoredError as error:
            self._end("aborted", str(error))
        else:
            self._end("finished", None)

    async def _step(self, milestone: Milestone) -> None:
        now = self._elapsed()
        due = min(milestone.at, self._next_post())
        if due > now:
            await self._around.sleep((due - now) / self._around.speed)
        elif milestone.at <= now:
            await self._reach(milestone)
            self.record.milestones_done += 1
            self._around.changed()
        else:
            self._post_progress(now)

    def _next_post(self) -> float:
        return self._last_post + self.record.plan.post_every_s if self.record.busy else math.inf

    async def _reach(self, milestone: Milestone) -> None:
        lost = milestone.at <= self._lost_until
        if milestone.kind == "disk_start":
            await self._ask_change_id(milestone.number)
        if not lost:
            self._post(self.record.key_of(self._disk_of(milestone)), records.milestone_post(self.record, milestone))
        if milestone.kind == "disk_end":
            await self._store_change_id(milestone.number)

    def _disk_of(self, milestone: Milestone) -> int:
        return 0 if milestone.kind == "setup" else milestone.number

    def _post_progress(self, now: float) -> None:
        disk = self.record.disk_in_work
        if disk is None:
            update = records.setup_post(self.record.milestones_done - 1)
        else:
            bytes_per_s = int(self._timeline.bytes_per_s(disk) * self._around.speed)
            copied = self._timeline.copied(disk, now)
            update = records.transfer_post(self.record, disk, copied, bytes_per_s)
        self._post(self.record.post_key, update)

    def _post(self, key: str, update: ProgressUpdate) -> None:
        self._around.post(key, update)
        self._last_post = self._elapsed()

    async def _ask_change_id(self, number: int) -> None:
        if self.record.oma_url:
            disk_id = self.record.disks[number].disk_id
            self.record.previous_change_ids[disk_id] = await self._around.oma.known_change_id(
                self.record.oma_url, self.record.vm_path, disk_id
            )

    async def _store_change_id(self, number: int) -> None:
        if self.record.oma_url:
            disk_id = self.record.disks[number].disk_id
            previous = self.record.previous_change_ids.get(disk_id)
            await self._around.oma.store_change_id(self.record.oma_url, self.record.job_id, disk_id, previous)

    def _stop_as_planned(self) -> None:
        end = self.record.plan.end
        if end is None:
            return
        if end.state == "failed":
            self._post(self.record.post_key, records.failure_post(self.record))
        self._end(end.state, end.why)

    def _end(self, state: CopyState, why: str | None) -> None:
        self.record.state, self.record.why = state, why
        self.record.stopped_at = self._around.clock()
        self._around.changed()

    def _elapsed(self) -> float:
        return self.record.elapsed(self._around.clock(), self._around.speed)
