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
) -> dict[str, PollingRow]:
    """Bring the polling rows in line with the decisions; returns those of the jobs that are asked again."""
    taken = [(loaded, d) for loaded, d in decisions if d.outcome.accepted]
    rows = {d.before.job_id: _after(loaded.polling, d, policy) for loaded, d in taken}
    _ensure(connection, [d for _, d in taken if d.moved and not _STARTS.isdisjoint(d.effects)])
    answered = [(loaded, d) for loaded, d in taken if d.evidence is not None]
    if answered:
        update_many(connection, POLLING, ("job_id",), [_answer_values(rows[d.before.job_id], d) for _, d in answered])
        _sample(connection, answered)
    stopped = [d.before.job_id for _, d in taken if d.evidence is None and not d.after.polled]
    if stopped:
        stop(connection, stopped, taken[0][1].at)
    return {d.before.job_id: rows[d.before.job_id] for _, d in taken if d.after.polled}


def errors_after(polling: PollingRow | None, decision: Decision) -> int:
    """Errors in a row, the present answer included. A 404 is an answer, not an error."""
    if decision.evidence is None or not decision.evidence.verdict.is_no_answer:
        return 0
    return (polling.consecutive_errors if polling else 0) + 1


def _after(polling: PollingRow | None, decision: Decision, policy: RecoveryPolicy) -> PollingRow:
    """The row after a decision. Counters are set, not raised: the job's lock is held since they were read."""
    known, evidence, at = polling or PollingRow(is_active=False), decision.evidence, decision.at
    if evidence is None:
        return known._replace(next_due_at=at)
    failed, errors = evidence.verdict.is_no_answer, errors_after(polling, decision)
    after = decision.after
    return PollingRow(
        is_active=known.is_active and after.polled,
        started_polling_at=known.started_polling_at,
        last_poll_at=known.last_poll_at if failed else at,
        next_due_at=at + interval(after, errors, at, policy, evidence.retry_after) if after.polled else None,
        consecutive_errors=errors,
        last_error_message=cut(evidence.error, TEXT) if failed else None,
        last_verdict=evidence.verdict.value,
        total_polls=known.total_polls + 1,
        successful_polls=known.successful_polls + (not failed),
        polled_by=evidence.observer,
    )


def _answer_values(row: PollingRow, decision: Decision) -> Values:
    """What of the row an answer changes. Only an end switches it off, and only a move on."""
    values = row._asdict() | {"job_id": decision.before.job_id, "updated_at": decision.at}
    del values["started_polling_at"]
    if decision.after.polled:
        del values["is_active"]
    return values


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
