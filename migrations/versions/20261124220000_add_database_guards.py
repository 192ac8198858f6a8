"""How the database is guarded. The guards themselves are no revision's: see migrations/runner.py."""

import sqlalchemy as sa

from migrations import steps

revision = "20261124220000"
down_revision = "20261124213000"

MODE = "guard_mode"


def upgrade() -> None:
    """Empty: strict, until an OMA's database is adopted."""
    steps.create_table(MODE, sa.Column("mode", sa.String(16), primary_key=True))


def downgrade() -> None:
    """The runner has taken the guards down."""
    steps.drop_tables(MODE)
