"""Every specification that has served this database, so that its states and edges can be looked up later."""

import sqlalchemy as sa

from db.types import Json, UTCDateTime
from migrations import steps

revision = "20261124200000"
down_revision = "20261124180000"

SPECS = "spec_versions"


def upgrade() -> None:
    """Filled at the next start of the service."""
    steps.create_table(
        SPECS,
        sa.Column("hash", sa.String(16), primary_key=True),
        sa.Column("snapshot", Json, nullable=False),
        sa.Column("first_seen_at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    """What earlier releases knew is lost; history keeps their hashes."""
    steps.drop_tables(SPECS)
