"""Records of recovery runs: what was begun, how far it came, and what killed processes left open."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from db import jobs
from db.errors import RecoveryRunningError
from db.tables import RUNS
from db.types import cut
from fsm.facts import Asked
from fsm.states import Asker

# A run is over in seconds, and two of them do no harm; a record that was never closed must not be in the way for ever.
WAITED_FOR: Final = timedelta(minutes=10)
_OPEN: Final = RUNS.c.finished_at.is_(None)
_FIRST: Final = select(RUNS.c.id).order_by(RUNS.c.id).limit(1).with_for_update()


def begin(connection: Connection, now: datetime, asked: Asked, total: int, run_by: str | None) -> int:
    """Record that a recovery run of `total` jobs began, and by which replica; its id."""
    values = {"started_at": now, "asked_by": asked.by.value, "actor": cut(asked.actor, 255), "jobs": total,
              "looked_at": 0, "run_by": run_by}  # fmt: skip
    return jobs.serial_of(connection.execute(insert(RUNS).values(values)))


def require_none_of(connection: Connection, now: datetime, replicas: Collection[str]) -> None:
    """RecoveryRunningError if one of those replicas runs a recovery of all jobs, begun within `WAITED_FOR`.

    Whoever looks waits here for others that look, until they have begun theirs: of two at once only one begins.
    A recovery at a replica's start is one of its own jobs, and in nobody's way.
    """
    connection.execute(_FIRST)
    theirs = _OPEN & (RUNS.c.asked_by == Asker.TRIGGER.value) & RUNS.c.run_by.in_(replicas)
    running = theirs & (RUNS.c.started_at > now - WAITED_FOR)
    if found := connection.execute(select(RUNS.c.id, RUNS.c.run_by).where(running).order_by(RUNS.c.id)).first():
        raise RecoveryRunningError(found.id, found.run_by)


def note(
    connection: Connection,
    run_id: int,
    looked_at: int,
    outcomes: Mapping[str, int],
    seconds: Mapping[str, float],
    finished: datetime | None,
) -> None:
    """Record how far a run has come, and in how many `seconds` it heard of its jobs (p50, p95, max).

    A run that is over is not opened again by word of before.
    """
    values: dict[str, Any] = {"looked_at": looked_at, "outcomes": dict(outcomes), "finished_at": finished,
                              "seconds_to_answer": dict(seconds) or None}  # fmt: skip
    this = RUNS.c.id == run_id
    connection.execute(update(RUNS).where(this & _OPEN if finished is None else this).values(values))


def abandon(connection: Connection, now: datetime, living: Collection[str]) -> None:
    """Close the runs that killed processes left open: all but those of the living."""
    theirs = RUNS.c.run_by.is_(None) | RUNS.c.run_by.not_in(living)
    connection.execute(update(RUNS).where(_OPEN, theirs).values(finished_at=now))
