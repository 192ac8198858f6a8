"""What a recovery did with a job."""

import sqlalchemy as sa

from db.types import UTCDateTime
from migrations import steps

revision = "20251003140000"
down_revision = "20251003000000"

JOBS = "replication_jobs"
INDEXED = ("recovery_attempted", "status")


def upgrade() -> None:
    """Five columns and the index by which recovered jobs are found."""
    steps.add_columns(
        JOBS,
        sa.Column("recovery_attempted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("recovery_attempted_at", UTCDateTime()),
        sa.Column("recovery_method", sa.String(50)),
        sa.Column("vma_validated_at", UTCDateTime()),
        sa.Column("polling_restarted_at", UTCDateTime()),
    )
    steps.create_index(JOBS, *INDEXED)


def downgrade() -> None:
    """The jobs stay, without what recoveries did with them."""
    steps.drop_index(JOBS, *INDEXED)
    steps.drop_columns(
        JOBS,
        "recovery_attempted",
        "recovery_attempted_at",
        "recovery_method",
        "vma_validated_at",
        "polling_restarted_at",
    )
