"""All copies of the appliance: started, disturbed and remembered here."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from vma.simulator import records
from vma.simulator.copies import CopyProcess, Post, Surroundings
from vma.simulator.lazy import Lazily
from vma.simulator.oma import Oma
from vma.simulator.plans import Plan, ReplicateRequest
from vma.simulator.records import CopyRecord, CopyState, CopyView
from vma.simulator.state import Memory, StateFile


class NoSuchCopyError(LookupError):
    """No copy was ever started under this job id."""


class WrongStateError(Exception):
    """The copy is over, or not in the state the command is for."""


class Copies:
    """The copy processes by job id, and the plans for those to come. Needs a running event loop."""

    def __init__(
        self,
        post: Post,
        clock: Callable[[], float],
        speed: float,
        default_plan: Plan,
        state: StateFile,
        lazily: Lazily | None = None,
    ) -> None:
        self._state = state
        self._lazy = lazily
        self._memory = Memory(default_plan=default_plan)
        self._oma = Oma()
        self._around = Surroundings(post, self._oma, clock, speed, self._save)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def restore(self) -> None:
        """Take up the copies the state file knows: those that ran have run on while nobody listened."""
        self._memory = self._state.load() or self._memory
        for record in self._memory.copies.values():
            if record.state == "running":
                self._spawn(record, orphan=True)

    def follow_script(self, records: Iterable[CopyRecord], plans: dict[str, Plan]) -> None:
        """Copies that start by themselves, also in the future, and plans by job id or by VM for those that do not."""
        for record in records:
            self._memory.copies[record.job_id] = record
            self._spawn(record)
        self._memory.plans |= plans

    def catch_up(self, key: str | None) -> None:
        """What those posting under `key` (None: all) would have posted by now is posted."""
        if self._lazy is not None:
            self._lazy.catch_up(key, self._around.clock())

    def hear_nothing_until(self, instant: float) -> None:
        """What is posted before `instant` (seconds since the epoch) is lost: the server is away."""
        if self._lazy is not None:
            self._lazy.hear_nothing_until(instant)

    def record(self, job_id: str) -> CopyRecord | None:
        """What is known of a copy, if there was one."""
        return self._memory.copies.get(job_id)

    def plan(self, job_id: str, plan: Plan) -> None:
        self._memory.plans[job_id] = plan
        self._save()

    def plan_by_default(self, plan: Plan) -> None:
        self._memory.default_plan = plan
        self._save()

    def start(self, request: ReplicateRequest) -> None:
        """Start a copy; a run of the same job id that is under way dies."""
        plan = self._plan_for(request)
        record = CopyRecord(
            job_id=request.job_id,
            plan=plan,
            disks=plan.disks_for(request.nbd_targets),
            vm_path=request.vm_path,
            oma_url=request.oma_url,
            started_at=self._around.clock(),
        )
        self._memory.copies[request.job_id] = record
        self._save()
        self._spawn(record)

    def _plan_for(self, request: ReplicateRequest) -> Plan:
        vm = PurePosixPath(request.vm_path).name
        plans = self._memory.plans
        return plans.get(request.job_id) or plans.get(vm) or self._memory.default_plan

    def views(self) -> list[CopyView]:
        self.catch_up(None)
        now = self._around.clock()
        return [record.view(now, self._around.speed) for record in self._memory.copies.values()]

    def view(self, job_id: str) -> CopyView:
        """Raises NoSuchCopyError."""
        return self._record(job_id).view(self._around.clock(), self._around.speed)

    async def fail(self, job_id: str, message: str) -> None:
        """The process posts `failed` and ends; `message` stays here, as the appliance drops it."""
        record = self._record(job_id, "running", "hung")
        await self._stop(job_id)
        self._around.post(record.post_key, records.failure_post(record))
        self._over(record, "failed", message)

    async def hang(self, job_id: str) -> None:
        """The process stands still and says nothing; its entry stays as it is."""
        record = self._record(job_id, "running")
        await self._stop(job_id)
        self._over(record, "hung", "hung by command")

    async def resume(self, job_id: str) -> None:
        """A hung process goes on where it stood."""
        record = self._record(job_id, "hung")
        record.plan = record.plan.model_copy(update={"end": None})
        self._go_on(record)

    async def kill(self, job_id: str, why: str = "killed by command") -> None:
        """The process dies without a word."""
        record = self._record(job_id, "running", "hung")
        await self._stop(job_id)
        self._over(record, "killed", why)

    async def finish(self, job_id: str) -> None:
        """The process does the rest of its work at once, with all posts and ChangeID calls."""
        record = self._record(job_id, "running", "hung")
        await self._stop(job_id)
        missing = record.timeline().end - record.elapsed(self._around.clock(), self._around.speed)
        record.skipped_s += max(0.0, missing)
        self._go_on(record)

    async def kill_those_posting_to(self, keys: Iterable[str] | None) -> None:
        """Kill the copies that post under one of `keys`, or all (None)."""
        hit = None if keys is None else set(keys)
        self.catch_up(None)
        begun = [record for record in self._memory.copies.values() if record.started_at <= self._around.clock()]
        for record in begun:
            if record.state in ("running", "hung") and (hit is None or record.post_keys() & hit):
                await self.kill(record.job_id, "died with the appliance")

    async def close(self) -> None:
        """Stop all processes here; in the state file they run on."""
        for job_id in list(self._tasks):
            await self._stop(job_id)
        await self._oma.close()

    def _record(self, job_id: str, *states: CopyState) -> CopyRecord:
        if self._lazy is not None:
            self._lazy.catch_up_job(job_id, self._around.clock())
        record = self._memory.copies.get(job_id)
        if record is None:
            raise NoSuchCopyError(f"no copy of {job_id} was started here; GET /control/copies lists those that were")
        if states and record.state not in states:
            raise WrongStateError(f"the copy of {job_id} is {record.state}; this needs {' or '.join(states)}")
        return record

    def _go_on(self, record: CopyRecord) -> None:
        if record.stopped_at is not None:
            record.paused_s += self._around.clock() - record.stopped_at
        record.state, record.why, record.stopped_at = "running", None, None
        self._save()
        self._spawn(record, resumed=True)

    def _over(self, record: CopyRecord, state: CopyState, why: str) -> None:
        record.state, record.why = state, why
        if record.stopped_at is None:
            record.stopped_at = self._around.clock()
        self._save()

    def _spawn(self, record: CopyRecord, *, orphan: bool = False, resumed: bool = False) -> None:
        displaced = self._tasks.pop(record.job_id, None)
        if displaced is not None:
            displaced.cancel()
        if self._lazy is not None:
            self._lazy.drop(record.job_id)
            if not record.oma_url:
                self._lazy.add(record, self._around.speed, self._around.clock(), orphan=orphan, resumed=resumed)
                return
        process = CopyProcess(record, self._around, orphan=orphan)
        self._tasks[record.job_id] = asyncio.create_task(process.run(), name=f"copy {record.job_id}")

    async def _stop(self, job_id: str) -> None:
        if self._lazy is not None:
            self._lazy.drop(job_id)
        task = self._tasks.pop(job_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _save(self) -> None:
        self._state.save(self._memory)
