"""The one place where decisions become rows: compare-and-swap, history, polling row, VM context, in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, select

from db import contexts, polling, refusals
from db.bulk import insert_many, update_many
from db.codec import rate_of, to_json
from db.errors import LostRaceError
from db.load import Loaded, PollingRow, chunks
from db.tables import DISKS, HISTORY, JOBS
from db.types import TEXT, cut
from fsm.decision import Decision, Outcome
from fsm.evidence import Evidence
from fsm.facts import JobFacts
from fsm.policy import RecoveryPolicy
from fsm.spec import spec_hash
from fsm.states import ENDED, SETUP, Effect, State, Verdict

Values = dict[str, Any]
SPEC_HASH = spec_hash()
_MOVED_LAST = (
    select(
        JOBS.c.id, JOBS.c.status, JOBS.c.version, HISTORY.c.to_state, HISTORY.c.asked_by, HISTORY.c.actor, HISTORY.c.at
    )
    .select_from(JOBS.outerjoin(HISTORY, (HISTORY.c.job_id == JOBS.c.id) & (HISTORY.c.seq == JOBS.c.version)))
    .where(JOBS.c.id.in_(bindparam("ids", expanding=True)))
)
_CLEAR_ERROR = {"vma_error_classification": None, "vma_error_details": None}


class Applied(Struct, frozen=True, gc=False):
    """A decision that is committed, with the job it was taken on and when the job is asked next.

    `stored` is the job as it is now, if that is known without reading it.
    """

    decision: Decision
    loaded: Loaded
    next_due_at: datetime | None
    repeated: bool = False  # the event's key was answered before: nothing was done now
    stored: Loaded | None = None


def apply(
    connection: Connection, decisions: Sequence[tuple[Loaded, Decision]], policy: RecoveryPolicy
) -> list[Applied]:
    """Write decisions, and why some moved nothing.

    LostRaceError (roll the transaction back) if any job was changed meanwhile.
    """
    accepted = [(loaded, d) for loaded, d in decisions if d.outcome.accepted and d.after is not d.before]
    _swap(connection, accepted)
    insert_many(connection, HISTORY, [history_row(d) for _, d in accepted if d.moved])
    disks = [row for _, d in accepted for row in _disk_rows(d)]
    update_many(connection, DISKS, ("job_id", "disk_id"), disks)
    contexts.follow(connection, [(loaded.vm_context_id, d) for loaded, d in accepted])
    refusals.note(connection, decisions)
    rows = polling.follow(connection, decisions, policy)
    return [_applied(loaded, d, rows.get(d.before.job_id)) for loaded, d in decisions]


def _applied(loaded: Loaded, decision: Decision, row: PollingRow | None) -> Applied:
    stored = None
    if row is not None and decision.outcome is Outcome.STAYED and decision.after is not decision.before:
        stored = Loaded(decision.after, loaded.vm_context_id, row, loaded.revision + 1, loaded.status)
    return Applied(decision, loaded, row.next_due_at if row else None, stored=stored)


def _swap(connection: Connection, decisions: Sequence[tuple[Loaded, Decision]]) -> None:
    """Compare-and-swap on (id, state, version)."""
    rows = [_key(loaded, decision) | _job_values(decision) for loaded, decision in decisions]
    if update_many(connection, JOBS, ("id", "old_version", "old_status"), rows) != len(rows):
        raise LostRaceError(_won(connection, decisions))


def _won(connection: Connection, decisions: Sequence[tuple[Loaded, Decision]]) -> dict[str, str]:
    """What those of the jobs have become that are neither as they were read nor as we just wrote them, and by whom."""
    rows: dict[str, Any] = {}
    for some in chunks(d.before.job_id for _, d in decisions):
        rows |= {row.id: row for row in connection.execute(_MOVED_LAST, {"ids": some})}
    lost = [d.before.job_id for loaded, d in decisions if not _is_ours(rows.get(d.before.job_id), loaded, d)]
    return {job_id: _winner(rows.get(job_id)) for job_id in lost}


def _is_ours(row: Any, loaded: Loaded, decision: Decision) -> bool:
    if row is None:
        return False
    untouched = (row.version, row.status) == (decision.before.version, loaded.status)
    return untouched or (decision.moved and row.version == decision.after.version and row.asked_by is None)


def _winner(row: Any) -> str:
    if row is None:
        return "it was deleted"
    who = f"{row.asked_by} {row.actor}" if row.actor else row.asked_by
    told = row.to_state == row.status
    by = f"by {who} at {row.at:%H:%M:%S}Z" if told else "by somebody who left no history"
    return f"now {row.status}, version {row.version}, {by}"


def _key(loaded: Loaded, decision: Decision) -> Values:
    before = decision.before
    revision = loaded.revision + 1
    return {"id": before.job_id, "old_version": before.version, "old_status": loaded.status, "revision": revision}


def _job_values(decision: Decision) -> Values:
    after = decision.after
    values: Values = {
        "rule_memory": to_json(after.memory),
        "watched": after.watched,
        "progress_percent": after.percent,
        "bytes_transferred": after.bytes_transferred,
        "total_bytes": after.total_bytes,
        "vma_validated_at": after.heard_at,
        "updated_at": decision.at,
    }
    if decision.evidence is not None:
        values |= _evidence_values(decision)
    if decision.moved:
        values |= _move_values(decision)
    return values | _recovery_values(decision)


def _evidence_values(decision: Decision) -> Values:
    evidence = decision.evidence
    assert evidence is not None  # noqa: S101 # the caller's condition, for the type checker
    if not evidence.verdict.knows_the_job:
        return {"vma_error_classification": evidence.verdict.value, "vma_error_details": _details(evidence)}
    failed = evidence.verdict is Verdict.FAILED
    rate = rate_of(evidence) or 0.0
    errors = {"vma_error_classification": "failed", "vma_error_details": _details(evidence)}
    return {
        "vma_last_poll_at": decision.at,
        "vma_sync_type": cut(evidence.sync_type, 50),
        "vma_current_phase": cut(evidence.phase, 100),
        "vma_throughput_mbps": rate,
        "transfer_speed_bps": int(rate * (1 << 20)),
        "vma_eta_seconds": None if evidence.eta_seconds is None else min(evidence.eta_seconds, 2**31 - 1),
        "current_operation": cut(evidence.operation, 191),
        **(errors if failed else _CLEAR_ERROR),
    }


def _details(evidence: Evidence) -> str | None:
    """What went wrong, and the answer it is about, word for word."""
    told = [part for part in (evidence.error, evidence.body) if part]
    return cut("\n".join(told), TEXT) if told else None


def _move_values(decision: Decision) -> Values:
    after = decision.after
    values: Values = {
        "status": after.state.value,
        "version": after.version,
        "ending": after.ending.value if after.ending else None,
        "entered_at": after.entered_at,
        "completed_at": after.entered_at if after.state in ENDED else None,
        "error_message": cut(decision.reason, TEXT) if after.state is State.FAILED else None,
    }
    if after.state is State.REPLICATING and not _was_started(decision.before):
        values["started_at"] = decision.at
    return values


def _was_started(before: JobFacts) -> bool:
    return not before.in_setup and before.memory.ended_from not in SETUP


def _recovery_values(decision: Decision) -> Values:
    values: Values = {}
    if (decision.after.recovery_attempted, decision.after.recovery_method) != (
        decision.before.recovery_attempted,
        decision.before.recovery_method,
    ):
        values |= {
            "recovery_attempted": decision.after.recovery_attempted,
            "recovery_method": decision.after.recovery_method,
        }
    if decision.asked.by.is_recovery:
        values["recovery_attempted_at"] = decision.at
    resumed = decision.asked.by.is_recovery and decision.after.polled
    if resumed or (decision.moved and Effect.RESTART_POLLING in decision.effects):
        values["polling_restarted_at"] = decision.at
    return values


def history_row(decision: Decision) -> Values:
    """The row that says what was decided, when, why and by which rule."""
    after, asked = decision.after, decision.asked
    return {
        "job_id": after.job_id,
        "seq": after.version,
        "event": decision.event.value,
        "from_state": decision.source.value if decision.source else None,
        "to_state": after.state.value,
        "ending": after.ending.value if after.ending else None,
        "edge": decision.edge,
        "asked_by": asked.by.value,
        "actor": cut(asked.actor, 255),
        "reason": cut(decision.reason or asked.reason, TEXT),
        "verdicts": to_json(decision.verdicts),
        "facts": to_json(after),
        "evidence": decision.evidence and to_json(decision.evidence),
        "facts_before": to_json(decision.before),
        "policy_hash": decision.policy,
        "spec_hash": SPEC_HASH,
        "at": decision.at,
    }


def _disk_rows(decision: Decision) -> list[Values]:
    before, after = decision.before, decision.after
    return [
        {"job_id": after.job_id, "disk_id": disk.disk_id} | disk_values(after, disk.disk_id, decision.at)
        for disk in after.disks
        if after.memory.disk(disk.disk_id) != before.memory.disk(disk.disk_id)
    ]


def disk_values(after: JobFacts, disk_id: str, now: datetime) -> Values:
    """How far the copy of one disk of a job has come."""
    seen = after.memory.disk(disk_id)
    capacity = next(d.capacity_bytes for d in after.disks if d.disk_id == disk_id)
    total = seen.total_bytes or capacity
    done = total if seen.proven else min(seen.bytes_transferred or 0, total)
    syncing = "failed" if disk_id in after.memory.failed_disks else "syncing" if done else "pending"
    return {
        "sync_status": "completed" if seen.proven else syncing,
        "sync_progress_percent": 100.0 * done / total if total else 100.0 * seen.proven,
        "bytes_synced": done,
        "updated_at": now,
    }
