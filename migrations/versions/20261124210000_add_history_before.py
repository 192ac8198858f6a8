"""History keeps the job as it was decided on, so that a decision can be taken again under another policy."""

import sqlalchemy as sa

from db.types import Json
from migrations import steps

revision = "20261124210000"
down_revision = "20261124200000"

HISTORY = "job_history"


def upgrade() -> None:
    """Empty in the rows that are there: how those jobs were before their moves is not known."""
    steps.add_columns(HISTORY, sa.Column("facts_before", Json))


def downgrade() -> None:
    """Past decisions cannot be replayed any more."""
    steps.drop_columns(HISTORY, "facts_before")
