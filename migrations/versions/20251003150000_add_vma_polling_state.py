"""The schedule of the polled jobs."""

import sqlalchemy as sa

from db.types import UTCDateTime
from migrations import steps

revision = "20251003150000"
down_revision = "20251003140000"

POLLING = "vma_polling_state"


def upgrade() -> None:
    """One row per job, which goes with the job."""
    steps.create_table(
        POLLING,
        sa.Column("job_id", sa.String(191), sa.ForeignKey("replication_jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("started_polling_at", UTCDateTime()),
        sa.Column("last_poll_at", UTCDateTime()),
        sa.Column("consecutive_errors", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error_message", sa.Text),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
    )
    steps.create_index(POLLING, "is_active", "last_poll_at")


def downgrade() -> None:
    """Schedules are lost; which jobs must be polled is read from the jobs."""
    steps.drop_tables(POLLING)
