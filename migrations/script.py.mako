"""${message}."""

import sqlalchemy as sa

import db.types
from migrations import steps

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Alembic's draft: put it in terms of `steps`, so that it can be run again after a crash on MariaDB."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """The way back."""
    ${downgrades if downgrades else "pass"}
