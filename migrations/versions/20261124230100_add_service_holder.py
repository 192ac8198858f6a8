"""Which process serves the database, for the one that is refused beside it."""

import sqlalchemy as sa

from db.types import UTCDateTime
from migrations import steps

revision = "20261124230100"
down_revision = "20261124230000"

HOLDER = "service_holder"


def upgrade() -> None:
    """Filled at the next start of the service."""
    steps.create_table(
        HOLDER,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("doing", sa.String(16), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    """A process that is refused can no longer be told by whom."""
    steps.drop_tables(HOLDER)
