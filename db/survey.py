"""What an OMA's database looks like to one who would adopt it. Reads the OMA's own columns only, and writes nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, DateTime, and_, exists, inspect, select, text, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from db.adopted import state_of, statuses_of
from db.collation import collation_of
from db.tables import CONTEXTS, DISKS, JOBS
from db.types import MARIADB
from fsm.states import ACTIVE, ENDED

NAMED: Final = 20  # ids that are listed of each kind
AT_ONCE: Final = 2_000  # rows held in memory
AHEAD: Final = timedelta(minutes=5)  # a time further in the future than this was not written in that zone
TIMES: Final = ("created_at", "updated_at", "started_at", "completed_at")
POINTERS: Final = ("current_job_id", "last_successful_job_id")


@dataclass(slots=True)
class Oddity:
    """Rows that are out of the ordinary, and what becomes of them. Of `count`, the first few are named."""

    what: str
    then: str
    ids: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, row_id: str) -> None:
        """One more."""
        self.count += 1
        if len(self.ids) < NAMED:
            self.ids.append(row_id)


@dataclass(slots=True)
class Clock:
    """The OMA's times, read in the zone. `example` is the newest of them, as it stands and in UTC."""

    read: int = 0
    twice: int = 0  # fell into the hour that a clock set back has twice
    never: int = 0  # fell into the hour that a clock set forward skips
    newest: tuple[datetime, datetime] | None = None


@dataclass(slots=True)
class Survey:
    """What was found. `obstacles` stop an adoption; oddities do not."""

    statuses: Counter[str | None] = field(default_factory=Counter)
    clock: Clock = field(default_factory=Clock)
    oddities: list[Oddity] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """All jobs."""
        return self.statuses.total()


def look(connection: Connection, zone: ZoneInfo, now: datetime, *, freeing: bool = False) -> Survey:
    """Look through the whole database. `freeing`: dangling pointers of VM contexts are about to be cleared."""
    survey = Survey()
    _jobs(connection, zone, survey)
    survey.oddities += [o for o in (*_setups(connection), *_pointers(connection)) if o.count]
    survey.obstacles += [*_tables_in_the_way(connection), *(() if freeing else _dangling(connection))]
    newest = survey.clock.newest
    if newest is not None and newest[1] - now > AHEAD:
        survey.obstacles.append(
            f"its newest time, {newest[0]:%Y-%m-%d %H:%M:%S}, would be {newest[1]:%Y-%m-%d %H:%M:%S}Z in {zone.key},"
            " which is still to come: that is not the zone of the OMA's clock"
        )
    return survey


# --- jobs, one by one --------------------------------------------------------------------------------


def _jobs(connection: Connection, zone: ZoneInfo, survey: Survey) -> None:
    unheard = Oddity("jobs in a status that nobody here has heard of", "left alone, and not polled")
    timeless = Oddity("jobs without a time of creation", "dated by the oldest other time that they have")
    open_end = Oddity("ended jobs without completed_at", "taken to have ended when they were last updated")
    orphans = Oddity("jobs of no VM", "adopted; no VM context follows them")
    # As they stand: what zone they are in is what this is about.
    raw = [type_coerce(JOBS.c[name], DateTime()).label(name) for name in TIMES]
    query = select(JOBS.c.id, JOBS.c.status, JOBS.c.vm_context_id, *raw).order_by(JOBS.c.id)
    for row in connection.execute(query.execution_options(yield_per=AT_ONCE)):
        survey.statuses[row.status] += 1
        times = {name: getattr(row, name) for name in TIMES}
        for time in times.values():
            _read(survey.clock, time, zone)
        state = state_of(row.status)
        for oddity, odd in (
            (unheard, state is None),
            (timeless, not _is_time(times["created_at"])),
            (open_end, state in ENDED and not _is_time(times["completed_at"])),
            (orphans, row.vm_context_id is None),
        ):
            if odd:
                oddity.add(row.id)
    survey.oddities += [o for o in (unheard, timeless, open_end, orphans) if o.count]


def _is_time(value: Any) -> bool:
    return isinstance(value, datetime)  # the driver gives the zero time as text


def _read(clock: Clock, value: Any, zone: ZoneInfo) -> None:
    if not _is_time(value):
        return
    clock.read += 1
    if value.tzinfo is None:
        first, second = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        clock.twice += first.utcoffset() > second.utcoffset()
        clock.never += first.utcoffset() < second.utcoffset()
    else:
        first = value
    if clock.newest is None or value > clock.newest[0]:
        clock.newest = value, first.astimezone(UTC)


# --- jobs and their VMs --------------------------------------------------------------------------------


def _setups(connection: Connection) -> Iterator[Oddity]:
    unfinished = JOBS.c.status.in_(statuses_of(ACTIVE))
    bare = unfinished & ~exists().where(DISKS.c.job_id == JOBS.c.id)
    yield _of("unfinished jobs without disks", "asked about by their own id alone",
              connection.scalars(select(JOBS.c.id).where(bare).order_by(JOBS.c.id)).all())  # fmt: skip
    other = JOBS.alias("other")
    twins = unfinished & exists().where(
        other.c.vm_context_id == JOBS.c.vm_context_id,
        other.c.id != JOBS.c.id,
        other.c.status.in_(statuses_of(ACTIVE)),
    )
    yield _of("unfinished jobs beside another of the same VM", "adopted; each is asked about until it ends",
              connection.scalars(select(JOBS.c.id).where(twins).order_by(JOBS.c.id)).all())  # fmt: skip


def _pointers(connection: Connection) -> Iterator[Oddity]:
    pointing = select(CONTEXTS.c.context_id).where(points_at_ended()).order_by(CONTEXTS.c.context_id)
    yield _of(
        "VM contexts that point at an ended job",
        "left so, and the OMA refuses every new copy of these VMs; --free-contexts clears them",
        connection.scalars(pointing).all(),
    )


def _of(what: str, then: str, ids: Sequence[str]) -> Oddity:
    return Oddity(what, then, list(ids[:NAMED]), len(ids))


# --- what stops an adoption ------------------------------------------------------------------------------


def _dangling(connection: Connection) -> Iterator[str]:
    for name in POINTERS:
        pointing = select(CONTEXTS.c.context_id).where(dangles(name)).order_by(CONTEXTS.c.context_id)
        ids = connection.scalars(pointing).all()
        if ids:
            yield (
                f"{name} of {len(ids)} VM contexts names a job that is not there ({', '.join(ids[:NAMED])}), so no"
                " foreign key can be added: --free-contexts clears these"
            )


def dangles(pointer: str) -> ColumnElement[bool]:
    """True for a VM context that points at a job that is not there."""
    return and_(CONTEXTS.c[pointer].is_not(None), ~exists().where(JOBS.c.id == CONTEXTS.c[pointer]))


def points_at_ended() -> ColumnElement[bool]:
    """True for a VM context whose current job is over."""
    return exists().where(JOBS.c.id == CONTEXTS.c.current_job_id, JOBS.c.status.in_(statuses_of(ENDED)))


def _tables_in_the_way(connection: Connection) -> Iterator[str]:
    if connection.dialect.name in MARIADB:
        yield from _engines(connection)
        yield from _collations(connection)


_ENGINES: Final = text(
    "SELECT table_name, engine FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name IN (:jobs, :contexts) AND engine <> 'InnoDB'"
)


def _engines(connection: Connection) -> Iterator[str]:
    for name, kind in connection.execute(_ENGINES, {"jobs": JOBS.name, "contexts": CONTEXTS.name}):
        yield f"table {name} is kept by {kind}, which has no foreign keys: ALTER TABLE {name} ENGINE=InnoDB"


def _collations(connection: Connection) -> Iterator[str]:
    """A foreign key joins columns of one collation; ours take that of the jobs' id."""
    there = inspect(connection)
    keyed = {key["constrained_columns"][0] for key in there.get_foreign_keys(str(CONTEXTS.name))}
    wanted = collation_of(connection, str(JOBS.name), "id")
    for name in POINTERS:
        found = collation_of(connection, str(CONTEXTS.name), name)
        if name not in keyed and found != wanted:
            yield (
                f"{CONTEXTS.name}.{name} is in {found} and {JOBS.name}.id in {wanted}, so no foreign key can join them:"
                f" ALTER TABLE {CONTEXTS.name} MODIFY {name} varchar(191) COLLATE {wanted}"
            )
