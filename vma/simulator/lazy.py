"""A copy process that costs nothing until somebody looks: then it posts what it would have posted by now."""

import math
from collections import defaultdict
from collections.abc import Callable

from vma.simulator import records
from vma.simulator.records import CopyRecord
from vma.simulator.timeline import Milestone
from vma.simulator.wire import ProgressUpdate


class LazyCopy:
    """Runs one record without a task of its own, so that ten thousand are no more work than those asked about.

    1. `catch_up` reaches every milestone that has passed, in order, each with the posts that come before it.
    2. Of several posts in between only the last is made: it says all that the others said.
    3. If the map does not know the key, the first one the server could hear is made too: it dates the entry.

    `post` takes key, update and the instant (seconds since the epoch); `known` tells whether the map has the key.
    Without an OMA to talk to only: ChangeID calls need a process that waits (`copies.CopyProcess`).
    """

    def __init__(
        self,
        record: CopyRecord,
        post: Callable[[str, ProgressUpdate, float], object],
        known: Callable[[str], bool],
        speed: float,
        now: float,
        deaf_until: float = -math.inf,
        not_before: float = -math.inf,
    ) -> None:
        self.record = record
        self._post_at = post
        self._known = known
        self._speed = speed
        self._timeline = record.timeline()
        self._last_post = record.elapsed(now, speed)
        self._not_before = not_before
        self.deaf_until = deaf_until
        self.due = -math.inf  # seconds since the epoch: before that there is nothing to do

    def catch_up(self, now: float) -> None:
        """Everything up to `now`."""
        if now < self.due or self.record.state != "running":
            return
        elapsed = self.record.elapsed(now, self._speed)
        while (milestone := self._next()) is not None and milestone.at <= elapsed:
            self._post_between(milestone.at, before=True)
            self._reach(milestone)
        if self.record.state == "running":
            self._post_between(elapsed)
            self._set_due()

    def _next(self) -> Milestone | None:
        done, milestones = self.record.milestones_done, self._timeline.milestones
        return milestones[done] if self.record.state == "running" and done < len(milestones) else None

    def _reach(self, milestone: Milestone) -> None:
        record, end = self.record, self.record.plan.end
        if milestone.kind == "stop" and end is not None:
            if end.state == "failed":
                self._post(record.post_key, records.failure_post(record), milestone.at)
            self._over(end.state, end.why, milestone.at)
            return
        disk = 0 if milestone.kind == "setup" else milestone.number
        self._post(record.key_of(disk), records.milestone_post(record, milestone), milestone.at)
        record.milestones_done += 1
        if record.milestones_done == len(self._timeline.milestones):
            self._over("finished", None, milestone.at)

    def _over(self, state: records.CopyState, why: str | None, at: float) -> None:
        self.record.state, self.record.why, self.record.stopped_at = state, why, self._instant(at)

    def _post_between(self, until: float, *, before: bool = False) -> None:
        """Those that are due every few seconds after the last post, up to `until`, or before it."""
        every, begin = self.record.plan.post_every_s, self._last_post
        last = math.ceil((until - begin) / every) - 1 if before else math.floor((until - begin) / every)
        if not self.record.busy or last < 1:
            return
        heard = (self.record.elapsed(self.deaf_until, self._speed) - begin) / every
        first = max(1, math.floor(heard) + 1) if heard > 0 else 1
        if first < last and not self._known(self.record.post_key):
            self._post_progress(begin + first * every)
        self._post_progress(begin + last * every)

    def _post_progress(self, at: float) -> None:
        disk = self.record.disk_in_work
        if disk is None:
            update = records.setup_post(self.record.milestones_done - 1)
        else:
            bytes_per_s = int(self._timeline.bytes_per_s(disk) * self._speed)
            update = records.transfer_post(self.record, disk, self._timeline.copied(disk, at), bytes_per_s)
        self._post(self.record.post_key, update, at)

    def _post(self, key: str, update: ProgressUpdate, at: float) -> None:
        self._last_post = at
        instant = self._instant(at)
        if instant > self.deaf_until:
            self._post_at(key, update, instant)

    def _instant(self, at: float) -> float:
        """Of that much work; what was skipped by command is done at the instant of the command."""
        return max(self.record.instant(at, self._speed), self._not_before)

    def _set_due(self) -> None:
        milestone = self._next()
        at = math.inf if milestone is None else milestone.at
        if self.record.busy:
            at = min(at, self._last_post + self.record.plan.post_every_s)
        self.due = self.record.instant(at, self._speed)


class Lazily:
    """The lazy copies that are under way or to come, by job id and by the keys they post under."""

    def __init__(self, post: Callable[[str, ProgressUpdate, float], object], known: Callable[[str], bool]) -> None:
        self._post = post
        self._known = known
        self._by_job: dict[str, LazyCopy] = {}
        self._by_key: defaultdict[str, list[LazyCopy]] = defaultdict(list)
        self._deaf_until = -math.inf

    def add(self, record: CopyRecord, speed: float, now: float, *, orphan: bool = False, resumed: bool = False) -> None:
        """`orphan`: nobody listened until now. `resumed`: it goes on now, after a command."""
        deaf_until, not_before = now if orphan else self._deaf_until, now if resumed else -math.inf
        copy = LazyCopy(record, self._post, self._known, speed, now, deaf_until, not_before)
        self._by_job[record.job_id] = copy
        for key in record.post_keys():
            self._by_key[key].append(copy)

    def drop(self, job_id: str) -> None:
        """It is over, or somebody takes it in hand."""
        copy = self._by_job.pop(job_id, None)
        if copy is None:
            return
        for key in copy.record.post_keys():
            self._by_key[key].remove(copy)
            if not self._by_key[key]:
                del self._by_key[key]

    def catch_up(self, key: str | None, now: float) -> None:
        """Those posting under `key`, or all (None); those that are over are dropped."""
        copies = self._by_job.values() if key is None else self._by_key.get(key, ())
        over = []
        for copy in copies:
            if now >= copy.due:
                copy.catch_up(now)
                if copy.record.state != "running":
                    over.append(copy.record.job_id)
        for job_id in over:
            self.drop(job_id)

    def catch_up_job(self, job_id: str, now: float) -> None:
        """That of this job."""
        copy = self._by_job.get(job_id)
        if copy is not None:
            copy.catch_up(now)

    def hear_nothing_until(self, instant: float) -> None:
        self._deaf_until = instant
        for copy in self._by_job.values():
            copy.deaf_until = instant
