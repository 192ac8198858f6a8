"""What is forgotten, and when. Transitions never are; how a job was polled and why it stayed is, in small batches."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Table, delete, func, select

from db.tables import EVENT_KEYS, JOBS, POLLS, REFUSALS
from fsm.states import ENDED

KEPT: Final = {POLLS: 500, REFUSALS: 200}  # rows per job
KEEP: Final = timedelta(days=90)  # after that, ended jobs' rows go
BATCH: Final = 500  # rows per transaction
JOBS_AT_ONCE: Final = 20  # per transaction, where each may have as many rows to lose


def bound(connection: Connection, table: Table, keep: int) -> int:
    """Drop the oldest rows of some jobs that have more than `keep`; returns how many rows went, 0 when none have.

    The first poll at which something had been transferred is among the kept: by it no half-copied VM is offered for
    failover.
    """
    long = select(table.c.job_id).group_by(table.c.job_id).having(func.count() > keep).limit(JOBS_AT_ONCE)
    dropped = 0
    for job_id in connection.scalars(long).all():
        newest = select(table.c.id).where(table.c.job_id == job_id).order_by(table.c.id.desc())
        last = int(connection.scalar(newest.offset(keep - 1).limit(1)) or 0)
        spared = min(last, _first_transfer(connection, job_id) or last) if table is POLLS else last
        old = (table.c.job_id == job_id) & (table.c.id <= last) & (table.c.id != spared)
        dropped += connection.execute(delete(table).where(old)).rowcount
    return dropped


def _first_transfer(connection: Connection, job_id: str) -> int | None:
    something = (POLLS.c.bytes_transferred > 0) | (POLLS.c.percent > 0)
    found: int | None = connection.scalar(select(func.min(POLLS.c.id)).where(POLLS.c.job_id == job_id, something))
    return found


def forget(connection: Connection, table: Table, before: datetime, batch: int = BATCH) -> int:
    """Drop one batch of rows from before a time, of jobs that are over and not watched; returns how many rows went."""
    over = JOBS.c.status.in_([s.value for s in ENDED]) & JOBS.c.watched.is_(False)
    of_job = table.join(JOBS, JOBS.c.id == table.c.job_id)
    old = select(table.c.id).select_from(of_job).where(over, table.c.at < before).limit(batch)
    ids = connection.scalars(old).all()  # MariaDB takes no LIMIT within IN
    return connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount if ids else 0


def forget_keys(connection: Connection, before: datetime) -> int:
    """Drop the event keys from before a time: nobody repeats an event after so long. Returns how many went."""
    return connection.execute(delete(EVENT_KEYS).where(EVENT_KEYS.c.at < before)).rowcount
