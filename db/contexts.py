"""The VM context follows its jobs, in the same transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Connection, FromClause, and_, bindparam, case, func, or_, select

from db.bulk import update_many
from db.errors import LostRaceError
from db.load import chunks, taken
from db.tables import CONTEXTS, JOBS, POLLS
from fsm.decision import Decision
from fsm.facts import JobFacts
from fsm.states import Effect, Ending, State

Values = dict[str, Any]
_EFFECTS: Final = {Effect.CLAIM_CONTEXT, Effect.RECLAIM_CONTEXT, Effect.SETTLE_CONTEXT}
# A failover in progress belongs to somebody else: these are never overwritten.
PROTECTED: Final = ("failed_over_test", "failed_over_live", "cleanup_required")
_KEPT: Final = ("context_id", "current_job_id", "current_status", "first_job_at", "last_status_change")


def _succeeded(jobs: FromClause) -> ColumnElement[bool]:
    proven = or_(jobs.c.ending.is_(None), jobs.c.ending != Ending.INFERRED.value)
    return and_(jobs.c.status == State.COMPLETED.value, proven)


# Statements are made once: making one costs more than running it. `ids` is one chunk.
_IDS: Final[BindParameter[str]] = bindparam("ids", expanding=True)
_CONTEXTS: Final = (
    select(*(CONTEXTS.c[n] for n in _KEPT))
    .where(CONTEXTS.c.context_id.in_(_IDS))
    .order_by(CONTEXTS.c.context_id)
    .with_for_update()
)
_GOOD: Final = JOBS.alias("good")
_LAST_GOOD: Final = (
    select(_GOOD.c.id)
    .where(_GOOD.c.vm_context_id == JOBS.c.vm_context_id, _succeeded(_GOOD))
    .order_by(_GOOD.c.created_at.desc(), _GOOD.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_COUNTS: Final = (
    select(
        JOBS.c.vm_context_id,
        func.count(),
        func.count(case((_succeeded(JOBS), 1))),
        func.count(case((JOBS.c.status == State.FAILED.value, 1))),
        _LAST_GOOD,
    )
    .where(JOBS.c.vm_context_id.in_(_IDS))
    .group_by(JOBS.c.vm_context_id)
)
_TAKEN: Final = select(JOBS.c.id).where(JOBS.c.id.in_(_IDS), taken())


def follow(connection: Connection, decisions: Iterable[tuple[str, Decision]]) -> None:
    """Claim, reclaim or settle the contexts, as the effects of the decisions about their jobs say.

    LostRaceError if a newer job took a VM after the decision to reclaim it.
    """
    concerned = [(context_id, d) for context_id, d in decisions if _EFFECTS & set(d.effects)]
    held = hold(connection, {context_id for context_id, _ in concerned})
    newer = _with_newer_jobs(connection, [d.before.job_id for _, d in concerned])
    for context_id, decision in concerned:
        _follow(connection, held[context_id], decision, vm_taken=decision.before.job_id in newer)
    update_many(connection, CONTEXTS, ("context_id",), list(held.values()))


def hold(connection: Connection, ids: Iterable[str]) -> dict[str, Values]:
    """The contexts with their counters as they must be. Locked: until the commit no job of these VMs begins or ends."""
    found: dict[str, Values] = {}
    for some in chunks(ids):
        rows = connection.execute(_CONTEXTS, {"ids": some}).mappings().all()
        counts = counted(connection, some)
        found |= {row["context_id"]: {**row, **counts[row["context_id"]]} for row in rows}
    return found


def counted(connection: Connection, ids: Sequence[str]) -> dict[str, Values]:
    """Counters recomputed from the jobs: a repeated finalisation cannot count twice."""
    found = {context_id: _counters(0, 0, 0, None) for context_id in ids}
    return found | {row[0]: _counters(*row[1:]) for row in connection.execute(_COUNTS, {"ids": ids})}


def _counters(total: int, successes: int, failures: int, last: str | None) -> Values:
    return {
        "total_jobs_run": total,
        "successful_jobs": successes,
        "failed_jobs": failures,
        "last_successful_job_id": last,
    }


def _with_newer_jobs(connection: Connection, ids: Iterable[str]) -> set[str]:
    return {job_id for some in chunks(ids) for job_id in connection.scalars(_TAKEN, {"ids": some})}


def _follow(connection: Connection, context: Values, decision: Decision, *, vm_taken: bool) -> None:
    job = decision.after
    if Effect.SETTLE_CONTEXT in decision.effects:
        speaks = not vm_taken or context["current_job_id"] == job.job_id
        settle(connection, context, job, decision.at, speaks=speaks)
    elif vm_taken and Effect.RECLAIM_CONTEXT in decision.effects:
        raise LostRaceError({job.job_id: "a newer job took its VM"})
    else:
        claim(context, job.job_id, decision.at)


def claim(context: Values, job_id: str, now: datetime) -> None:
    """The VM is replicating under this job."""
    context |= {"current_job_id": job_id, "last_job_at": now, "first_job_at": context["first_job_at"] or now}
    _put(context, "replicating", now)


def settle(connection: Connection, context: Values, job: JobFacts, now: datetime, *, speaks: bool) -> None:
    """The VM is free again; what may be done with its copy depends on how the job ended, if it `speaks` for the VM."""
    if context["current_job_id"] == job.job_id:
        context["current_job_id"] = None
    _put(context, _status(connection, job, context) if speaks else context["current_status"], now)


def _put(context: Values, status: str, now: datetime) -> None:
    context["updated_at"] = now
    if context["current_status"] not in (*PROTECTED, status):
        context |= {"current_status": status, "last_status_change": now}


def _status(connection: Connection, job: JobFacts, context: Values) -> str:
    if job.state is State.COMPLETED:
        return "completed" if job.ending is Ending.INFERRED else "ready_for_failover"
    earlier = context["last_successful_job_id"] is not None
    return "ready_for_failover" if earlier and not _wrote(connection, job) else "failed"


def _wrote(connection: Connection, job: JobFacts) -> bool:
    """True if the job transferred anything, also if its progress fell back to nothing since."""
    if job.bytes_transferred or job.percent or any(d.proven or d.bytes_transferred for d in job.memory.disks):
        return True
    some = or_(POLLS.c.bytes_transferred > 0, POLLS.c.percent > 0)
    return connection.scalar(select(POLLS.c.id).where(POLLS.c.job_id == job.job_id, some).limit(1)) is not None
