"""The store: every way in which this service reads and writes its database. Synchronous, safe from any thread."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from db import adoption, change_ids, doctor, event_keys, foreign_writes, jobs, polling, retention, runs, specs
from db.adopted import is_adopted
from db.adoption import Births
from db.answers import Answer
from db.apply import Applied, apply
from db.engine import read
from db.foreign_writes import Absorbed
from db.load import Loaded, PolledJob, chunks, load, load_one, polled_jobs
from db.locks import FreeRows
from db.recall import Recall, touch
from db.transactions import short, transact
from fsm.decision import Decision
from fsm.facts import Asked, JobFacts, VmFacts
from fsm.machine import decide, decide_on
from fsm.policy import RecoveryPolicy
from fsm.states import Event, Verdict

__all__ = ["Answer", "Store"]

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Store:
    """Facts out, decisions in. Every method is one transaction; `now` is given, never taken."""

    def __init__(self, engine: Engine, policy: RecoveryPolicy, keep: timedelta = retention.KEEP) -> None:
        """`keep`: how long it is remembered how an ended job was polled, and what it was refused."""
        self.engine = engine
        self.policy = policy
        self._recall = Recall()
        self._rows = FreeRows()
        self.keep = keep

    # --- jobs ------------------------------------------------------------------------------------

    def facts(self, job_id: str) -> JobFacts:
        """One job. NotFoundError, UnreadableJobError."""
        return self.loaded(job_id).facts

    def loaded(self, job_id: str) -> Loaded:
        """One job with its polling row. NotFoundError, UnreadableJobError."""
        with read(self.engine) as connection:
            return load_one(connection, job_id)

    def load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        """Jobs by id, those that exist and can be read."""
        with read(self.engine) as connection:
            return self._recall.load(connection, ids)

    def polled_jobs(self) -> list[PolledJob]:
        """All jobs that must be polled, from the job rows themselves."""
        with read(self.engine) as connection:
            return polled_jobs(connection)

    def vm_facts(self, new: jobs.NewJob) -> VmFacts:
        """What stands in the way of a new job of this VM."""
        with read(self.engine) as connection:
            context = jobs.find_context(connection, new)
            return VmFacts() if context is None else jobs.vm_facts(connection, context.context_id)

    def create(self, new: jobs.NewJob, now: datetime, *, asked: Asked, asked_about: dict[str, Verdict]) -> Decision:
        """Create a job if its VM is free; a refusal is a decision too. ConflictError for an id that exists."""
        return self._write(lambda c: jobs.create(c, new, now, asked=asked, policy=self.policy, asked_about=asked_about))

    def record_volume(self, job_id: str, disk_id: str, volume: jobs.NewVolume, now: datetime) -> None:
        """Tie a volume to a disk. NotFoundError, ConflictError."""
        self._write(lambda c: jobs.record_volume(c, job_id, disk_id, volume, now))

    def last_change_id(self, vm_path: str, disk_id: str) -> str:
        """The ChangeID of a disk's last good copy; empty if there is none. NotFoundError for an unknown VM."""
        with read(self.engine) as connection:
            return change_ids.last_change_id(connection, vm_path, disk_id)

    def record_change_id(self, job_id: str, disk_id: str, change_id: str, previous: str | None, now: datetime) -> bool:
        """Write the proof that a disk's copy ended; False if it was known. NotFoundError."""
        return self._write(lambda c: change_ids.record_change_id(c, job_id, disk_id, change_id, previous, now))

    # --- decisions -------------------------------------------------------------------------------

    def dry_run(self, job_id: str, event: Event, now: datetime, *, asked: Asked) -> Decision:
        """What `fire` would decide, without deciding it: what an OMA wrote is heeded for it, and undone."""
        if is_adopted(self.engine):
            return self._write(lambda c: self._dry_run(c, job_id, event, now, asked))
        return decide(self.facts(job_id), event, None, now, asked=asked, policy=self.policy)

    def _dry_run(self, connection: Connection, job_id: str, event: Event, now: datetime, asked: Asked) -> Decision:
        self._heed_oma(connection, [job_id], now)
        decision = decide(load_one(connection, job_id).facts, event, None, now, asked=asked, policy=self.policy)
        connection.rollback()
        return decision

    def fire(self, job_id: str, event: Event, now: datetime, *, asked: Asked, key: str | None = None) -> Applied:
        """Fire an event of the workflow or of an operator; a refusal is no error.

        An event with a `key` is decided once: repeated, it gets the decision of the first time and has no effect.
        NotFoundError, UnreadableJobError; ConflictError for a key that was used for another event of the job.
        """
        applied = self._write(lambda c: self._fire(c, job_id, event, now, asked, key))
        self._recall.forget(job_id)
        return applied

    def _fire(
        self, connection: Connection, job_id: str, event: Event, now: datetime, asked: Asked, key: str | None
    ) -> Applied:
        self._heed_oma(connection, [job_id], now)
        loaded = load_one(connection, job_id, lock=True)
        if key and (known := event_keys.answered(connection, job_id, key, event, self.policy)):
            return Applied(known, loaded, loaded.polling.next_due_at if loaded.polling else None, repeated=True)
        decision = decide(loaded.facts, event, None, now, asked=asked, policy=self.policy)
        applied = apply(connection, [(loaded, decision)], self.policy)[0]
        if key:
            event_keys.keep(connection, key, decision)
        return applied

    def answer(self, answers: Sequence[Answer], now: datetime) -> list[Applied]:
        """Decide and apply a batch of answers, without those to a version that is gone or that cannot be written.

        Nor those about jobs that another transaction holds: nobody knows for how long.
        """
        try:
            applied = self._write(lambda c: self._answer(c, answers, now))
        except (OperationalError, InterfaceError):  # the database is away: each alone would fare no better
            raise
        except Exception as error:
            if len(answers) == 1:
                log.exception("answer cannot be written; its job is left as it was", job_id=answers[0].job_id)
                return []
            log.warning("answers cannot be written together; each is tried alone", why=short(error), jobs=len(answers))
            return [applied for one in answers for applied in self.answer([one], now)]
        self._remember(applied)
        return applied

    def _remember(self, applied: Sequence[Applied]) -> None:
        """What was committed. A job that moved is read anew; nobody may ever ask for it again once it has ended."""
        self._recall.keep(a.stored for a in applied if a.stored)
        for one in applied:
            if one.stored is None:
                self._recall.forget(one.decision.before.job_id)

    def _answer(self, connection: Connection, answers: Sequence[Answer], now: datetime) -> list[Applied]:
        ids = self._rows.lock(connection, [a.job_id for a in answers])
        self._heed_oma(connection, ids, now)
        found = self._recall.load(connection, ids, lock=True)
        decided = []
        for answer in answers:
            loaded = found.get(answer.job_id)
            if loaded is None or loaded.facts.version != answer.version:
                log.debug("answer dropped: the job changed since it was asked for", job_id=answer.job_id)
                continue
            if answer.overtaken(loaded.polling):
                log.debug("answer dropped: another replica asked meanwhile", job_id=answer.job_id)
                continue
            try:
                decision = decide_on(loaded.facts, answer.evidence, now, asked=answer.asked, policy=self.policy)
            except Exception:  # one poisonous job must not cost the others their answers
                log.exception("job could not be judged; it is left as it was", job_id=answer.job_id)
                continue
            decided.append((loaded, decision))
        return apply(connection, decided, self.policy)

    # --- the doctor ------------------------------------------------------------------------------

    def examine(self) -> list[doctor.Finding]:
        """Everything stored that contradicts something else."""
        with read(self.engine) as connection:
            return list(doctor.examine(connection))

    def repair(self, now: datetime) -> list[doctor.Finding]:
        """Mend what follows from other rows; returns what was mended. Each in a transaction that looks afresh."""
        mended = [finding for finding in self.examine() if finding.mend is not None]
        for finding in mended:
            self._write(partial(doctor.mend, finding, now))
        return mended

    # --- an OMA that writes beside us ------------------------------------------------------------

    def heed_oma(self, now: datetime) -> Absorbed:
        """Turn all that an OMA wrote past the machine into history; nothing to do in a database of our own."""
        heeded = Absorbed()
        if is_adopted(self.engine):
            with read(self.engine) as connection:
                ids = foreign_writes.suspects(connection)
            for some in chunks(ids):
                self._heed_some(some, now, heeded)
        return heeded

    def _heed_some(self, ids: list[str], now: datetime, heeded: Absorbed) -> None:
        try:
            heeded.add(self._write(lambda c: foreign_writes.absorb(c, ids, now, self.policy)))
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            if len(ids) == 1:
                log.exception("what the OMA wrote cannot be taken over; its job is left as it is", job_id=ids[0])
                return
            for job_id in ids:  # one poisonous job must not hide the others
                self._heed_some([job_id], now, heeded)

    def _heed_oma(self, connection: Connection, ids: Iterable[str], now: datetime) -> None:
        """Before a job is judged: its state must be where its history ends."""
        if is_adopted(connection):
            foreign_writes.absorb(connection, ids, now, self.policy)

    def adopt_batch(self, after: str, now: datetime) -> Births | None:
        """Give the next jobs without history, by id, their first rows; None if there are no more."""
        return self._write(lambda c: adoption.adopt_batch(c, after, now))

    # --- polling and recovery runs ---------------------------------------------------------------

    def start_polling(self, ids: Iterable[str], now: datetime) -> set[str]:
        """Switch polling rows on, making them where missing; returns the ids, without those no longer to be polled.

        And without those of jobs that another transaction holds.
        """
        wanted = set(ids)
        return self._write(lambda c: self._start_polling(c, wanted, now)) if wanted else set()

    def _start_polling(self, connection: Connection, ids: set[str], now: datetime) -> set[str]:
        free = self._rows.lock(connection, ids)
        live = {job_id for job_id, loaded in load(connection, free, lock=True).items() if loaded.facts.polled}
        polling.start(connection, live, now)
        touch(connection, live)
        return live

    def active_ids(self) -> Sequence[str]:
        """The jobs whose polling is switched on: cheap enough to look every other second."""
        with read(self.engine) as connection:
            return polling.active(connection)

    def prune(self, now: datetime) -> int:
        """Bound poll history and refusals of every job; forget those of ended jobs, and event keys, older than `keep`.

        Returns how many rows went; in small transactions, so that nobody waits for it.
        """
        before = now - self.keep
        gone = 0
        for table, keep in retention.KEPT.items():
            for step in (
                partial(retention.bound, table=table, keep=keep),
                partial(retention.forget, table=table, before=before),
            ):
                while some := self._write(step):
                    gone += some
        return gone + self._write(partial(retention.forget_keys, before=before))

    def open_run(
        self, now: datetime, asked: Asked, total: int, run_by: str | None = None, others: Collection[str] = ()
    ) -> int:
        """Record that a recovery run began, and by which replica; its id.

        RecoveryRunningError if one of the other replicas has been running one of all jobs, for less than 10 minutes.
        """

        def begin(connection: Connection) -> int:
            if others:
                runs.require_none_of(connection, now, others)
            return runs.begin(connection, now, asked, total, run_by)

        return self._write(begin)

    def note_run(
        self, run_id: int, looked_at: int, outcomes: dict[str, int], seconds: dict[str, float],
        finished: datetime | None,
    ) -> None:  # fmt: skip
        """Record how far a recovery run has come, and in how many `seconds` it heard of its jobs (p50, p95, max)."""
        self._write(lambda c: runs.note(c, run_id, looked_at, outcomes, seconds, finished))

    def abandon_runs(self, now: datetime, living: Collection[str] = ()) -> None:
        """Close the runs that killed processes left open: all but those of the living."""
        self._write(lambda c: runs.abandon(c, now, living))

    # --- the specification -----------------------------------------------------------------------

    def note_spec(self, now: datetime) -> bool:
        """Keep this release's specification with the database; False if it was known."""
        return self._write(lambda c: specs.note(c, now))

    def require_known_states(self) -> None:
        """UnknownStatesError if a job stands in a state that this release's specification does not have."""
        with read(self.engine) as connection:
            specs.require_known_states(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        return transact(self.engine, work)
