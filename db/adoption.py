"""Jobs that were there before this service are given what it needs to know of them: a first row of history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, exists, select

from db.adopted import state_of
from db.apply import history_row
from db.bulk import insert_many, update_many
from db.load import load
from db.tables import HISTORY, JOBS
from fsm.facts import Asked, JobFacts
from fsm.recorded import found
from fsm.states import ENDED, Asker, Ending, State

Values = dict[str, Any]
OMA = "oma"  # who asked, where it was the OMA itself
BATCH = 500  # jobs per transaction: the OMA waits no longer than that for its rows


@dataclass(frozen=True, slots=True)
class Births:
    """What became of a batch: the last id looked at, jobs by (status found, state given), and those left alone."""

    last: str
    given: tuple[tuple[str, State], ...] = ()
    left: tuple[str, ...] = ()


def adopt_batch(connection: Connection, after: str, now: datetime) -> Births | None:
    """The next jobs without history, by id; None if there are no more."""
    rows = connection.execute(_unknown_to_us().where(JOBS.c.id > after).order_by(JOBS.c.id).limit(BATCH)).all()
    if not rows:
        return None
    given = give_birth(connection, rows, now)
    return Births(
        rows[-1].id,
        tuple((row.status, given[row.id]) for row in rows if row.id in given),
        tuple(row.id for row in rows if row.id not in given),
    )


def adopt_jobs(connection: Connection, ids: Sequence[str], now: datetime) -> dict[str, State]:
    """Those of the jobs that have no history; the states they were given."""
    return give_birth(connection, connection.execute(_unknown_to_us().where(JOBS.c.id.in_(ids))).all(), now)


def _unknown_to_us() -> Select[Any]:
    known = exists().where(HISTORY.c.job_id == JOBS.c.id)
    columns = (
        JOBS.c.id,
        JOBS.c.status,
        JOBS.c.version,
        JOBS.c.error_message,
        JOBS.c.vma_last_poll_at,
        JOBS.c.created_at,
        JOBS.c.updated_at,
        JOBS.c.started_at,
        JOBS.c.completed_at,
    )
    return select(*columns).where(~known).with_for_update(of=JOBS)


_REPLACED: Final = ("status", "error_message")


def give_birth(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> dict[str, State]:
    """First rows of history for jobs whose rows are locked, and a state for their foreign statuses; by job.

    Jobs with a status that nobody has heard of, and those that cannot be read, are missing from it and left alone.
    """
    states = {row.id: state for row in rows if (state := state_of(row.status)) is not None}
    _set(connection, [(row.id, _ours(row, states[row.id], now)) for row in rows if row.id in states])
    loaded = load(connection, states)
    born = [row for row in rows if row.id in loaded]
    given = {row.id: _replacing(row, states[row.id]) for row in born}
    _set(connection, [(row.id, given[row.id]) for row in born if _replaced(row, given[row.id])])
    insert_many(connection, HISTORY, [_birth(row, given[row.id], loaded[row.id].facts, now) for row in born])
    return {row.id: states[row.id] for row in born}


def _set(connection: Connection, rows: Iterable[tuple[str, Values]]) -> None:
    update_many(connection, JOBS, ("id",), [{"id": job_id} | values for job_id, values in rows])


def _ours(row: Row[Any], state: State, now: datetime) -> Values:
    begun = (row.started_at, row.created_at)
    told = (row.completed_at, row.updated_at, *begun) if state in ENDED else begun
    return {
        "ending": Ending.CONFIRMED.value if state in ENDED else None,  # an end in the table is the OMA's word
        "entered_at": next((time for time in told if time is not None), now),
        "vma_validated_at": None if state in ENDED else row.vma_last_poll_at,
    }


def _replacing(row: Row[Any], state: State) -> Values:
    """The status as a state; an end by a word of the OMA's keeps that word for its reason if it has no better one."""
    word = row.status if state in ENDED and row.status != state.value else None
    return {"status": state.value, "error_message": row.error_message or word or row.error_message}


def _replaced(row: Row[Any], given: Values) -> Values:
    return {name: getattr(row, name) for name in _REPLACED if getattr(row, name) != given[name]}


def _birth(row: Row[Any], given: Values, facts: JobFacts, now: datetime) -> Values:
    asked = Asked(Asker.WORKFLOW, OMA, f"found as {row.status!r} in the OMA's table")
    replaced = _replaced(row, given)
    return history_row(found(facts, asked, now)) | {
        "from_state": replaced.get("status"),
        "facts_before": None,
        "overwritten": replaced or None,
    }
