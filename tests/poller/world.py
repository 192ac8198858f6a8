"""A test world: a real store on SQLite, a model VMA, clocks that stand still, and process runs that live and die."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from model_vma import SIZE, Clock, Copy, ModelVma, evidence, span
from msgspec.structs import replace
from sqlalchemy import RowMapping, event, insert, select, text
from unguarded import unguarded

from db import views
from db.apply import Applied
from db.engine import make_engine, read, write
from db.jobs import NewDisk, NewJob, NewVolume
from db.recall import Recall
from db.store import Answer, Store
from db.tables import CONTEXTS, DISKS, JOBS, POLLING
from fsm.decision import Decision
from fsm.facts import Asked
from fsm.policy import RecoveryPolicy
from fsm.states import SETUP, Asker, Event, State, Verdict
from poller.ownership import SOLE, Ownership
from poller.service import PollingService

T = TypeVar("T")
STEPS = (Event.ATTACH, Event.CONFIGURE, Event.READY, Event.START)
OPERATOR = Asked(Asker.OPERATOR, "anna", "looked at it on the VMA")
TRIGGER = Asked(Asker.TRIGGER, "anna")
STARTUP = Asked(Asker.STARTUP)
POLL = Asked(Asker.POLL)
PATIENCE = 60.0  # seconds: a test that hangs is a failure, one on a slow machine is none


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine; one that hangs is a failure."""

    async def guarded() -> T:
        async with asyncio.timeout(PATIENCE):
            return await work

    return asyncio.run(guarded())


async def until(condition: Callable[[], bool]) -> None:
    """Let everything run until the condition holds; the guard of `run` ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - it is threads that are waited for
        await asyncio.sleep(0.001)


class World:
    """What outlives a process of ours: the database, the VMA, time."""

    def __init__(self, url: str, policy: RecoveryPolicy | None = None) -> None:
        self.clock = Clock()
        self.vma = ModelVma(self.clock)
        self.engine = make_engine(url)
        event.listen(self.engine, "connect", lambda c, _record: c.execute("PRAGMA synchronous = OFF"))
        self.store = Store(self.engine, policy or RecoveryPolicy())
        self._past = self.clock.observer()  # the process that was there before the test began
        self._born = 0

    # --- jobs of every kind, made by the store itself -------------------------------------------

    def new(self, name: str, disks: int = 1) -> NewJob:
        """What the workflow announces for the VM `name`."""
        made = tuple(NewDisk(f"disk-{2000 + n}", SIZE) for n in range(disks))
        return NewJob(name, f"vm-{name}", f"/dc/vm/{name}", "vcenter.example", disks=made)

    def job(
        self, state: State | str = "replicating", *, percent: float | None = None, age: str | float = "2h",
        heard: str | float = 60, disks: int = 1, vm: str | None = None,
    ) -> str:  # fmt: skip
        """A job that entered its state `age` ago; with `percent`, the VMA was last heard of it `heard` ago."""
        at = self.clock.time - span(age)
        self._born += 1
        name = vm or f"vm{self._born}"
        job_id = self.create(name, at, disks=disks).after.job_id
        self._bring(job_id, name, State(state), at, disks)
        if percent is not None:
            self.hear(job_id, Copy(Verdict.RUNNING, percent), self.clock.time - span(heard))
        return job_id

    def create(
        self, vm: str, at: datetime | None = None, *, disks: int = 1, asked_about: dict[str, Verdict] | None = None
    ) -> Decision:
        """The workflow asks for a job of a VM."""
        at = at or self.clock.time
        return self.store.create(self.new(vm, disks), at, asked=Asked(), asked_about=asked_about or {})

    def _bring(self, job_id: str, name: str, state: State, at: datetime, disks: int) -> None:
        steps = (*SETUP, State.REPLICATING).index(state)
        for n in range(disks if steps else 0):
            self.store.record_volume(job_id, f"disk-{2000 + n}", NewVolume(f"{name}-{n}"), at)
        for step in STEPS[:steps]:
            assert self.store.fire(job_id, step, at, asked=Asked()).decision.moved

    def hear(self, job_id: str, copy: Copy, at: datetime | None = None, *, version: int | None = None) -> list[Applied]:
        """The previous process hears an answer."""
        at = at or self.clock.time
        facts = self.store.facts(job_id)
        told = replace(evidence(copy, facts.disks, self._past), observed_at=at)
        return self.store.answer([Answer(job_id, version or facts.version, told, POLL)], at)

    def inferred_end(self, *, ago: str | float = "5m", percent: float = 40.0, vm: str | None = None) -> str:
        """A job that was given up `ago` because its VMA was silent for half an hour; it is under watch."""
        since = span(ago).total_seconds()
        job_id = self.job(percent=percent, age=since + 5 * 3600, heard=since + 3 * 3600, vm=vm)
        at = self.clock.time - span(ago) - span(80)
        for n in range(3):
            facts = self.store.facts(job_id)
            silence = Copy(Verdict.UNREACHABLE, None, {"error": "connection refused"})
            told = replace(evidence(silence, facts.disks, self._past), observed_at=at, uptime=5000.0 + 40 * n)
            self.store.answer([Answer(job_id, facts.version, told, POLL)], at)
            at += span(40)
        assert self.row(job_id)["ending"] == "inferred"
        return job_id

    def clone(self, job_id: str, times: int) -> list[str]:
        """More jobs like this one, each of a VM of its own, quickly."""
        ids = [f"{job_id}-{n:04d}" for n in range(times)]
        of_vm = CONTEXTS.c.context_id == self.row(job_id)["vm_context_id"]
        own = {CONTEXTS: of_vm, JOBS: JOBS.c.id == job_id} | {t: t.c.job_id == job_id for t in (DISKS, POLLING)}
        with unguarded(self.engine), write(self.engine) as connection:
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))  # contexts and jobs refer to each other
            for table, mine in own.items():
                for row in connection.execute(select(table).where(mine)).mappings().all():
                    connection.execute(insert(table), [_renamed(row, job_id, new) for new in ids])
        return ids

    # --- looking ---------------------------------------------------------------------------------

    def row(self, job_id: str) -> RowMapping:
        """The job's row with its polling row."""
        return self._read(views.job_row, job_id)

    def rows(self, job_ids: Sequence[str]) -> list[RowMapping]:
        """Many of them."""
        return [self.row(job_id) for job_id in job_ids]

    def status(self, job_id: str) -> str:
        """The job's state."""
        return str(self.row(job_id)["status"])

    def context(self, job_id: str) -> RowMapping:
        """The context of the job's VM."""
        return self._read(views.context_row, self.row(job_id)["vm_context_id"])

    def moves(self, job_id: str) -> list[str]:
        """The edges that the job took, first to last."""
        return [row["edge"] for row in self._read(views.history, job_id)]

    def runs(self) -> Sequence[RowMapping]:
        """Recovery runs, newest first."""
        return self._read(views.runs)

    def polls(self, job_id: str) -> Sequence[RowMapping]:
        """The kept polls, newest first."""
        return self._read(views.polls, job_id, 10_000)

    def _read(self, view: Callable[..., T], *args: Any) -> T:
        with read(self.engine) as connection:
            return view(connection, *args)

    def sql(self, statement: str, **values: Any) -> None:
        """What somebody does to the database behind our back, whatever its guards say of it."""
        with unguarded(self.engine), write(self.engine) as connection:
            connection.execute(text(statement), values)

    # --- processes -------------------------------------------------------------------------------

    @asynccontextmanager
    async def process(self, *, started: bool = True, ownership: Ownership = SOLE) -> AsyncIterator["Process"]:
        """One run of ours, killed at the end unless it was stopped."""
        process = Process(self, ownership)
        try:
            if started:
                await process.start()
            yield process
        finally:
            await process.kill()


def _renamed(row: RowMapping, job_id: str, new: str) -> dict[str, Any]:
    """A row as it looks for another job of another VM."""
    per_vm = ("context_id", "vm_context_id", "vm_name", "vmware_vm_id")
    values = {k: f"{new}-vm" if k in per_vm else new if v == job_id else v for k, v in row.items()}
    if isinstance(values.get("id"), int):
        del values["id"]
    return values


class Process:
    """One run of ours: the whole polling service, with an observer of its own."""

    def __init__(self, world: World, ownership: Ownership = SOLE) -> None:
        self.world = world
        self.observer = world.clock.observer()
        world.vma.observer = self.observer
        world.store._recall = Recall()  # a new process remembers nothing
        self.service = PollingService(world.store, world.vma, self.observer, ownership)
        self.service.poller.tick = self.service.poller.answers.linger = 0.0  # time stands still here
        self.service.poller.spread = False
        self.poller, self.recovery, self.monitor = self.service.poller, self.service.recovery, self.service.monitor

    @property
    def schedule(self) -> set[str]:
        """The jobs in the schedule."""
        return set(self.service.polled_job_ids())

    async def start(self) -> None:
        """Start, and let the first answers come: all but those that the VMA holds back."""
        self.service.start()
        [recovery] = [task for task in self.service._tasks if task.get_name() == "recovery"]
        await recovery
        await self.settle()

    async def settle(self) -> None:
        """Until nothing is due and nothing under way, but for what the VMA holds back."""
        await until(self._quiet)
        if self.recovery._recording:
            await asyncio.wait(set(self.recovery._recording))

    def _quiet(self) -> bool:
        now, held = (
            self.observer.uptime(),
            {job_id for job_id in self.world.vma.held if self.world.vma.under_way[job_id]},
        )
        return all(e.job_id in held if e.in_flight_since is not None else e.due > now for e in self.poller.schedule)

    async def pass_time(self, time: str | float) -> None:
        """Let time pass: from one due question to the next, none missed."""
        end = self.observer.uptime() + span(time).total_seconds()
        await self.settle()
        while (due := self.poller.schedule.next_due()) is not None and due <= end:
            await self._leap(due)
        await self._leap(end)

    async def _leap(self, to: float) -> None:
        self.world.clock.advance(max(to - self.observer.uptime(), 0.0) + 1e-6)
        self.poller._wake.set()
        await self.settle()

    async def recovery_over(self) -> None:
        """Let time pass until the recovery is over, and recorded."""
        while not self.recovery.finished.is_set():
            await self.pass_time(0.1)
        await self.settle()

    async def kill(self) -> None:
        """SIGKILL: what was not written is lost."""
        tasks: list[asyncio.Task[Any]] = [
            *self.service._tasks,
            *self.poller._asking.values(),
            *self.recovery._recording,
        ]
        tasks += [] if self.poller._applying is None else [self.poller._applying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.service._tasks = []
        self.poller._writer.shutdown(wait=True)
