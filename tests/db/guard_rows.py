"""A database with one job at every place where a job can stand, and raw SQL against it that leaves no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rows import NOON, put_vm
from servers import copy
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from unguarded import unguarded

from db import guards
from db.engine import make_engine, write
from fsm.states import ENDED, Ending, State

VERSION = 4  # of every job
ENDINGS: tuple[Ending | None, ...] = (None, *Ending)
PLACES = [(state, ending) for state in State for ending in (ENDINGS if state in ENDED else (None,))]


class RolledBackError(Exception):
    """Nothing that a test tries may stay."""


@contextmanager
def everywhere(kind: str, template: str, folder: Path) -> Iterator[Engine]:
    """Jobs named by `job_at`, with their histories of one row; those that an OMA ended have no time of it."""
    with copy(kind, template, folder) as url:
        engine = make_engine(url)
        with unguarded(engine):
            for state, ending in PLACES:
                ended = NOON + timedelta(hours=1) if ending else None
                put_vm(engine, _vm(state, ending), state, version=VERSION, ending=ending, completed_at=ended)
        yield engine
        engine.dispose()


def job_at(state: State, ending: Ending | None = None) -> str:
    """The job that stands there."""
    return f"job-{_vm(state, ending)}"


def _vm(state: State, ending: Ending | None) -> str:
    return f"{state}-{ending}"


def tried(engine: Engine, *statements: str, **values: Any) -> str | None:
    """What a guard says of the statements, in one transaction that is rolled back; None if they are let through."""
    try:
        with write(engine) as connection:
            for statement in statements:
                connection.execute(text(statement), values)
            raise RolledBackError
    except RolledBackError:
        return None
    except DBAPIError as error:
        said = guards.refusal(error)
        if said is None:
            raise
        return said


def move(engine: Engine, job_id: str, **values: Any) -> str | None:
    """What a guard says of an UPDATE of these columns; `version` is added to the job's."""
    values = {"version": 1} | values
    sets = ", ".join(f"{name} = {name} + :version" if name == "version" else f"{name} = :{name}" for name in values)
    return tried(engine, f"UPDATE replication_jobs SET {sets} WHERE id = :id", id=job_id, **values)


def add_history(engine: Engine, job_id: str, seq: int, state: str, ending: str | None = None) -> str | None:
    """What a guard says of another row of history."""
    return tried(engine, HISTORY_ROW, job=job_id, seq=seq, state=state, ending=ending)


HISTORY_ROW = (
    "INSERT INTO job_history"
    " (job_id, seq, event, to_state, ending, edge, asked_by, verdicts, facts, policy_hash, spec_hash, at)"
    " VALUES (:job, :seq, 'start', :state, :ending, 'start', 'workflow', '[]', '{}', 'p', 's', '2026-11-01 12:00:00')"
)
