"""What pictures of jobs are made of: one job's path, and the traffic of all. Bounded reads."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from sqlalchemy import Connection, RowMapping, func, select

from db import refusals, views
from db.tables import HISTORY
from fsm.decision import Outcome
from fsm.render.fleet import Traffic, fleet
from fsm.render.model import Diagram
from fsm.render.path import MOST_STEPS, Attempt, Step, path

MOST_MOVES: Final = 20_000  # the last ones, for the fleet
_STEP: Final = ("from_state", "to_state", "event", "edge", "ending", "asked_by", "actor", "reason", "at")


def job_path(connection: Connection, job_id: str, now: datetime) -> Diagram:
    """The path of a job until `now`, with what was refused on the way. NotFoundError."""
    state = views.job_row(connection, job_id)["status"]
    last = select(HISTORY).where(HISTORY.c.job_id == job_id).order_by(HISTORY.c.seq.desc()).limit(MOST_STEPS)
    rows = connection.execute(last).mappings().all()[::-1]
    total = connection.scalar(select(func.count()).select_from(HISTORY).where(HISTORY.c.job_id == job_id)) or 0
    steps = [Step(**{name: row[name] for name in _STEP}) for row in rows]
    return path(job_id, steps, now, state=state, attempts=_attempts(connection, job_id), earlier=total - len(rows))


def _attempts(connection: Connection, job_id: str) -> list[Attempt]:
    """What was refused, oldest first; an answer at which the job stayed is no attempt."""
    return [
        Attempt(row["state"], row["event"], row["asked_by"], refusals.because(row), row["last_at"], row["actor"])
        for row in reversed(refusals.of_job(connection, job_id))
        if row["outcome"] != Outcome.STAYED
    ]


def fleet_map(connection: Connection) -> Diagram:
    """All jobs: how many stand where, how long they stayed, and which way they went in the last MOST_MOVES moves."""
    now, before = HISTORY.alias(), HISTORY.alias()
    same = (before.c.job_id == now.c.job_id) & (before.c.seq == now.c.seq - 1)
    names = ("from_state", "to_state", "event", "edge", "ending", "at")
    last = (
        select(*(now.c[name] for name in names), before.c.at.label("entered"))
        .select_from(now.outerjoin(before, same))
        .order_by(now.c.id.desc())
        .limit(MOST_MOVES)
    )
    rows = connection.execute(last).mappings().all()
    return fleet(views.state_counts(connection), _stays(rows), _traffic(rows))


def _stays(rows: Iterable[RowMapping]) -> dict[str, list[timedelta]]:
    """Of every move to another state the time since the move before it."""
    found: dict[str, list[timedelta]] = {}
    for row in rows:
        if row["entered"] is not None and row["from_state"] != row["to_state"]:
            found.setdefault(row["from_state"], []).append(row["at"] - row["entered"])
    return found


def _traffic(rows: Iterable[RowMapping]) -> list[Traffic]:
    def way(row: RowMapping) -> tuple[str, ...]:
        return tuple(row[name] or "" for name in ("from_state", "to_state", "event", "edge", "ending"))

    return [
        Traffic(source or None, target, event, edge, ending or None, len(list(same)))
        for (source, target, event, edge, ending), same in groupby(sorted(rows, key=way), key=way)
    ]
