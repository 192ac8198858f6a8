"""By which name the replicas of this database find each other at a coordination server."""

import sqlalchemy as sa

from migrations import steps

revision = "20261126160000"
down_revision = "20261126150000"

GROUP = "coordination_group"


def upgrade() -> None:
    """Filled by the first replica of mode tooz."""
    steps.create_table(
        GROUP,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """An older release knows no coordination server."""
    steps.drop_tables(GROUP)
