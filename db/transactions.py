"""One transaction that writes, tried again when another writer was in the way."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from db.engine import write
from db.errors import GuardRefusedError, LostRaceError
from db.guards import refusal

log = structlog.get_logger(__name__)
T = TypeVar("T")
ATTEMPTS: Final = 3
PAUSE = 0.05  # seconds before a lost transaction is tried again, doubled each time
# Rows that stay held for as long as a statement waits will be held on: the callers have waited enough.
_PASSING: Final = ("deadlock", "database is locked", "could not serialize", "unique", "duplicate")


def transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Do the work in one transaction, at most three times.

    GuardRefusedError, at once, if the database itself refuses what is written; LostRaceError or the driver's error
    of the last try.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return _once(engine, work)
        except (LostRaceError, IntegrityError, OperationalError) as error:
            if not _passing(error):
                raise
            log.info("transaction lost to another writer; trying again", attempt=attempt, why=short(error))
            time.sleep(PAUSE * 2**attempt)
    return _once(engine, work)


def _once(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with write(engine) as connection:
            return work(connection)
    except DBAPIError as error:
        said = refusal(error)
        if said is None:
            raise
        raise GuardRefusedError(said) from error


def _passing(error: Exception) -> bool:
    """True for a collision that another try may survive; a full disk or a lost server is not one."""
    return isinstance(error, LostRaceError) or any(word in short(error).lower() for word in _PASSING)


def short(error: Exception) -> str:
    """What went wrong, as it fits a line of log."""
    return str(error.orig if isinstance(error, DBAPIError) else error)[:200]
