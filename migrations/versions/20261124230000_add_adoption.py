"""That a database was an OMA's, in which zone its times are, and what adoption replaced in its columns."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from db.types import Json, UTCDateTime
from migrations import steps

revision = "20261124230000"
down_revision = "20261124220000"

HISTORY = "job_history"
ADOPTION = "oma_adoption"
AT_ONCE = 500  # rows of history held in memory


def upgrade() -> None:
    """Filled by `oma-fsm db adopt`; empty in a database of our own."""
    steps.create_table(
        ADOPTION,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("adopted_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime()),
        sa.Column("counts", Json),
    )
    steps.add_columns(HISTORY, sa.Column("overwritten", Json))


def downgrade() -> None:
    """Jobs that stand where adoption found them get back what it replaced; what has moved since, stays."""
    if "overwritten" in steps.columns(HISTORY):
        _give_back()
    steps.drop_columns(HISTORY, "overwritten")
    steps.drop_tables(ADOPTION)


_history = sa.table(
    HISTORY,
    sa.column("id", sa.BigInteger),
    sa.column("job_id", sa.String),
    sa.column("seq", sa.Integer),
    sa.column("to_state", sa.String),
    sa.column("overwritten", Json),
)
_jobs = sa.table(
    "replication_jobs",
    sa.column("id", sa.String),
    sa.column("version", sa.Integer),
    sa.column("status", sa.String),
    sa.column("error_message", sa.Text),
)


def _give_back() -> None:
    last = 0
    while rows := _replaced(last):
        last = rows[-1].id
        for row in rows:
            unmoved = (_jobs.c.id == row.job_id, _jobs.c.version == row.seq, _jobs.c.status == row.to_state)
            op.execute(sa.update(_jobs).where(*unmoved).values(**row.overwritten))


def _replaced(after: int) -> list[Any]:
    query = sa.select(_history).where(_history.c.id > after, _history.c.overwritten.is_not(None))
    return list(op.get_bind().execute(query.order_by(_history.c.id).limit(AT_ONCE)))
