"""One persisted transition (`replicating` to `completed`, with a row of history) as others would write it.

All of them keep a version beside the state. They know no VM context, no polling row, no disks, and no why.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, ClassVar

import transitions
from sqlalchemy import JSON, Column, Engine, MetaData, String, insert
from sqlalchemy.pool import PoolProxiedConnection
from sqlmodel import Field, Session, SQLModel

from db.engine import write

Ids = Sequence[str]
MARKS = {"sqlite": "?", "postgresql": "%s", "mysql": "%s"}


class Contender(ABC):
    """A way to complete jobs. `note` is the JSON that each keeps with its history row."""

    name: ClassVar[str]

    def __init__(self, engine: Engine, note: str) -> None:
        self.engine, self.note, self.told = engine, note, json.loads(note)

    @abstractmethod
    def make(self, ids: Ids) -> None:
        """Put jobs that replicate into its table."""

    @abstractmethod
    def complete(self, ids: Ids) -> None:
        """Complete the jobs."""

    @abstractmethod
    def completed(self) -> int:
        """How many jobs are completed and say so in their history."""


# --- the driver, by hand ------------------------------------------------------------------------------


class RawDriver(Contender):
    """What the database and its driver cost: two statements, compare-and-swap included, nothing else."""

    name = "raw driver"
    read = "SELECT id, state, version FROM raw_job WHERE id = {}"
    swap = "UPDATE raw_job SET state = 'completed', version = version + 1 WHERE id = {} AND state = {} AND version = {}"
    note_it = "INSERT INTO raw_history (job_id, seq, from_state, to_state, note, at) VALUES ({}, {}, {}, {}, {}, {})"

    def __init__(self, engine: Engine, note: str) -> None:
        super().__init__(engine, note)
        mark = MARKS[engine.dialect.name]
        self.statements = [s.format(*[mark] * 6) for s in (self.read, self.swap, self.note_it)]

    def make(self, ids: Ids) -> None:
        with write(self.engine) as connection:
            for table in ("raw_history", "raw_job"):
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
            connection.exec_driver_sql(
                "CREATE TABLE raw_job (id VARCHAR(64) PRIMARY KEY, state VARCHAR(32), version INT)"
            )
            connection.exec_driver_sql(
                "CREATE TABLE raw_history (job_id VARCHAR(64), seq INT, from_state VARCHAR(32), to_state VARCHAR(32),"
                " note TEXT, at VARCHAR(32), PRIMARY KEY (job_id, seq))"
            )
            mark = MARKS[self.engine.dialect.name]
            row = f"INSERT INTO raw_job (id, state, version) VALUES ({mark}, 'replicating', 4)"  # noqa: S608 # a mark
            connection.exec_driver_sql(row, [(job_id,) for job_id in ids])

    def complete(self, ids: Ids) -> None:
        read, swap, note = self.statements
        at = datetime.now(UTC).isoformat(" ")
        driver: PoolProxiedConnection
        with closing(self.engine.raw_connection()) as driver:
            cursor = driver.cursor()
            if self.engine.dialect.name == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            found = []
            for job_id in ids:
                cursor.execute(read, (job_id,))
                found += cursor.fetchall()
            cursor.executemany(swap, found)
            if cursor.rowcount != len(ids):
                raise RuntimeError("a race was lost")
            cursor.executemany(
                note, [(i, version + 1, state, "completed", self.note, at) for i, state, version in found]
            )
            driver.commit()

    def completed(self) -> int:
        query = (
            "SELECT count(*) FROM raw_job j JOIN raw_history h ON h.job_id = j.id AND h.seq = j.version"
            " WHERE j.state = 'completed' AND h.to_state = j.state"
        )
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())


# --- SQLModel, as its tutorial has it -----------------------------------------------------------------

_NAIVE = MetaData()


class NaiveJob(SQLModel, table=True):
    """A job."""

    __tablename__ = "naive_job"
    metadata = _NAIVE

    id: str = Field(sa_column=Column(String(64), primary_key=True))
    state: str = Field("replicating", sa_column=Column(String(32)))
    version: int = 4
    completed_at: datetime | None = None


class NaiveHistory(SQLModel, table=True):
    """A transition."""

    __tablename__ = "naive_history"
    metadata = _NAIVE

    id: int | None = Field(None, primary_key=True)
    job_id: str = Field(sa_column=Column(String(64), index=True))
    seq: int
    from_state: str = Field(sa_column=Column(String(32)))
    to_state: str = Field(sa_column=Column(String(32)))
    note: dict[str, Any] = Field(sa_column=Column(JSON))
    at: datetime


class Copy:
    """The machine's model; `transitions` cannot take a row itself."""

    state: str
    vma_completed: Any


MACHINE = transitions.Machine(
    model=None,
    states=["initializing", "attaching", "configuring", "ready_for_sync", "replicating", "completed", "failed"],
    transitions=[
        ["start", "ready_for_sync", "replicating"],
        ["vma_completed", "replicating", "completed"],
        ["vma_failed", "replicating", "failed"],
    ],
    auto_transitions=False,
)


class NaiveSqlModel(Contender):
    """`session.get`, `transitions`, a row of history, `commit`: one job after the other."""

    name = "SQLModel + transitions"

    def make(self, ids: Ids) -> None:
        _NAIVE.drop_all(self.engine)
        _NAIVE.create_all(self.engine)
        with write(self.engine) as connection:
            connection.execute(insert(NaiveJob), [{"id": i, "state": "replicating", "version": 4} for i in ids])

    def complete(self, ids: Ids) -> None:
        for job_id in ids:
            with Session(self.engine) as session:
                self._complete(session, job_id)

    def _complete(self, session: Session, job_id: str) -> None:
        job = session.get(NaiveJob, job_id)
        if job is None:
            raise LookupError(job_id)
        copy, source = Copy(), job.state
        MACHINE.add_model(copy, initial=job.state)
        copy.vma_completed()
        MACHINE.remove_model(copy)
        now = datetime.now(UTC)
        job.state, job.version, job.completed_at = copy.state, job.version + 1, now
        history = {"seq": job.version, "from_state": source, "to_state": job.state, "note": self.told, "at": now}
        session.add(NaiveHistory(job_id=job.id, **history))
        session.commit()

    def completed(self) -> int:
        query = (
            "SELECT count(*) FROM naive_job j JOIN naive_history h ON h.job_id = j.id AND h.seq = j.version"
            " WHERE j.state = 'completed' AND h.to_state = j.state"
        )
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())
