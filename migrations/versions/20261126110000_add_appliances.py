"""Appliances beside the one of the settings. `replication_jobs.appliance` has named a job's all along."""

import sqlalchemy as sa

from db.types import UTCDateTime
from migrations import steps

revision = "20261126110000"
down_revision = "20261124230100"

APPLIANCES = "vma_appliances"
PATHS = ("ca_file", "token_file", "cert_file", "key_file")


def upgrade() -> None:
    """Empty; the default appliance is noted at the next start of the service."""
    steps.create_table(
        APPLIANCES,
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("url", sa.String(500), nullable=False),
        *(sa.Column(path, sa.String(500), nullable=True) for path in PATHS),
        sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("in_flight", sa.Integer, nullable=False, server_default="0"),
        sa.Column("generation", sa.String(32), nullable=True),
        sa.Column("heard_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    """Jobs of other appliances are then asked of the default one: end them first."""
    steps.drop_tables(APPLIANCES)
