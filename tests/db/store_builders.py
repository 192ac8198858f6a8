"""One VM and its jobs in a store, as the workflow and the VMA see them. Every VM has names of its own, so tests share
a database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, Table, select, update
from unguarded import unguarded

from db import views
from db.apply import Applied
from db.engine import read, write
from db.jobs import NewDisk, NewJob, NewVolume
from db.load import PollingRow
from db.store import Answer, Store
from db.tables import CONTEXTS, DISKS, JOBS
from fsm.decision import Decision
from fsm.evidence import DiskEvidence, Evidence
from fsm.facts import Asked, JobFacts
from fsm.states import Asker, Event, Verdict

Seen = TypeVar("Seen")
NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
STARTED = NOW - timedelta(days=10)  # of our process
MIB = 1 << 20
SIZE = 1000 * MIB  # of every disk
POLL = Asked(Asker.POLL)
STARTUP = Asked(Asker.STARTUP)
WORKFLOW = Asked(Asker.WORKFLOW, None, "the workflow gave up")
OPERATOR = Asked(Asker.OPERATOR, "anna", "looked at it on the VMA")
DISK = "disk-2000"


def evidence(verdict: Verdict | str, now: datetime = NOW, observer: str = "run-1", **more: Any) -> Evidence:
    """An answer of the VMA at `now`; `done` (bytes, of the first disk) makes it one that names the disk."""
    told, done = Verdict(verdict), more.pop("done", None)
    if done is not None:
        proven = told is Verdict.COMPLETED
        disk = DiskEvidence(DISK, told, proven=proven, bytes_transferred=done, total_bytes=SIZE)
        more = {"disks": (disk,), "bytes_transferred": done, "total_bytes": SIZE} | more
    return Evidence(told, now, observer, (now - STARTED).total_seconds(), **more)


@dataclass
class Vm:
    """A VM with its newest job; `now` is its clock."""

    store: Store
    now: datetime = NOW
    name: str = field(default_factory=lambda: f"vm-{uuid4().hex[:10]}")
    job_id: str = ""

    # --- what the workflow, the VMA and time do ----------------------------------------------------

    def wait(self, **span: float) -> "Vm":
        """Let time pass."""
        self.now += timedelta(**span)
        return self

    def new(self, disks: int = 1, **more: Any) -> NewJob:
        """A job of this VM, not yet created."""
        names = {
            "vm_name": self.name,
            "vmware_vm_id": f"id-{self.name}",
            "vm_path": f"/dc/vm/{self.name}",
            "vcenter_host": "vcenter-1",
        }
        announced = tuple(NewDisk(f"disk-{2000 + n}", SIZE) for n in range(disks))
        return NewJob(**{**names, "disks": announced} | more)

    def ask_for(self, new: NewJob | None = None, about: dict[str, Verdict] | None = None) -> Decision:
        """Ask for a new job; it may be refused. `about`: what the VMA just said of the VM's inferred ends."""
        return self.store.create(new or self.new(), self.now, asked=Asked(), asked_about=about or {})

    def create(self, disks: int = 1, **more: Any) -> "Vm":
        """Create a job: the VM's newest. Its inferred end was asked about, and is over."""
        watched = self.store.vm_facts(self.new()).watched_job
        about = {watched: Verdict.NOT_FOUND} if watched else {}
        decision = self.store.create(self.new(disks, **more), self.now, asked=Asked(), asked_about=about)
        assert decision.moved, decision.says
        self.job_id = decision.after.job_id
        return self

    def volume(self, disk_id: str = DISK, volume_id: str = "", **more: Any) -> str:
        """Record a disk's volume; its id."""
        volume_id = volume_id or f"{self.name}-{disk_id}"
        self.store.record_volume(self.job_id, disk_id, NewVolume(volume_id, **more), self.now)
        return volume_id

    def set_up(self, disks: int = 1, **more: Any) -> "Vm":
        """Create a job and bring it to ready_for_sync."""
        self.create(disks, **more)
        for n in range(disks):
            self.volume(f"disk-{2000 + n}")
        for event in (Event.ATTACH, Event.READY):
            self.fire(event)
        return self

    def replicate(self, disks: int = 1, **more: Any) -> "Vm":
        """Create a job and start its copy."""
        self.set_up(disks, **more).fire(Event.START)
        return self

    def fire(self, event: Event, asked: Asked = WORKFLOW, job_id: str = "") -> Applied:
        """Fire an event of the workflow or of an operator."""
        return self.store.fire(job_id or self.job_id, event, self.now, asked=asked)

    def answer(self, verdict: Verdict | str, asked: Asked = POLL, job_id: str = "", **more: Any) -> Answer:
        """An answer to the job as it stands."""
        facts = self.store.facts(job_id or self.job_id)
        return Answer(facts.job_id, facts.version, evidence(verdict, self.now, **more), asked)

    def hear(self, verdict: Verdict | str, asked: Asked = POLL, job_id: str = "", **more: Any) -> Applied:
        """The VMA answers, and the answer is applied."""
        return self.store.answer([self.answer(verdict, asked, job_id, **more)], self.now)[0]

    def complete(self) -> "Vm":
        """A whole copy that the VMA confirms."""
        self.replicate().hear("completed", done=SIZE)
        return self

    def lose(self, done: int = 0) -> "Vm":
        """The VMA forgets a replicating job for long enough: an inferred end (failed up to 90 %, else completed)."""
        self.hear("running", done=done)
        for _ in range(3):
            self.wait(seconds=30).hear("not_found")
        assert self.facts.ending == "inferred", self.facts
        return self

    # --- what is stored ------------------------------------------------------------------------------

    @property
    def facts(self) -> JobFacts:
        """The job as the rules see it."""
        return self.store.facts(self.job_id)

    @property
    def row(self) -> RowMapping:
        """The job's row with its polling row."""
        return self.look(views.job_row)

    @property
    def context(self) -> RowMapping:
        """The VM's context."""
        return rows(self.store, CONTEXTS, vm_name=self.name)[0]

    @property
    def polling(self) -> PollingRow:
        """The job's polling row."""
        found = self.store.loaded(self.job_id).polling
        assert found is not None
        return found

    @property
    def history(self) -> Sequence[RowMapping]:
        """The job's transitions."""
        return self.look(views.history)

    @property
    def polls(self) -> list[RowMapping]:
        """The job's kept polls, oldest first."""
        return list(reversed(self.look(views.polls)))

    @property
    def disks(self) -> Sequence[RowMapping]:
        """The VM's disks."""
        return rows(self.store, DISKS, vm_context_id=self.context["context_id"])

    def look(self, view: Callable[[Connection, str], Seen]) -> Seen:
        """A view of the newest job."""
        with read(self.store.engine) as connection:
            return view(connection, self.job_id)

    def set_context(self, **values: Any) -> None:
        """Write the context as another program would."""
        put(self.store, CONTEXTS, {"vm_name": self.name}, **values)

    def set_job(self, **values: Any) -> None:
        """Write the job's row as another program would, whatever the guards say of it."""
        with unguarded(self.store.engine):
            put(self.store, JOBS, {"id": self.job_id}, **values)


def rows(store: Store, table: Table, **where: Any) -> list[RowMapping]:
    """The rows of a table with these values, by key."""
    query = select(table).where(*(table.c[name] == value for name, value in where.items()))
    with read(store.engine) as connection:
        return list(connection.execute(query.order_by(*table.primary_key)).mappings())


def put(store: Store, table: Table, where: dict[str, Any], **values: Any) -> None:
    """Change rows behind the store's back."""
    query = update(table).where(*(table.c[name] == value for name, value in where.items()))
    with write(store.engine) as connection:
        assert connection.execute(query.values(values)).rowcount == 1


def everything(store: Store) -> dict[str, list[RowMapping]]:
    """All rows of all tables."""
    tables = JOBS.metadata.tables
    return {name: rows(store, table) for name, table in tables.items()}


def raised_by(exception: BaseException) -> Any:
    """A function that raises, to be put in the place of another."""

    def fail(*_: Any, **__: Any) -> Any:
        raise exception

    return partial(fail)
