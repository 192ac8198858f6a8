"""Putting the guards up, taking them down, and comparing what is there with what the specification wants."""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Final

from sqlalchemy import Connection, Row, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from db.engine import redacted
from db.errors import GuardInstallError, UnguardableError
from db.foreign import FOREIGN
from db.guards import mariadb, postgresql, sqlite
from db.guards.rules import MARK, STATUS_CHECK, DatabaseGuard, Mode, words_of
from db.specs import in_unknown_states
from db.tables import GUARD_MODE

_DIALECTS: Final[Mapping[str, ModuleType]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mysql": mariadb,
    "mariadb": mariadb,
}


def guards_of(dialect: str, mode: Mode) -> tuple[DatabaseGuard, ...]:
    """The guards that a database of SQLAlchemy's dialect name wants."""
    found: tuple[DatabaseGuard, ...] = _DIALECTS[dialect].guards(mode)
    return found


def mode_of(connection: Connection) -> Mode:
    """How the database is guarded, or is to be when its guards are put up again."""
    return Mode(connection.scalar(select(GUARD_MODE.c.mode)) or Mode.STRICT)


def install(connection: Connection, *, adopted: bool | None = None) -> bool:
    """Put the guards up as the specification wants them; False if they are. May be run again after a crash.

    `adopted`: an OMA goes on writing here, or does no more; None leaves that as it is. UnguardableError, before
    anything is changed, for jobs in unknown states unless adopted; GuardInstallError if the database does not let us.
    """
    mode = mode_of(connection) if adopted is None else Mode.ADOPTED if adopted else Mode.STRICT
    if mode is Mode.STRICT:
        require_guardable(connection)
    if adopted is not None:
        connection.execute(delete(GUARD_MODE))
        connection.execute(insert(GUARD_MODE).values(mode=mode.value))
    if not differences(connection):
        return False
    try:
        lift(connection)
        for guard in guards_of(connection.dialect.name, mode):
            _run(connection, guard.make)
    except DBAPIError as error:
        raise GuardInstallError(redacted(connection.engine.url), str(error.orig).strip()) from error
    return True


def lift(connection: Connection) -> bool:
    """Take down whatever goes by a name of ours, of this release or another; False if there is nothing."""
    there = _there(connection)
    for row in there:
        _run(connection, _DIALECTS[connection.dialect.name].drop(row.name, row.tbl))
    return bool(there)


def differences(connection: Connection) -> list[str]:
    """What is missing, changed by somebody, or not wanted; empty if all is as the specification wants it."""
    wanted = {g.name: g.definition for g in guards_of(connection.dialect.name, mode_of(connection))}
    return sorted(_compared(wanted, {row.name: _definition(row) for row in _there(connection)}))


def require_guardable(connection: Connection) -> None:
    """UnguardableError if a job stands in a state that strict guards would not have let in."""
    named, count = in_unknown_states(connection)
    if count:
        raise UnguardableError(named, count, foreign=any(state in FOREIGN for _, state in named))


def refusal(error: Exception) -> str | None:
    """What a guard said, if it is a guard that refused."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return None
    said = str(error.orig.args[-1]).splitlines()[0] if error.orig.args else ""
    if MARK in said:
        return said.partition(MARK)[2]
    return said if STATUS_CHECK in said else None


def _compared(wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in wanted if name not in found)
    yield from (f"{name} is not wanted" for name in found if name not in wanted)
    yield from (
        f"{name} is not as this release makes it" for name in wanted if found.get(name, wanted[name]) != wanted[name]
    )


def _there(connection: Connection) -> list[Row]:  # type: ignore[type-arg]
    return list(connection.execute(text(_DIALECTS[connection.dialect.name].FOUND)))


def _definition(row: Row) -> str:  # type: ignore[type-arg]
    return words_of(row.definition) if row.name == STATUS_CHECK else str(row.definition)


def _run(connection: Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
