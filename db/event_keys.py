"""Events that can be repeated: a key is answered once, and from then on with the same decision."""

from typing import Any, Final

from sqlalchemy import Connection, insert, select

from db.codec import facts_from_json, to_json
from db.errors import ConflictError
from db.tables import EVENT_KEYS
from fsm.decision import Decision, Outcome
from fsm.facts import Asked, Situation
from fsm.policy import RecoveryPolicy
from fsm.replay import EDGE
from fsm.states import Asker, Event

LONGEST: Final = 191  # characters of a key


def answered(connection: Connection, job_id: str, key: str, event: Event, policy: RecoveryPolicy) -> Decision | None:
    """The decision that the key was answered by; None for a fresh one. The job's row must be locked.

    ConflictError if the key was used for another event of the job.
    """
    found = select(EVENT_KEYS).where(EVENT_KEYS.c.job_id == job_id, EVENT_KEYS.c.event_key == key)
    row = connection.execute(found).one_or_none()
    if row is None:
        return None
    if row.event != event.value:
        raise ConflictError(f"event key {key!r} was used for {row.event} of job {job_id}; give {event} its own")
    return _decision(row.decision, event, row.at, policy)


def keep(connection: Connection, key: str, decision: Decision) -> None:
    """Remember the answer."""
    values = {
        "job_id": decision.before.job_id,
        "event_key": key,
        "event": decision.event.value,
        "decision": _json(decision),
        "at": decision.at,
    }
    connection.execute(insert(EVENT_KEYS).values(values))


def _json(decision: Decision) -> dict[str, Any]:
    asked = decision.asked
    return {
        "outcome": decision.outcome.value,
        "before": to_json(decision.before),
        "after": to_json(decision.after),
        "asked": {"by": asked.by.value, "actor": asked.actor, "reason": asked.reason},
        "tried": [edge.name for edge in decision.tried],
        "rule": decision.edge,
    }


def _decision(stored: dict[str, Any], event: Event, at: Any, policy: RecoveryPolicy) -> Decision:
    """Rules by their names; the verdicts are put into words anew from what the guards saw."""
    before, asked = facts_from_json(stored["before"]), stored["asked"]
    who = Asked(Asker(asked["by"]), asked["actor"], asked["reason"])
    return Decision(
        event,
        Outcome(stored["outcome"]),
        before,
        facts_from_json(stored["after"]),
        Situation(before, None, who, at, policy),
        tuple(EDGE[name] for name in stored["tried"] if name in EDGE),
        EDGE.get(stored["rule"] or ""),
    )
