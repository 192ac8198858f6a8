"""Inferred ends are counted over all history each time that somebody asks how recovery fares."""

from migrations import steps

revision = "20261126200000"
down_revision = "20261126160000"

HISTORY, INDEXED = "job_history", ("from_state", "ending")


def upgrade() -> None:
    """One index for both counts: what ended by inference, and what left an end again."""
    steps.create_index(HISTORY, *INDEXED)


def downgrade() -> None:
    """An older release reads all rows."""
    steps.drop_index(HISTORY, *INDEXED)
