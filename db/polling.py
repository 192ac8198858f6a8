"""Polling rows and the history of polls: written with every answer, restored at start-up."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from db.bulk import insert_many, update_many
from db.codec import rate_of
from db.load import Loaded, PollingRow, chunks
from db.tables import POLLING, POLLS
from db.types import TEXT, cut
from fsm.cadence import interval
from fsm.decision import Decision
from fsm.facts import JobFacts
from fsm.policy import RecoveryPolicy
from fsm.states import Effect

Values = dict[str, Any]
_STARTS = {Effect.START_POLLING, Effect.RESTART_POLLING}
# Statements are made once: making one costs more than running it. `ids` is one chunk.
_OF_JOBS = POLLING.c.job_id.in_(bindparam("ids", expanding=True))
_CHANGED = ("is_active", "next_due_at", "updated_at")
_OFF = update(POLLING).where(_OF_JOBS).values({name: bindparam(f"new_{name}") for name in _CHANGED})
_ON = _OFF.values(started_polling_at=bindparam("new_started_polling_at"))
_KNOWN = select(POLLING.c.job_id).where(_OF_JOBS)
_ACTIVE = select(POLLING.c.job_id).where(POLLING.c.is_active.is_(True))


def follow(
    connection: Connection, decisions: Sequence[tuple[Loaded, Decision]], policy: RecoveryPolicy
) -> dict[str, datetime]:
    """Bring the polling rows in line with the decisions; returns when each job is due next."""
    taken = [(loaded, d) for loaded, d in decisions if d.outcome.accepted]
    due = {d.before.job_id: _due(loaded.polling, d, policy) for loaded, d in taken if d.after.polled}
    _ensure(connection, [d for _, d in taken if d.moved and _STARTS & set(d.effects)])
    answered = [(loaded, d) for loaded, d in taken if d.evidence is not None]
    if answered:
        rows = [_answer_values(loaded.polling, d, due.get(d.before.job_id)) for loaded, d in answered]
        update_many(connection, POLLING, ("job_id",), rows)
        _sample(connection, answered)
    stopped = [d.before.job_id for _, d in taken if d.evidence is None and not d.after.polled]
    if stopped:
        stop(connection, stopped, taken[0][1].at)
    return due


def errors_after(polling: PollingRow | None, decision: Decision) -> int:
    """Errors in a row, the present answer included. A 404 is an answer, not an error."""
    if decision.evidence is None or not decision.evidence.verdict.is_no_answer:
        return 0
    return (polling.consecutive_errors if polling else 0) + 1


def _due(polling: PollingRow | None, decision: Decision, policy: RecoveryPolicy) -> datetime:
    if decision.evidence is None:
        return decision.at
    errors = errors_after(polling, decision)
    return decision.at + interval(decision.after, errors, decision.at, policy, decision.evidence.retry_after)


def _answer_values(polling: PollingRow | None, decision: Decision, due: datetime | None) -> Values:
    """Counters are set, not raised: the job's lock is held since they were read."""
    evidence, known = decision.evidence, polling or PollingRow(is_active=False)
    assert evidence is not None  # noqa: S101 # the caller's condition, for the type checker
    failed = evidence.verdict.is_no_answer
    off: Values = {} if decision.after.polled else {"is_active": False}
    return off | {
        "job_id": decision.before.job_id,
        "total_polls": known.total_polls + 1,
        "successful_polls": known.successful_polls + (not failed),
        "last_poll_at": known.last_poll_at if failed else decision.at,
        "consecutive_errors": errors_after(polling, decision),
        "last_error_message": cut(evidence.error, TEXT) if failed else None,
        "last_verdict": evidence.verdict.value,
        "next_due_at": due,
        "polled_by": evidence.observer,
        "updated_at": decision.at,
    }


def _ensure(connection: Connection, starting: Sequence[Decision]) -> None:
    if starting:
        start(connection, [d.before.job_id for d in starting], starting[0].at)


def start(connection: Connection, ids: Iterable[str], now: datetime) -> None:
    """Switch polling on, making the rows where they are missing."""
    fresh = {"is_active": True, "started_polling_at": now, "next_due_at": now, "updated_at": now}
    for some in chunks(ids):
        connection.execute(_ON, {"ids": some} | _new(fresh))
        known = set(connection.scalars(_KNOWN, {"ids": some}))
        missing = [fresh | {"job_id": job_id, "created_at": now} for job_id in some if job_id not in known]
        insert_many(connection, POLLING, missing)


def active(connection: Connection) -> Sequence[str]:
    """The jobs whose polling is switched on."""
    return connection.scalars(_ACTIVE).all()


def stop(connection: Connection, ids: Iterable[str], now: datetime) -> None:
    """Switch polling off."""
    off = {"is_active": False, "next_due_at": None, "updated_at": now}
    for some in chunks(ids):
        connection.execute(_OFF, {"ids": some} | _new(off))


def _new(values: Values) -> Values:
    return {f"new_{name}": value for name, value in values.items()}


def _sample(connection: Connection, answered: Sequence[tuple[Loaded, Decision]]) -> None:
    insert_many(connection, POLLS, [_poll_row(d) for loaded, d in answered if _worth_keeping(loaded, d)])


def _worth_keeping(loaded: Loaded, decision: Decision) -> bool:
    """What changed, and every percent of the way: a curve without a row per poll."""
    evidence, polling = decision.evidence, loaded.polling
    if evidence is None:
        return False
    if polling is None or polling.last_verdict != evidence.verdict.value or decision.moved:
        return True
    changed_error = evidence.verdict.is_no_answer and polling.last_error_message != cut(evidence.error, TEXT)
    return changed_error or _progress(decision.before) != _progress(decision.after)


def _progress(job: JobFacts) -> tuple[int, bool]:
    """What a row is kept for: another percent, and the first and the last byte of all."""
    return int(job.percent), job.bytes_transferred > 0


def _poll_row(decision: Decision) -> Values:
    evidence = decision.evidence
    assert evidence is not None  # noqa: S101 # the caller's condition, for the type checker
    return {
        "job_id": decision.before.job_id,
        "at": decision.at,
        "verdict": evidence.verdict.value,
        "percent": decision.after.percent,
        "bytes_transferred": decision.after.bytes_transferred,
        "throughput_mib_s": rate_of(evidence),
        "error": cut(evidence.error, TEXT),
    }
