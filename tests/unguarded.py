"""For tests that need a row as no client could write it: the database's guards go down, and come up again."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from db import guards
from db.engine import write
from db.guards.rules import STATUS_CHECK
from db.specs import in_unknown_states


@contextmanager
def unguarded(engine: Engine) -> Iterator[None]:
    """Whatever is written within. Guards that were up are up again afterwards, whatever the rows are like then."""
    with write(engine) as connection:
        were_up = guards.lift(connection)
    try:
        yield
    finally:
        if were_up:
            with write(engine) as connection:
                _put_up(connection)


def _put_up(connection: Connection) -> None:
    """As `guards.install`, but for the constraint, which cannot be made around a row that breaks it."""
    broken = in_unknown_states(connection)[1]
    for guard in guards.guards_of(connection.dialect.name, guards.mode_of(connection)):
        for statement in guard.make if not (broken and guard.name == STATUS_CHECK) else ():
            connection.exec_driver_sql(statement)
