"""What the state machine keeps with a job, and the histories."""

import sqlalchemy as sa
from alembic import op

from db.types import BigInt, Json, UTCDateTime
from migrations import steps

revision = "20261124180000"
down_revision = "20251003150000"

JOBS = "replication_jobs"
POLLING = "vma_polling_state"


def upgrade() -> None:
    """Existing jobs are taken to have entered their state at the latest time that their row tells."""
    steps.add_columns(
        JOBS,
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("ending", sa.String(16)),
        sa.Column("entered_at", UTCDateTime()),
        sa.Column("watched", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("rule_memory", Json),
        sa.Column("appliance", sa.String(64), nullable=False, server_default="default"),
    )
    op.execute(
        "UPDATE replication_jobs SET entered_at = COALESCE(completed_at, started_at, created_at)"
        " WHERE entered_at IS NULL"
    )
    steps.add_columns(
        POLLING,
        sa.Column("total_polls", BigInt, nullable=False, server_default="0"),
        sa.Column("successful_polls", BigInt, nullable=False, server_default="0"),
        sa.Column("next_due_at", UTCDateTime()),
        sa.Column("last_verdict", sa.String(32)),
        sa.Column("polled_by", sa.String(64)),
    )
    _job_history()
    _poll_history()
    _recovery_runs()


def downgrade() -> None:
    """The jobs stay in their states; histories, endings and what the rules remembered are lost."""
    steps.drop_tables("recovery_runs", "vma_poll_history", "job_history")
    steps.drop_columns(POLLING, "total_polls", "successful_polls", "next_due_at", "last_verdict", "polled_by")
    steps.drop_columns(JOBS, "version", "ending", "entered_at", "watched", "rule_memory", "appliance")


def _id() -> sa.Column[int]:
    return sa.Column("id", BigInt, primary_key=True, autoincrement=True)


def _job_id() -> sa.Column[str]:
    return sa.Column("job_id", sa.String(191), sa.ForeignKey("replication_jobs.id", ondelete="CASCADE"), nullable=False)


def _job_history() -> None:
    steps.create_table(
        "job_history",
        _id(),
        _job_id(),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("from_state", sa.String(32)),
        sa.Column("to_state", sa.String(32), nullable=False),
        sa.Column("ending", sa.String(16)),
        sa.Column("edge", sa.String(64), nullable=False),
        sa.Column("asked_by", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(255)),
        sa.Column("reason", sa.Text),
        sa.Column("verdicts", Json, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("evidence", Json),
        sa.Column("policy_hash", sa.String(16), nullable=False),
        sa.Column("spec_hash", sa.String(16), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.UniqueConstraint("job_id", "seq"),
    )


def _poll_history() -> None:
    steps.create_table(
        "vma_poll_history",
        _id(),
        _job_id(),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("percent", sa.Double),
        sa.Column("bytes_transferred", BigInt),
        sa.Column("throughput_mib_s", sa.Double),
        sa.Column("error", sa.Text),
    )
    steps.create_index("vma_poll_history", "job_id", "at")


def _recovery_runs() -> None:
    steps.create_table(
        "recovery_runs",
        _id(),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime()),
        sa.Column("asked_by", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(255)),
        sa.Column("jobs", sa.Integer, nullable=False, server_default="0"),
        sa.Column("looked_at", sa.Integer, nullable=False, server_default="0"),
        sa.Column("outcomes", Json),
    )
