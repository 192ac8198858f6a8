"""Questions that people and the API ask of the database: reads only."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, RowMapping, Select, case, cast, func, select

from db.errors import NotFoundError
from db.tables import CONTEXTS, DISKS, HISTORY, JOBS, POLLING, POLLS, RUNS, VOLUMES
from fsm.spec import EDGES, Kind
from fsm.states import ACTIVE, ENDED, VMA_EVENTS, Ending, State


def list_jobs(
    connection: Connection,
    *,
    states: Sequence[State] = (),
    vm_name: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Sequence[RowMapping]:
    """Jobs with their polling rows, newest first."""
    query = (
        select(JOBS, *_polling_columns())
        .select_from(JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id))
        .where(*_matching(states, vm_name))
        .order_by(JOBS.c.created_at.desc(), JOBS.c.id.desc())
    )
    return connection.execute(query.limit(limit).offset(offset)).mappings().all()


def count_jobs(connection: Connection, *, states: Sequence[State] = (), vm_name: str | None = None) -> int:
    """How many jobs `list_jobs` would list without a limit."""
    query = select(func.count()).select_from(JOBS).where(*_matching(states, vm_name))
    return connection.scalar(query) or 0


def _matching(states: Sequence[State], vm_name: str | None) -> list[ColumnElement[bool]]:
    by_state = [JOBS.c.status.in_([s.value for s in states])] if states else []
    return by_state + ([JOBS.c.source_vm_name == vm_name] if vm_name else [])


def job_row(connection: Connection, job_id: str) -> RowMapping:
    """One job's row with its polling row. NotFoundError if there is none."""
    joined = JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id)
    query = select(JOBS, *_polling_columns()).select_from(joined).where(JOBS.c.id == job_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError("job", job_id)
    return row


def _polling_columns() -> list[Any]:
    return [column.label(f"polling_{column.name}") for column in POLLING.c if column.name != "job_id"]


def context_row(connection: Connection, context_id: str) -> RowMapping:
    """A VM context. NotFoundError if there is none."""
    row = connection.execute(select(CONTEXTS).where(CONTEXTS.c.context_id == context_id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError("VM context", context_id)
    return row


def history(connection: Connection, job_id: str) -> Sequence[RowMapping]:
    """All transitions of a job, first to last."""
    return (
        connection.execute(select(HISTORY).where(HISTORY.c.job_id == job_id).order_by(HISTORY.c.seq)).mappings().all()
    )


def last_move(connection: Connection, job_id: str) -> RowMapping | None:
    """The last transition of a job; None for a job without history."""
    query = select(HISTORY).where(HISTORY.c.job_id == job_id).order_by(HISTORY.c.seq.desc()).limit(1)
    return connection.execute(query).mappings().one_or_none()


def polls(connection: Connection, job_id: str, limit: int = 500) -> Sequence[RowMapping]:
    """The kept polls of a job, newest first."""
    query = select(POLLS).where(POLLS.c.job_id == job_id).order_by(POLLS.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def polling_totals(connection: Connection) -> RowMapping:
    """Counts over all polling rows."""
    active = case((POLLING.c.is_active.is_(True), 1))
    query = select(
        func.count(active).label("active"),
        _sum(POLLING.c.total_polls).label("total_polls"),
        _sum(POLLING.c.successful_polls).label("successful_polls"),
        func.max(POLLING.c.last_poll_at).label("last_poll_at"),
    )
    return connection.execute(query).mappings().one()


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """The servers sum whole numbers to decimals."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def polled(connection: Connection, *, limit: int, offset: int = 0) -> Sequence[RowMapping]:
    """The jobs that must be polled, with their polling rows, by id."""
    joined = JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id)
    query = select(JOBS, *_polling_columns()).select_from(joined).where(_must_be_polled()).order_by(JOBS.c.id)
    return connection.execute(query.limit(limit).offset(offset)).mappings().all()


def count_polled(connection: Connection) -> int:
    """How many jobs must be polled."""
    return connection.scalar(select(func.count()).select_from(JOBS).where(_must_be_polled())) or 0


def _must_be_polled() -> ColumnElement[bool]:
    return JOBS.c.status.in_([s.value for s in ACTIVE]) | JOBS.c.watched.is_(True)


def state_counts(connection: Connection) -> dict[str, int]:
    """Jobs per state."""
    rows = connection.execute(select(JOBS.c.status, func.count()).group_by(JOBS.c.status))
    return {row[0]: row[1] for row in rows}


def _inferences() -> Select[int, int]:
    """Two counts that an index answers: history is never forgotten, so it must not be read as a whole."""
    left, by_evidence = HISTORY.c.from_state, [e.name for e in EDGES if e.kind is Kind.MOVE and e.event in VMA_EVENTS]
    inferred = left.in_([s.value for s in State]) & (HISTORY.c.ending == Ending.INFERRED.value)
    was_over = left.in_([s.value for s in ENDED]) & (left != HISTORY.c.to_state)
    return select(_count(inferred), _count(was_over & HISTORY.c.edge.in_(by_evidence)))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).select_from(HISTORY).where(condition).scalar_subquery()


_INFERENCES: Final = _inferences()  # made once: making it costs more than running it


def inference_counts(connection: Connection) -> tuple[int, int]:
    """(inferred ends, inferences that evidence overturned) over all history."""
    inferred, overturned = connection.execute(_INFERENCES).one()
    return int(inferred), int(overturned)


def runs(connection: Connection, limit: int = 20) -> Sequence[RowMapping]:
    """Recovery runs, newest first."""
    return connection.execute(select(RUNS).order_by(RUNS.c.id.desc()).limit(limit)).mappings().all()


def run_outcomes(connection: Connection) -> Sequence[RowMapping]:
    """Of every recovery run: how many jobs it looked at, and what that came to."""
    return connection.execute(select(RUNS.c.looked_at, RUNS.c.outcomes)).mappings().all()


def answers(connection: Connection) -> bool:
    """True; raises if the database does not answer."""
    return connection.scalar(select(1)) == 1


def volumes_of(connection: Connection, job_id: str) -> Sequence[Row]:  # type: ignore[type-arg]
    """The disks of a job with their volumes, in copy order."""
    query = (
        select(DISKS, VOLUMES.c.volume_id, VOLUMES.c.volume_name, VOLUMES.c.device_path)
        .select_from(DISKS.outerjoin(VOLUMES, VOLUMES.c.id == DISKS.c.ossea_volume_id))
        .where(DISKS.c.job_id == job_id)
        .order_by(DISKS.c.unit_number, DISKS.c.id)
    )
    return connection.execute(query).all()
