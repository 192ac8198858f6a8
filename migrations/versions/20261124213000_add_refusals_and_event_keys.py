"""Why a job did not move, and which events were answered already."""

import sqlalchemy as sa

from db.types import BigInt, Json, UTCDateTime
from migrations import steps

revision = "20261124213000"
down_revision = "20261124210000"


def upgrade() -> None:
    """Both begin empty: what was refused before was only logged."""
    steps.create_table(
        "job_refusals",
        sa.Column("id", BigInt, primary_key=True, autoincrement=True),
        _job_id(),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.Column("times", sa.Integer, nullable=False, server_default="1"),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("edge", sa.String(64)),
        sa.Column("asked_by", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(255)),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("verdicts", Json, nullable=False),
    )
    steps.create_index("job_refusals", "job_id", "last_at")
    steps.create_table(
        "event_keys",
        _job_id(primary_key=True),
        sa.Column("event_key", sa.String(191), primary_key=True),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("decision", Json, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    """Refusals are forgotten; an event that is repeated is decided again."""
    steps.drop_tables("event_keys", "job_refusals")


def _job_id(*, primary_key: bool = False) -> sa.Column[str]:
    key = sa.ForeignKey("replication_jobs.id", ondelete="CASCADE")
    return sa.Column("job_id", sa.String(191), key, primary_key=primary_key, nullable=False)
