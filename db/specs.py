"""The specifications that have served this database, and the jobs that the present one does not know."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, func, insert, or_, select

from db.adopted import is_adopted
from db.errors import UnknownSpecError, UnknownStatesError
from db.tables import HISTORY, JOBS, SPECS
from fsm.snapshot import snapshot
from fsm.states import State

NAMED: Final = 20  # jobs that a refusal names


def note(connection: Connection, now: datetime) -> bool:
    """Keep the present specification; False if it is kept already. IntegrityError if another was faster."""
    present = snapshot()
    if connection.scalar(select(SPECS.c.hash).where(SPECS.c.hash == present["hash"])) is not None:
        return False
    connection.execute(insert(SPECS).values(hash=present["hash"], snapshot=present, first_seen_at=now))
    return True


def kept(connection: Connection, spec_hash: str) -> dict[str, Any]:
    """The snapshot of a specification, by its hash. UnknownSpecError, naming those that are kept."""
    found = connection.scalar(select(SPECS.c.snapshot).where(SPECS.c.hash == spec_hash))
    if found is None:
        known = connection.scalars(select(SPECS.c.hash).order_by(SPECS.c.first_seen_at, SPECS.c.hash)).all()
        raise UnknownSpecError(spec_hash, known)
    return dict(found)


def rows_in(connection: Connection, states: Iterable[str]) -> dict[str, int]:
    """How many jobs stand in each of these states, whether this release knows it or not."""
    counts = select(JOBS.c.status, func.count()).where(JOBS.c.status.in_(list(states))).group_by(JOBS.c.status)
    return {row[0]: row[1] for row in connection.execute(counts)} if states else {}


def require_known_states(connection: Connection) -> None:
    """UnknownStatesError, naming the jobs, if any stands in a state that the specification does not have.

    In an adopted database only if history says that a release of ours brought it there: the OMA has words of its own.
    """
    named, count = in_unknown_states(connection, by_us=is_adopted(connection))
    if count:
        raise UnknownStatesError(named, count, [s.value for s in State])


def in_unknown_states(connection: Connection, *, by_us: bool = False) -> tuple[list[tuple[str, str | None]], int]:
    """(id, status) of the first jobs in states that the specification does not have, and how many there are.

    `by_us`: only those that a release of ours brought there.
    """
    unknown = _unknown() & _by_us() if by_us else _unknown()
    count = connection.scalar(select(func.count()).select_from(JOBS).where(unknown)) or 0
    query = select(JOBS.c.id, JOBS.c.status).where(unknown).order_by(JOBS.c.id).limit(NAMED)
    return [(row.id, row.status) for row in connection.execute(query)] if count else [], count


def _unknown() -> ColumnElement[bool]:
    return or_(JOBS.c.status.not_in([s.value for s in State]), JOBS.c.status.is_(None))


def _by_us() -> ColumnElement[bool]:
    move = (HISTORY.c.job_id == JOBS.c.id, HISTORY.c.seq == JOBS.c.version, HISTORY.c.to_state == JOBS.c.status)
    return exists().where(*move)
