"""The VM context follows its jobs, in the same transaction."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select, update

from db.tables import CONTEXTS, JOBS
from fsm.decision import Decision
from fsm.facts import JobFacts
from fsm.states import Effect, Ending, State

# A failover in progress belongs to somebody else: these are never overwritten.
PROTECTED: Final = ("failed_over_test", "failed_over_live", "cleanup_required")


def follow(connection: Connection, context_id: str, decision: Decision) -> None:
    """Claim, reclaim or settle the context, as the decision's effects say."""
    if Effect.SETTLE_CONTEXT in decision.effects:
        settle(connection, context_id, decision.after, decision.at)
    elif {Effect.CLAIM_CONTEXT, Effect.RECLAIM_CONTEXT} & set(decision.effects):
        claim(connection, context_id, decision.after.job_id, decision.at)


def claim(connection: Connection, context_id: str, job_id: str, now: datetime) -> None:
    """The VM is replicating under this job."""
    values = _counted(connection, context_id) | {
        "current_job_id": job_id,
        "last_job_at": now,
        "first_job_at": func.coalesce(CONTEXTS.c.first_job_at, now),
    }
    _write(connection, context_id, values, "replicating", now)


def settle(connection: Connection, context_id: str, job: JobFacts, now: datetime) -> None:
    """The VM is free again; what may be done with its copy depends on how the job ended."""
    values = _counted(connection, context_id)
    freed = case((CONTEXTS.c.current_job_id == job.job_id, None), else_=CONTEXTS.c.current_job_id)
    _write(connection, context_id, values | {"current_job_id": freed}, _status(job, values), now)


def _status(job: JobFacts, counted: dict[str, Any]) -> str:
    if job.state is State.COMPLETED:
        return "completed" if job.ending is Ending.INFERRED else "ready_for_failover"
    untouched = job.bytes_transferred == 0 and counted["last_successful_job_id"] is not None
    return "ready_for_failover" if untouched else "failed"


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
    last = select(JOBS.c.id).where(of_vm, succeeded).order_by(JOBS.c.completed_at.desc(), JOBS.c.id.desc()).limit(1)
    return {
        "total_jobs_run": total,
        "successful_jobs": successes,
        "failed_jobs": failures,
        "last_successful_job_id": connection.scalar(last),
    }


def _write(connection: Connection, context_id: str, values: dict[str, Any], status: str, now: datetime) -> None:
    protected = CONTEXTS.c.current_status.in_(PROTECTED)
    changed = case((protected, CONTEXTS.c.last_status_change), else_=now)
    values |= {
        "last_status_change": changed,  # before current_status: MariaDB assigns from left to right
        "current_status": case((protected, CONTEXTS.c.current_status), else_=status),
        "updated_at": now,
    }
    statement = update(CONTEXTS).where(CONTEXTS.c.context_id == context_id)
    connection.execute(statement.ordered_values(*((CONTEXTS.c[name], value) for name, value in values.items())))
