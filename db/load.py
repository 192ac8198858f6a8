"""Rows to facts: everything a rule may know about many jobs, in a handful of statements."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

import structlog
from msgspec import Struct
from sqlalchemy import BindParameter, Connection, Exists, Row, and_, bindparam, exists, or_, select

from db.adopted import is_adopted
from db.codec import memory_from_json
from db.errors import NotFoundError, UnreadableJobError
from db.foreign import FOREIGN
from db.tables import CBT, DISKS, JOBS, POLLING, VOLUMES
from fsm.facts import DEFAULT_APPLIANCE, Disk, JobFacts
from fsm.states import ACTIVE, ENDED, Ending, State

log = structlog.get_logger(__name__)
CHUNK = 500  # ids per IN list; SQLite of old allows 999 parameters


class PollingRow(NamedTuple):
    """`vma_polling_state` of one job: schedule and counters."""

    is_active: bool
    started_polling_at: datetime | None = None
    last_poll_at: datetime | None = None
    next_due_at: datetime | None = None
    consecutive_errors: int = 0
    last_error_message: str | None = None
    last_verdict: str | None = None
    total_polls: int = 0
    successful_polls: int = 0
    polled_by: str | None = None


class Loaded(Struct, frozen=True, gc=False):
    """A job as stored, with its polling row (None if it has none)."""

    facts: JobFacts
    vm_context_id: str
    polling: PollingRow | None
    revision: int
    status: str  # as it stands in the row; in an adopted database it may be one of the OMA's own

    @property
    def polls(self) -> int:
        """How many answers have been applied."""
        return self.polling.total_polls if self.polling else 0


def taken() -> Exists:
    """True for a job whose VM has a newer one, in whatever state."""
    newer = JOBS.alias("newer")
    later = or_(
        newer.c.created_at > JOBS.c.created_at, and_(newer.c.created_at == JOBS.c.created_at, newer.c.id > JOBS.c.id)
    )
    return exists().where(newer.c.vm_context_id == JOBS.c.vm_context_id, later)


# Statements are made once: making one costs more than running it. `ids` is one chunk.
IDS: Final[BindParameter[str]] = bindparam("ids", expanding=True)
_NEEDED = (
    "id", "vm_context_id", "status", "created_at", "entered_at", "version", "ending", "watched", "vma_validated_at",
    "progress_percent", "bytes_transferred", "total_bytes", "recovery_attempted", "recovery_method", "rule_memory",
    "appliance", "revision",
)  # fmt: skip
_JOBS = (
    select(
        *(JOBS.c[name] for name in _NEEDED),
        taken().label("vm_taken"),
        *(POLLING.c[name] for name in ("job_id", *PollingRow._fields)),
    )
    .select_from(JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id))
    .where(JOBS.c.id.in_(IDS))
    .order_by(JOBS.c.id)
)
_LOCKED = _JOBS.with_for_update(of=JOBS)
_LOCK = select(JOBS.c.id).where(JOBS.c.id.in_(IDS)).order_by(JOBS.c.id).with_for_update()
_DISKS = (
    select(DISKS.c.job_id, DISKS.c.disk_id, DISKS.c.capacity_bytes, DISKS.c.size_gb, VOLUMES.c.volume_id)
    .select_from(DISKS.outerjoin(VOLUMES, VOLUMES.c.id == DISKS.c.ossea_volume_id))
    .where(DISKS.c.job_id.in_(IDS))
    .order_by(DISKS.c.unit_number, DISKS.c.id)
)
_PROOFS = select(CBT.c.job_id, CBT.c.disk_id).where(CBT.c.job_id.in_(IDS), CBT.c.sync_success.is_(True))
_POLLING = select(POLLING).where(POLLING.c.job_id.in_(IDS))
_OF_POLLING = attrgetter(*PollingRow._fields)


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in pieces that fit an IN list, sorted so that row locks are always taken in one order."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def load(connection: Connection, ids: Iterable[str], *, lock: bool = False) -> dict[str, Loaded]:
    """Jobs by id; unknown ids are missing from the result, unreadable rows too (logged)."""
    found: dict[str, Loaded] = {}
    for some in chunks(ids):
        found.update(_load_some(connection, some, lock=lock))
    return found


def load_one(connection: Connection, job_id: str, *, lock: bool = False) -> Loaded:
    """One job. NotFoundError if it is unknown, UnreadableJobError if its row makes no sense."""
    found = load(connection, [job_id], lock=lock)
    if job_id in found:
        return found[job_id]
    if connection.scalar(select(JOBS.c.id).where(JOBS.c.id == job_id)) is None:
        raise NotFoundError("job", job_id)
    raise UnreadableJobError(job_id, "the log says why")


def _load_some(connection: Connection, ids: Sequence[str], *, lock: bool) -> dict[str, Loaded]:
    """A value that the driver cannot read spoils the whole result: then each job is read alone."""
    try:
        return dict(_load(connection, ids, lock=lock))
    except (ValueError, TypeError) as error:
        if len(ids) == 1:
            _leave_alone(ids[0], error)
            return {}
    return {job_id: one for some in ids for job_id, one in _load_some(connection, [some], lock=lock).items()}


def _leave_alone(job_id: str, error: Exception) -> None:
    log.error("job row cannot be read; the job is left alone until it is mended", job_id=job_id, why=str(error))


def _load(connection: Connection, ids: Sequence[str], *, lock: bool) -> Iterator[tuple[str, Loaded]]:
    if lock and connection.dialect.name == "postgresql":
        # After waiting for a lock it reads that row afresh, but what is joined to it as it was before the wait.
        connection.execute(_LOCK, {"ids": ids})
    rows = connection.execute(_LOCKED if lock else _JOBS, {"ids": ids}).all()
    disks, proofs = _disks(connection, ids), _proofs(connection, ids)
    oma_writes = is_adopted(connection)
    for row in rows:
        try:
            polling = None if row.job_id is None else polling_row(row)
            facts = _facts(row, disks[row.id], proofs[row.id], polling, oma_writes=oma_writes)
        except (ValueError, TypeError) as error:
            _leave_alone(row.id, error)
            continue
        yield row.id, Loaded(facts, row.vm_context_id, polling, row.revision, row.status)


def _disks(connection: Connection, ids: Sequence[str]) -> dict[str, list[Disk]]:
    found = defaultdict(list)
    for job_id, disk_id, capacity_bytes, size_gb, volume_id in connection.execute(_DISKS, {"ids": ids}):
        found[job_id].append(Disk(disk_id, volume_id, capacity_bytes or (size_gb or 0) << 30))
    return found


def _proofs(connection: Connection, ids: Sequence[str]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for job_id, disk_id in connection.execute(_PROOFS, {"ids": ids}):
        found[job_id].add(disk_id)
    return found


def _polling(connection: Connection, ids: Sequence[str]) -> dict[str, PollingRow]:
    return {row.job_id: polling_row(row) for row in connection.execute(_POLLING, {"ids": ids})}


def polling_row(row: Row) -> PollingRow:  # type: ignore[type-arg]
    """A `vma_polling_state` row, read by column names."""
    return PollingRow(*_OF_POLLING(row))


def _facts(
    row: Row,  # type: ignore[type-arg]
    disks: Sequence[Disk],
    proven: set[str],
    polling: PollingRow | None,
    *,
    oma_writes: bool,
) -> JobFacts:
    created_at = row.created_at or (row.entered_at if oma_writes else None)  # an OMA may leave it out
    if created_at is None:
        raise ValueError("its time of creation is zero")
    status = FOREIGN.get(row.status, row.status) if oma_writes else row.status
    memory = memory_from_json(row.rule_memory)
    for disk_id in sorted(proven):
        memory = memory.prove(disk_id)
    return JobFacts(
        job_id=row.id,
        state=State(status),
        created_at=created_at,
        entered_at=row.entered_at or created_at,
        version=row.version,
        ending=Ending(row.ending) if row.ending else None,
        watched=bool(row.watched),
        heard_at=row.vma_validated_at,
        polling_since=polling.started_polling_at if polling else None,
        disks=tuple(disks),
        percent=row.progress_percent or 0.0,
        bytes_transferred=row.bytes_transferred or 0,
        total_bytes=row.total_bytes or 0,
        vm_taken=bool(row.vm_taken),
        recovery_attempted=bool(row.recovery_attempted),
        recovery_method=row.recovery_method,
        memory=memory,
        appliance=row.appliance or DEFAULT_APPLIANCE,
    )


class PolledJob(Struct, frozen=True, gc=False):
    """One line of what must be polled. Of `polling` only `is_active` and `next_due_at` are read."""

    job_id: str
    watched: bool
    polling: PollingRow | None
    appliance: str = DEFAULT_APPLIANCE


def polled_jobs(connection: Connection) -> list[PolledJob]:
    """All jobs that must be polled: active, or an inferred end under watch. One query, unless a row is unreadable."""
    must = or_(JOBS.c.status.in_([s.value for s in ACTIVE]), JOBS.c.watched.is_(True))
    joined = JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id)
    columns = (JOBS.c.id, JOBS.c.status, JOBS.c.appliance)
    turn = (POLLING.c.is_active, POLLING.c.next_due_at)
    query = select(*columns, *turn).select_from(joined).where(must).order_by(JOBS.c.id)
    try:
        return [_polled(row, _turn(row.is_active, row.next_due_at)) for row in connection.execute(query)]
    except (ValueError, TypeError):
        rows = connection.execute(select(*columns).where(must).order_by(JOBS.c.id)).all()
        return [_polled(row, _polling_alone(connection, row.id)) for row in rows]


def _polled(row: Row, polling: PollingRow | None) -> PolledJob:  # type: ignore[type-arg]
    return PolledJob(row.id, row.status in ENDED, polling, row.appliance or DEFAULT_APPLIANCE)


def _turn(is_active: bool | None, next_due_at: datetime | None) -> PollingRow | None:
    return None if is_active is None else PollingRow(is_active, next_due_at=next_due_at)


def _polling_alone(connection: Connection, job_id: str) -> PollingRow | None:
    try:
        return _polling(connection, [job_id]).get(job_id)
    except (ValueError, TypeError) as error:
        _leave_alone(job_id, error)
        return None
