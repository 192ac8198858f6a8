"""How soon a recovery run heard of its jobs."""

import sqlalchemy as sa

from db.types import Json
from migrations import steps

revision = "20261126113000"
down_revision = "20261126110000"

RUNS = "recovery_runs"


def upgrade() -> None:
    """Null for runs of the past."""
    steps.add_columns(RUNS, sa.Column("seconds_to_answer", Json, nullable=True))


def downgrade() -> None:
    """Outcomes stay."""
    steps.drop_columns(RUNS, "seconds_to_answer")
