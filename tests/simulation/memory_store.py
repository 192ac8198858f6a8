"""`db.store.Store` without a database: the same answers from Python values, a fiftieth of the time.

It decides by the same `fsm` and keeps polling rows by the same `db.polling`. That it says what the real store says is
held by playing the same stories on both (test_memory_store.py).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from db import polling
from db.apply import Applied
from db.errors import ConflictError, NotFoundError, RecoveryRunningError, UnreadableJobError
from db.foreign_writes import Absorbed
from db.jobs import NewJob, NewVolume
from db.load import Loaded, PolledJob, PollingRow
from db.runs import WAITED_FOR
from db.store import Answer
from fsm.decision import Decision
from fsm.facts import Asked, Disk, JobFacts, VmFacts
from fsm.machine import decide, decide_on
from fsm.policy import RecoveryPolicy
from fsm.states import INITIAL, Asker, Effect, Ending, Event, State, Verdict

_STARTS = {Effect.START_POLLING, Effect.RESTART_POLLING}


@dataclass(frozen=True, slots=True)
class Move:
    """A row of a job's history."""

    seq: int
    edge: str | None
    from_state: State | None
    to_state: State
    ending: Ending | None
    at: datetime
    asked: Asked


@dataclass
class Run:
    """A recovery run's record."""

    run_id: int
    asked: Asked
    jobs: int
    run_by: str | None
    started_at: datetime
    looked_at: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    finished_at: datetime | None = None


class MemoryStore:
    """As much of the store as the poller and the simulated workflow use. Every call is one transaction."""

    def __init__(self, policy: RecoveryPolicy) -> None:
        self.policy = policy
        self.rows: dict[str, Loaded] = {}
        self.moves: dict[str, list[Move]] = {}
        self.runs: list[Run] = []
        self._volumes: dict[str, dict[str, str]] = {}  # by VM and disk
        self.poisoned: set[str] = set()  # jobs whose rows cannot be read
        self.on_move: Callable[[Decision], None] = lambda _: None

    def for_a_process(self) -> "MemoryStore":
        """The store that a process opens: it remembers nothing of its own."""
        return self

    # --- reading ---------------------------------------------------------------------------------

    def facts(self, job_id: str) -> JobFacts:
        return self.loaded(job_id).facts

    def loaded(self, job_id: str) -> Loaded:
        if job_id not in self.rows:
            raise NotFoundError("job", job_id)
        if job_id in self.poisoned:
            raise UnreadableJobError(job_id, "it is poisoned")
        return self.rows[job_id]

    def load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        return {job_id: self.rows[job_id] for job_id in sorted(set(ids)) if self._readable(job_id)}

    def _readable(self, job_id: str) -> bool:
        return job_id in self.rows and job_id not in self.poisoned

    def polled_jobs(self) -> list[PolledJob]:
        jobs = (self.rows[job_id] for job_id in sorted(self.rows))
        return [
            PolledJob(j.facts.job_id, not j.facts.active, j.polling, j.facts.appliance) for j in jobs if j.facts.polled
        ]

    def active_ids(self) -> Sequence[str]:
        return [job_id for job_id, job in sorted(self.rows.items()) if job.polling and job.polling.is_active]

    def vm_facts(self, new: NewJob) -> VmFacts:
        of_vm = [job.facts for job in self.rows.values() if job.vm_context_id == new.vm_name]
        unfinished = min((f.job_id for f in of_vm if f.active), default=None)
        watched = max((f for f in of_vm if f.watched), key=lambda f: f.created_at, default=None)
        return VmFacts(unfinished, watched.job_id if watched else None)

    # --- the workflow and people -----------------------------------------------------------------

    def create(self, new: NewJob, now: datetime, *, asked: Asked, asked_about: dict[str, Verdict]) -> Decision:
        assert new.job_id is not None
        if new.job_id in self.rows:
            raise ConflictError(f"a job {new.job_id} exists already")
        vm = self.vm_facts(new)
        vm = replace(vm, watched_verdict=asked_about.get(vm.watched_job or ""))
        known = self._volumes.get(new.vm_name, {})
        disks = tuple(Disk(d.disk_id, known.get(d.disk_id), d.capacity_bytes) for d in new.disks)
        born = JobFacts(new.job_id, INITIAL, now, now, version=0, disks=disks,
                        total_bytes=sum(d.capacity_bytes for d in disks), appliance=new.appliance)  # fmt: skip
        decision = decide(born, Event.CREATE, None, now, asked=asked, policy=self.policy, vm=vm)
        if decision.moved:
            self._take_vm(new)
            self.rows[new.job_id] = Loaded(decision.after, new.vm_name, None, 1, INITIAL.value)
            self._remember(decision)
            self._start([new.job_id], now)
        return decision

    def _take_vm(self, new: NewJob) -> None:
        """The disks of a VM are re-pointed to its newest job; what was watched is over."""
        taken = {disk.disk_id for disk in new.disks}
        for job_id, job in self.rows.items():
            if job.vm_context_id == new.vm_name:
                disks = tuple(disk for disk in job.facts.disks if disk.disk_id not in taken)
                facts = replace(job.facts, vm_taken=True, watched=False, disks=disks)
                self.rows[job_id] = replace(job, facts=facts)
                if job.facts.watched:
                    self._poll(job_id, is_active=False, next_due_at=None)

    def record_volume(self, job_id: str, disk_id: str, volume: NewVolume, now: datetime) -> None:
        loaded = self.loaded(job_id)
        self._volumes.setdefault(loaded.vm_context_id, {})[disk_id] = volume.volume_id
        of_disk = {disk_id: volume.volume_id}
        disks = tuple(replace(d, volume_id=of_disk.get(d.disk_id, d.volume_id)) for d in loaded.facts.disks)
        self._put(replace(loaded.facts, disks=disks))

    def fire(self, job_id: str, event: Event, now: datetime, *, asked: Asked, key: str | None = None) -> Applied:
        decision = decide(self.facts(job_id), event, None, now, asked=asked, policy=self.policy)
        return self._apply(decision)

    # --- answers ---------------------------------------------------------------------------------

    def answer(self, answers: Sequence[Answer], now: datetime) -> list[Applied]:
        return [self._answer(answer, now) for answer in answers if self._holds(answer)]

    def _holds(self, answer: Answer) -> bool:
        return self._readable(answer.job_id) and self.fits(self.rows[answer.job_id], answer)

    def fits(self, loaded: Loaded, answer: Answer) -> bool:
        """True unless the job moved, or another replica's answer came between."""
        return loaded.facts.version == answer.version and not answer.overtaken(loaded.polling)

    def _answer(self, answer: Answer, now: datetime) -> Applied:
        facts = self.rows[answer.job_id].facts
        return self._apply(decide_on(facts, answer.evidence, now, asked=answer.asked, policy=self.policy))

    def _apply(self, decision: Decision) -> Applied:
        loaded = self.loaded(decision.before.job_id)
        due = self._follow(loaded, decision) if decision.outcome.accepted else None
        return Applied(decision, loaded, due)

    def _follow(self, loaded: Loaded, decision: Decision) -> datetime | None:
        after, job_id = decision.after, decision.before.job_id
        if after is not decision.before:
            self._put(after)
            if decision.moved:
                self._remember(decision)
        row = polling._after(loaded.polling, decision, self.policy)
        if decision.moved and _STARTS & set(decision.effects):
            self._start([job_id], decision.at)
        if decision.evidence is not None:
            values = polling._answer_values(row, decision)
            self._poll(job_id, **{name: values[name] for name in PollingRow._fields if name in values})
        elif not after.polled:
            self._poll(job_id, is_active=False, next_due_at=None)
        return row.next_due_at if after.polled else None

    def _put(self, facts: JobFacts) -> None:
        self.rows[facts.job_id] = replace(self.rows[facts.job_id], facts=facts, status=facts.state.value)

    def _poll(self, job_id: str, **values: Any) -> None:
        loaded = self.rows[job_id]
        row = (loaded.polling or PollingRow(is_active=False))._replace(**values)
        facts = loaded.facts
        if row.started_polling_at != facts.polling_since:
            facts = replace(facts, polling_since=row.started_polling_at)
        self.rows[job_id] = replace(loaded, polling=row, facts=facts)

    def _remember(self, decision: Decision) -> None:
        after, asked = decision.after, Asked(decision.asked.by, decision.asked.actor)
        move = Move(after.version, decision.edge, decision.source, after.state, after.ending, decision.at, asked)
        self.moves.setdefault(after.job_id, []).append(move)
        self.on_move(decision)

    # --- polling and runs ------------------------------------------------------------------------

    def start_polling(self, ids: Iterable[str], now: datetime) -> set[str]:
        live = {job_id for job_id in ids if self._readable(job_id) and self.rows[job_id].facts.polled}
        self._start(sorted(live), now)
        return live

    def _start(self, ids: Iterable[str], now: datetime) -> None:
        for job_id in ids:
            self._poll(job_id, is_active=True, started_polling_at=now, next_due_at=now)

    def open_run(
        self, now: datetime, asked: Asked, total: int, run_by: str | None = None, others: Collection[str] = ()
    ) -> int:
        for run in self.runs:
            theirs = run.asked.by is Asker.TRIGGER and run.run_by in others and run.finished_at is None
            if theirs and run.started_at > now - WAITED_FOR:
                raise RecoveryRunningError(run.run_id, run.run_by)
        self.runs.append(Run(len(self.runs) + 1, asked, total, run_by, now))
        return len(self.runs)

    def note_run(
        self, run_id: int, looked_at: int, outcomes: dict[str, int], seconds: dict[str, float],
        finished: datetime | None,
    ) -> None:  # fmt: skip
        run = self.runs[run_id - 1]
        if finished is None and run.finished_at is not None:
            return
        run.looked_at, run.outcomes, run.finished_at = looked_at, outcomes, finished

    def abandon_runs(self, now: datetime, living: Collection[str] = ()) -> None:
        for run in self.runs:
            if run.finished_at is None and run.run_by not in living:
                run.finished_at = now

    def heed_oma(self, now: datetime) -> Absorbed:
        return Absorbed()

    def prune(self, now: datetime) -> int:
        return 0
