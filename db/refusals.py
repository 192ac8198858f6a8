"""Why a job did not move, kept with a bound: "why did it stay at 03:12" has an answer the next morning."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, select, update

from db.bulk import insert_many
from db.codec import to_json, verdicts_from_json
from db.load import Loaded, chunks
from db.retention import KEPT
from db.tables import REFUSALS
from db.types import TEXT, cut
from fsm.decision import Decision, Outcome
from fsm.states import Verdict

# What a move has the job forget of these answers, so that it is timed anew.
_TIMED: Final = {Verdict.NOT_FOUND: "not_found", Verdict.UNREACHABLE: "unreachable", Verdict.UNSETTLED: "settling"}
_SAME: Final = ("job_id", "event", "state", "version", "outcome", "edge", "asked_by", "actor")


def note(connection: Connection, decisions: Iterable[tuple[Loaded, Decision]]) -> None:
    """Keep the refusals among the decisions, and the answers at which a job began to stay for another reason."""
    kept = [_row(decision) for loaded, decision in decisions if _worth_keeping(loaded, decision)]
    last = _last(connection, [row["job_id"] for row in kept])
    fresh = []
    for row in kept:
        if (same := last.get(row["job_id"])) is not None and all(same[name] == row[name] for name in _SAME):
            _count(connection, same["id"], row)
        else:
            fresh.append(row)
    insert_many(connection, REFUSALS, fresh)


def _worth_keeping(loaded: Loaded, decision: Decision) -> bool:
    if not decision.outcome.accepted:
        return True
    if decision.outcome is not Outcome.STAYED or decision.evidence is None:
        return False
    if decision.after.memory.attention not in (None, decision.before.memory.attention):
        return True
    if len(decision.tried) == 1:  # all is well
        return False
    before = loaded.polling.last_verdict if loaded.polling else None
    return before != decision.evidence.verdict.value or _stays_otherwise(decision, decision.evidence.verdict)


def _stays_otherwise(decision: Decision, verdict: Verdict) -> bool:
    """The answer is that of before, but the job has moved since, needs nobody any more, or its watch is over."""
    before, after = decision.before, decision.after
    moved_since = verdict in _TIMED and getattr(before.memory, _TIMED[verdict]) is None
    return moved_since or (before.memory.attention, before.watched) != (after.memory.attention, after.watched)


def _row(decision: Decision) -> dict[str, Any]:
    return {
        "job_id": decision.before.job_id,
        "at": decision.at,
        "last_at": decision.at,
        "times": 1,
        "event": decision.event.value,
        "state": decision.before.state.value,
        "version": decision.before.version,
        "outcome": decision.outcome.value,
        "edge": decision.edge,
        "asked_by": decision.asked.by.value,
        "actor": cut(decision.asked.actor, 255),
        "reason": cut(decision.asked.reason, TEXT),
        "message": cut(decision.says, TEXT),
        "verdicts": to_json(tuple(dict.fromkeys(decision.refusals))),
    }


def _last(connection: Connection, ids: Iterable[str]) -> dict[str, RowMapping]:
    """The last refusal of each of these jobs that has one."""
    found: dict[str, RowMapping] = {}
    columns = [REFUSALS.c[name] for name in ("id", *_SAME)]
    for some in chunks(ids):
        newest = select(func.max(REFUSALS.c.id)).where(REFUSALS.c.job_id.in_(some)).group_by(REFUSALS.c.job_id)
        rows = connection.execute(select(*columns).where(REFUSALS.c.id.in_(newest))).mappings()
        found |= {row["job_id"]: row for row in rows}
    return found


def _count(connection: Connection, refusal_id: int, row: dict[str, Any]) -> None:
    latest = {name: row[name] for name in ("last_at", "reason", "message", "verdicts")}
    counted = update(REFUSALS).where(REFUSALS.c.id == refusal_id).values(times=REFUSALS.c.times + 1, **latest)
    connection.execute(counted)


def of_job(connection: Connection, job_id: str, limit: int = KEPT[REFUSALS]) -> list[dict[str, Any]]:
    """The kept refusals of a job, newest first."""
    newest = select(REFUSALS).where(REFUSALS.c.job_id == job_id).order_by(REFUSALS.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(newest).mappings()]


def because(row: Mapping[str, Any]) -> str:
    """The guards that said no, as an operator reads them."""
    failed = "; ".join(dict.fromkeys(map(str, verdicts_from_json(row["verdicts"]))))
    return failed or str(row["message"])
