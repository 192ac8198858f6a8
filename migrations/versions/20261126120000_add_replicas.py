"""Which replicas serve the database, and which of them made a recovery run."""

import sqlalchemy as sa

from db.types import UTCDateTime
from migrations import steps

revision = "20261126120000"
down_revision = "20261126113000"

REPLICAS = "service_replicas"
RUNS = "recovery_runs"


def upgrade() -> None:
    """Filled as replicas start; runs of before were made by nobody that still lives."""
    steps.create_table(
        REPLICAS,
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("polls", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("shares", sa.Integer, nullable=False, server_default="0"),
        sa.Column("of_shares", sa.Integer, nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
    )
    steps.add_columns(RUNS, sa.Column("run_by", sa.String(64), nullable=True))


def downgrade() -> None:
    """An older release serves alone: stop all replicas but one first."""
    steps.drop_columns(RUNS, "run_by")
    steps.drop_tables(REPLICAS)
