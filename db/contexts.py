"""The VM context follows its jobs, in the same transaction."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select, update

from db.errors import LostRaceError
from db.load import taken
from db.tables import CONTEXTS, JOBS, POLLS
from fsm.decision import Decision
from fsm.facts import JobFacts
from fsm.states import Effect, Ending, State

_EFFECTS: Final = {Effect.CLAIM_CONTEXT, Effect.RECLAIM_CONTEXT, Effect.SETTLE_CONTEXT}
# A failover in progress belongs to somebody else: these are never overwritten.
PROTECTED: Final = ("failed_over_test", "failed_over_live", "cleanup_required")


def follow(connection: Connection, context_id: str, decision: Decision) -> None:
    """Claim, reclaim or settle the context, as the decision's effects say.

    LostRaceError if a newer job took the VM after the decision to reclaim it.
    """
    if not _EFFECTS & set(decision.effects):
        return
    holder = _lock(connection, context_id)
    job = decision.after
    vm_taken = bool(connection.scalar(select(taken()).where(JOBS.c.id == job.job_id)))
    if Effect.SETTLE_CONTEXT in decision.effects:
        settle(connection, context_id, job, decision.at, speaks=not vm_taken or holder == job.job_id)
    elif vm_taken and Effect.RECLAIM_CONTEXT in decision.effects:
        raise LostRaceError([job.job_id])
    else:
        claim(connection, context_id, job.job_id, decision.at)


def _lock(connection: Connection, context_id: str) -> str | None:
    """From here to the commit no other job of the VM begins or ends; the current one."""
    query = select(CONTEXTS.c.current_job_id).where(CONTEXTS.c.context_id == context_id)
    return connection.scalar(query.with_for_update())


def claim(connection: Connection, context_id: str, job_id: str, now: datetime) -> None:
    """The VM is replicating under this job."""
    values = _counted(connection, context_id) | {
        "current_job_id": job_id,
        "last_job_at": now,
        "first_job_at": func.coalesce(CONTEXTS.c.first_job_at, now),
    }
    _write(connection, context_id, values, "replicating", now)


def settle(connection: Connection, context_id: str, job: JobFacts, now: datetime, *, speaks: bool) -> None:
    """The VM is free again; what may be done with its copy depends on how the job ended, if it `speaks` for the VM."""
    values = _counted(connection, context_id)
    freed = case((CONTEXTS.c.current_job_id == job.job_id, None), else_=CONTEXTS.c.current_job_id)
    status = _status(connection, job, values) if speaks else None
    _write(connection, context_id, values | {"current_job_id": freed}, status, now)


def _status(connection: Connection, job: JobFacts, counted: dict[str, Any]) -> str:
    if job.state is State.COMPLETED:
        return "completed" if job.ending is Ending.INFERRED else "ready_for_failover"
    earlier = counted["last_successful_job_id"] is not None
    return "ready_for_failover" if earlier and not _wrote(connection, job) else "failed"


def _wrote(connection: Connection, job: JobFacts) -> bool:
    """True if the job transferred anything, also if its progress fell back to nothing since."""
    if job.bytes_transferred or job.percent or any(d.proven or d.bytes_transferred for d in job.memory.disks):
        return True
    some = or_(POLLS.c.bytes_transferred > 0, POLLS.c.percent > 0)
    return connection.scalar(select(POLLS.c.id).where(POLLS.c.job_id == job.job_id, some).limit(1)) is not None


def _counted(connection: Connection, context_id: str) -> dict[str, Any]:
    """Counters recomputed from the jobs: a repeated finalisation cannot count twice."""
    succeeded = and_(
        JOBS.c.status == State.COMPLETED.value,
        or_(JOBS.c.ending.is_(None), JOBS.c.ending != Ending.INFERRED.value),
    )
    failed = JOBS.c.status == State.FAILED.value
    of_vm = JOBS.c.vm_context_id == context_id
    counts = select(func.count(), func.count(case((succeeded, 1))), func.count(case((failed, 1)))).where(of_vm)
    total, successes, failures = connection.execute(counts).one()
    last = select(JOBS.c.id).where(of_vm, succeeded).order_by(JOBS.c.created_at.desc(), JOBS.c.id.desc()).limit(1)
    return {
        "total_jobs_run": total,
        "successful_jobs": successes,
        "failed_jobs": failures,
        "last_successful_job_id": connection.scalar(last),
    }


def _write(connection: Connection, context_id: str, values: dict[str, Any], status: str | None, now: datetime) -> None:
    values["updated_at"] = now
    if status is not None:
        kept = CONTEXTS.c.current_status.in_((*PROTECTED, status))
        # Before current_status: MariaDB assigns from left to right.
        values["last_status_change"] = case((kept, CONTEXTS.c.last_status_change), else_=now)
        values["current_status"] = case((kept, CONTEXTS.c.current_status), else_=status)
    statement = update(CONTEXTS).where(CONTEXTS.c.context_id == context_id)
    connection.execute(statement.ordered_values(*((CONTEXTS.c[name], value) for name, value in values.items())))
