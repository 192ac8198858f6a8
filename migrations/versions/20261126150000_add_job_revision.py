"""How often a job was written, so that what is remembered of it can be told from what is stored."""

import sqlalchemy as sa

from migrations import steps

revision = "20261126150000"
down_revision = "20261126120000"

JOBS = "replication_jobs"


def upgrade() -> None:
    """Every job begins at 0; an OMA that writes past us does not count, and nothing is remembered in its database."""
    steps.add_columns(JOBS, sa.Column("revision", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Older releases remember nothing."""
    steps.drop_columns(JOBS, "revision")
