"""The tables that are this service's own."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Double, Index, Integer, String, UniqueConstraint
from sqlmodel import Field

from db.table import OPTIONS, Table, count, flag, job, serial, text, time
from db.types import BigInt, Json


class PollingState(Table, table=True):
    """The schedule of one job, and what asking about it came to so far."""

    __tablename__ = "vma_polling_state"
    __table_args__ = (Index(None, "is_active", "last_poll_at"), OPTIONS)

    job_id: str = Field(sa_column=job(primary_key=True))
    started_polling_at: datetime | None = Field(None, sa_column=time())
    last_poll_at: datetime | None = Field(None, sa_column=time())
    consecutive_errors: int = Field(0, sa_column=count(Integer))
    last_error_message: str | None = Field(None, sa_column=text())
    is_active: bool = Field(False, sa_column=flag())
    created_at: datetime = Field(sa_column=time(nullable=False))
    updated_at: datetime = Field(sa_column=time(nullable=False))

    total_polls: int = Field(0, sa_column=count())
    successful_polls: int = Field(0, sa_column=count())
    next_due_at: datetime | None = Field(None, sa_column=time())
    last_verdict: str | None = Field(None, sa_column=text(32))
    polled_by: str | None = Field(None, sa_column=text(64))  # the replica


class JobHistory(Table, table=True):
    """One move of a job; `seq` is the version it gave the job. Folding a job's rows gives the job."""

    __tablename__ = "job_history"
    __table_args__ = (UniqueConstraint("job_id", "seq"), Index(None, "from_state", "ending"), OPTIONS)

    id: int | None = Field(None, sa_column=serial())
    job_id: str = Field(sa_column=job())
    seq: int = Field(sa_column=Column(Integer, nullable=False))
    event: str = Field(sa_column=text(32, nullable=False))
    from_state: str | None = Field(None, sa_column=text(32))
    to_state: str = Field(sa_column=text(32, nullable=False))
    ending: str | None = Field(None, sa_column=text(16))
    edge: str = Field(sa_column=text(64, nullable=False))
    asked_by: str = Field(sa_column=text(16, nullable=False))
    actor: str | None = Field(None, sa_column=text(255))
    reason: str | None = Field(None, sa_column=text())
    verdicts: list[dict[str, Any]] = Field(sa_column=Column(Json, nullable=False))
    facts: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))  # of the job after the move
    evidence: dict[str, Any] | None = Field(None, sa_column=Column(Json))
    facts_before: dict[str, Any] | None = Field(None, sa_column=Column(Json))  # the job as it was decided on
    overwritten: dict[str, Any] | None = Field(None, sa_column=Column(Json))  # of an OMA's columns, by adoption
    policy_hash: str = Field(sa_column=text(16, nullable=False))
    spec_hash: str = Field(sa_column=text(16, nullable=False))
    at: datetime = Field(sa_column=time(nullable=False))


class JobRefusal(Table, table=True):
    """Why a job did not move: an event that was refused, or an answer at which it began to stay for a new reason.

    The same refusal again is counted (`times`, `last_at`), not repeated.
    """

    __tablename__ = "job_refusals"
    __table_args__ = (Index(None, "job_id", "last_at"), OPTIONS)

    id: int | None = Field(None, sa_column=serial())
    job_id: str = Field(sa_column=job())
    at: datetime = Field(sa_column=time(nullable=False))
    last_at: datetime = Field(sa_column=time(nullable=False))
    times: int = Field(1, sa_column=Column(Integer, nullable=False, server_default="1"))
    event: str = Field(sa_column=text(32, nullable=False))
    state: str = Field(sa_column=text(32, nullable=False))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    outcome: str = Field(sa_column=text(16, nullable=False))
    edge: str | None = Field(None, sa_column=text(64))
    asked_by: str = Field(sa_column=text(16, nullable=False))
    actor: str | None = Field(None, sa_column=text(255))
    reason: str | None = Field(None, sa_column=text())
    message: str = Field(sa_column=text(nullable=False))
    verdicts: list[dict[str, Any]] = Field(sa_column=Column(Json, nullable=False))  # of the guards that said no


class EventKey(Table, table=True):
    """The decision that an event with this key was answered by: the same event again gets the same answer."""

    __tablename__ = "event_keys"
    __table_args__ = (OPTIONS,)

    job_id: str = Field(sa_column=job(primary_key=True))
    event_key: str = Field(sa_column=Column(String(191), primary_key=True))
    event: str = Field(sa_column=text(32, nullable=False))
    decision: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    at: datetime = Field(sa_column=time(nullable=False))


class PollHistory(Table, table=True):
    """One answer about a job. Percent 0-100."""

    __tablename__ = "vma_poll_history"
    __table_args__ = (Index(None, "job_id", "at"), OPTIONS)

    id: int | None = Field(None, sa_column=serial())
    job_id: str = Field(sa_column=job())
    at: datetime = Field(sa_column=time(nullable=False))
    verdict: str = Field(sa_column=text(32, nullable=False))
    percent: float | None = Field(None, sa_column=Column(Double))
    bytes_transferred: int | None = Field(None, sa_column=Column(BigInt))
    throughput_mib_s: float | None = Field(None, sa_column=Column(Double))
    error: str | None = Field(None, sa_column=text())


class RecoveryRun(Table, table=True):
    """One start-up or triggered recovery; `outcomes` counts jobs by outcome."""

    __tablename__ = "recovery_runs"
    __table_args__ = (OPTIONS,)

    id: int | None = Field(None, sa_column=serial())
    started_at: datetime = Field(sa_column=time(nullable=False))
    finished_at: datetime | None = Field(None, sa_column=time())
    asked_by: str = Field(sa_column=text(16, nullable=False))
    actor: str | None = Field(None, sa_column=text(255))
    jobs: int = Field(0, sa_column=count(Integer))
    looked_at: int = Field(0, sa_column=count(Integer))
    outcomes: dict[str, int] | None = Field(None, sa_column=Column(Json))
    seconds_to_answer: dict[str, float] | None = Field(None, sa_column=Column(Json))  # of jobs: p50, p95, max
    run_by: str | None = Field(None, sa_column=text(64))  # the replica


class SpecVersion(Table, table=True):
    """A specification that has served this database, by its hash."""

    __tablename__ = "spec_versions"
    __table_args__ = (OPTIONS,)

    hash: str = Field(sa_column=Column(String(16), primary_key=True))
    snapshot: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    first_seen_at: datetime = Field(sa_column=time(nullable=False))


class GuardMode(Table, table=True):
    """How this database is guarded (db/guards): one row, or none for `strict`. The guards themselves may be down."""

    __tablename__ = "guard_mode"
    __table_args__ = (OPTIONS,)

    mode: str = Field(sa_column=Column(String(16), primary_key=True))


class Adoption(Table, table=True):
    """That the database was an OMA's before it was ours; one row, or none. `zone` is that of the OMA's naive times."""

    __tablename__ = "oma_adoption"
    __table_args__ = (OPTIONS,)

    id: int = Field(1, sa_column=Column(Integer, primary_key=True, autoincrement=False))
    zone: str = Field(sa_column=text(64, nullable=False))
    adopted_at: datetime = Field(sa_column=time(nullable=False))
    finished_at: datetime | None = Field(None, sa_column=time())
    counts: dict[str, int] | None = Field(None, sa_column=Column(Json))  # jobs by what became of their status


class ServiceHolder(Table, table=True):
    """The process that serves the database, or served it last; one row. The lock itself is elsewhere (db/sole.py)."""

    __tablename__ = "service_holder"
    __table_args__ = (OPTIONS,)

    id: int = Field(1, sa_column=Column(Integer, primary_key=True, autoincrement=False))
    host: str = Field(sa_column=text(255, nullable=False))
    pid: int = Field(sa_column=Column(Integer, nullable=False))
    doing: str = Field(sa_column=text(16, nullable=False))
    since: datetime = Field(sa_column=time(nullable=False))


class ServiceReplica(Table, table=True):
    """The replica that holds a slot, or held it last. Who lives is said elsewhere (db/replicas.py, db/members.py)."""

    __tablename__ = "service_replicas"
    __table_args__ = (OPTIONS,)

    slot: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    id: str = Field(sa_column=text(64, nullable=False))
    host: str = Field(sa_column=text(255, nullable=False))
    pid: int = Field(sa_column=Column(Integer, nullable=False))
    polls: bool = Field(sa_column=flag())
    shares: int = Field(0, sa_column=count(Integer))  # that it held when it was last seen
    of_shares: int = Field(sa_column=Column(Integer, nullable=False))  # into how many it divides all jobs
    since: datetime = Field(sa_column=time(nullable=False))
    seen_at: datetime = Field(sa_column=time(nullable=False))


class CoordinationGroup(Table, table=True):
    """The name by which the replicas of this database, and of no other, find each other; one row, made once."""

    __tablename__ = "coordination_group"
    __table_args__ = (OPTIONS,)

    id: int = Field(1, sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str = Field(sa_column=text(64, nullable=False))


class VmaAppliance(Table, table=True):
    """An appliance that jobs may belong to, and what was learned of it. The files are paths on the service's host."""

    __tablename__ = "vma_appliances"
    __table_args__ = (OPTIONS,)

    name: str = Field(sa_column=Column(String(64), primary_key=True))
    url: str = Field(sa_column=text(500, nullable=False))
    ca_file: str | None = Field(None, sa_column=text(500))
    token_file: str | None = Field(None, sa_column=text(500))
    cert_file: str | None = Field(None, sa_column=text(500))
    key_file: str | None = Field(None, sa_column=text(500))
    paused: bool = Field(False, sa_column=flag())
    in_flight: int = Field(0, sa_column=count(Integer))  # requests at once, as learned
    generation: str | None = Field(None, sa_column=text(32))
    heard_at: datetime | None = Field(None, sa_column=time())
    created_at: datetime = Field(sa_column=time(nullable=False))
    updated_at: datetime = Field(sa_column=time(nullable=False))
