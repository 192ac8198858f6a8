"""Run by Alembic, with the connection that migrations/runner.py gives it."""

from alembic import context

from db.models import METADATA
from migrations.comparison import COMPARISON

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, **COMPARISON)
with context.begin_transaction():
    context.run_migrations()
