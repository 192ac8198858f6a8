"""An OMA's database is taken over: what is missing is added, and every job gets its first row of history.

1. Look: what is odd, what is in the way (db/survey.py). A dry run ends here.
2. Claim the database, so that no service and no second adoption is at it.
3. The schema is brought up: columns and tables of ours.
4. The zone is written down; from here on the database counts as adopted.
5. Jobs without history, in batches, each a transaction of its own (db/adoption.py).
6. The guards go up, in the mode that lets the OMA write (db/guards).
7. Finished is written down; before that no service starts on it.

Killed anywhere, it is run again and goes on with what is missing.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, exists, func, insert, inspect, or_, select, update

from db import survey
from db.adopted import adoption, set_zone
from db.engine import read, redacted, write
from db.sole import Sole, claimed
from db.store import Store
from db.survey import Survey
from db.tables import ADOPTION, CONTEXTS, DISKS, HISTORY, JOBS
from fsm.policy import DEFAULT_POLICY
from fsm.states import State
from migrations.errors import NotForAdoptionError
from migrations.runner import current, head, is_omas, lift_guards, missing_columns, revisions, upgrade

SILENCE: Final = 3600  # seconds that a schema change of a large table may take
Progress = Callable[[int, int], None]  # jobs done, jobs in all


@dataclass(slots=True)
class Plan:
    """What an adoption would do; from a dry run."""

    found: Survey
    revisions: tuple[str, ...]
    to_adopt: int


@dataclass(slots=True)
class Report:
    """What an adoption did: jobs by (status found, state given), those left alone, VM contexts freed."""

    given: Counter[tuple[str, State]] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)
    freed: int = 0
    found: Survey = field(default_factory=Survey)


def plan(engine: Engine, zone: ZoneInfo, now: datetime, *, freeing: bool = False) -> Plan:
    """What `adopt` would do; nothing is written. NotForAdoptionError if this is no OMA's database."""
    with read(engine) as connection:
        _require_omas(engine, connection, zone)
        at = current(engine)
        return Plan(
            survey.look(connection, zone, now, freeing=freeing),
            tuple(r for r in revisions() if at is None or r > at),
            _to_adopt(connection),
        )


def adopt(
    engine: Engine,
    zone: ZoneInfo,
    now: datetime,
    *,
    freeing: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Take the database over. `freeing`: clear VM contexts' pointers at jobs that are over or not there.

    NotForAdoptionError with all that is in the way; SecondProcessError while a service or another adoption is at it.
    """
    with read(engine) as connection:
        _require_omas(engine, connection, zone)
    with claimed(engine, "adopting", SILENCE) as sole:
        found = plan(engine, zone, now, freeing=freeing).found
        if found.obstacles:
            raise NotForAdoptionError(redacted(engine.url), found.obstacles)
        report = Report(found=found)
        if freeing:
            with write(engine) as connection:
                report.freed = _free(connection)
        upgrade(engine, adopted=True)
        lift_guards(engine)  # old ends are given their endings, which no client may do
        sole.sign(now)
        _begin(engine, zone, now)
        _adopt_jobs(engine, now, sole, report, progress)
        upgrade(engine, adopted=True)
        _finish(engine, now)
    return report


def _require_omas(engine: Engine, connection: Connection, zone: ZoneInfo) -> None:
    where, there = redacted(engine.url), inspect(connection)
    absent = [str(t.name) for t in (CONTEXTS, JOBS, DISKS) if not there.has_table(str(t.name))]
    if absent:
        raise NotForAdoptionError(where, [f"it has no table {', '.join(absent)}, so it is no OMA's; check the URL"])
    if not is_omas(connection):
        raise NotForAdoptionError(where, ["its tables were made by oma-fsm itself; there is nothing to adopt"])
    lacking = missing_columns(connection)
    if lacking:
        told = [f"table {table} lacks {', '.join(names)}: not as an OMA makes it" for table, names in lacking.items()]
        raise NotForAdoptionError(where, told)
    at, before = current(engine), adoption(connection)
    if at is not None and at > head():
        raise NotForAdoptionError(where, [f"it is at schema {at}, newer than this release: install the newer release"])
    if before is not None and before.zone != zone.key:
        raise NotForAdoptionError(
            where,
            [f"it was adopted with zone {before.zone} on {before.adopted_at:%Y-%m-%d}, not {zone.key};"
             f" to change the zone, `oma-fsm db downgrade {revisions()[0]}` first"],
        )  # fmt: skip


def _to_adopt(connection: Connection) -> int:
    """Jobs without history."""
    count = select(func.count()).select_from(JOBS)
    if inspect(connection).has_table(str(HISTORY.name)):
        count = count.where(~exists().where(HISTORY.c.job_id == JOBS.c.id))
    return connection.scalar(count) or 0


def _free(connection: Connection) -> int:
    current_job = or_(survey.dangles("current_job_id"), survey.points_at_ended())
    freed = connection.execute(update(CONTEXTS).where(current_job).values(current_job_id=None)).rowcount
    last = survey.dangles("last_successful_job_id")
    return freed + connection.execute(update(CONTEXTS).where(last).values(last_successful_job_id=None)).rowcount


def _begin(engine: Engine, zone: ZoneInfo, now: datetime) -> None:
    """From here on the database counts as adopted: an OMA may write to it beside us."""
    with write(engine) as connection:
        if adoption(connection) is None:
            connection.execute(insert(ADOPTION).values(id=1, zone=zone.key, adopted_at=now))
    set_zone(engine, zone)


def _adopt_jobs(engine: Engine, now: datetime, sole: Sole, report: Report, progress: Progress) -> None:
    with read(engine) as connection:
        total = _to_adopt(connection)
    store, last, done = Store(engine, DEFAULT_POLICY), "", 0
    while (batch := store.adopt_batch(last, now)) is not None:
        last = batch.last
        report.given.update(batch.given)
        report.left += batch.left
        done += len(batch.given) + len(batch.left)
        progress(done, max(done, total))
        sole.check()


def _finish(engine: Engine, now: datetime) -> None:
    found = func.coalesce(HISTORY.c.from_state, HISTORY.c.to_state)
    births = select(found, func.count()).where(HISTORY.c.event == "adopt").group_by(found)
    with write(engine) as connection:
        counts = {row[0]: row[1] for row in connection.execute(births)}
        connection.execute(update(ADOPTION).values(finished_at=now, counts=counts))
