"""The appliances that jobs may belong to, and what was learned of each. Changed by `oma-fsm appliances`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from db.adopted import statuses_of
from db.errors import ConflictError, NotFoundError
from db.tables import APPLIANCES, JOBS
from fsm.facts import DEFAULT_APPLIANCE
from fsm.states import ACTIVE

_COLUMNS = ("name", "url", "ca_file", "token_file", "cert_file", "key_file", "paused", "in_flight", "generation",
            "heard_at")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Appliance:
    """One appliance as stored. Paths are files on the service's host; `in_flight`: requests at once, as learned."""

    name: str
    url: str
    ca_file: str | None = None
    token_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    paused: bool = False
    in_flight: int = 0
    generation: str | None = None
    heard_at: datetime | None = None


def all_of(connection: Connection) -> list[Appliance]:
    """All appliances, by name."""
    query = select(*(APPLIANCES.c[name] for name in _COLUMNS)).order_by(APPLIANCES.c.name)
    return [Appliance(**row) for row in connection.execute(query).mappings()]


def require(connection: Connection, name: str) -> None:
    """NotFoundError unless jobs may belong to this appliance."""
    if name != DEFAULT_APPLIANCE and not _exists(connection, name):
        raise NotFoundError("appliance", name)


def add(connection: Connection, appliance: Appliance, now: datetime) -> None:
    """Make an appliance known. ConflictError if its name is taken."""
    if appliance.name == DEFAULT_APPLIANCE or _exists(connection, appliance.name):
        raise ConflictError(f"there is an appliance {appliance.name!r} already; remove it first, or give another name")
    connection.execute(insert(APPLIANCES).values(**asdict(appliance), created_at=now, updated_at=now))


def remove(connection: Connection, name: str) -> None:
    """Forget an appliance. NotFoundError; ConflictError while jobs that must be polled belong to it."""
    if name == DEFAULT_APPLIANCE:
        raise ConflictError("the default appliance is that of the settings (OMA_FSM_VMA__URL); it can only be paused")
    if waiting := _polled(connection, name):
        raise ConflictError(
            f"appliance {name!r} is still asked about {_jobs(waiting)}; wait for their ends, or end them by hand first"
        )
    _require_row(connection.execute(delete(APPLIANCES).where(APPLIANCES.c.name == name)).rowcount, name)


def pause(connection: Connection, name: str, now: datetime, *, paused: bool) -> int:
    """Ask nothing of an appliance, or ask again; how many jobs wait for it. NotFoundError."""
    changed = update(APPLIANCES).where(APPLIANCES.c.name == name).values(paused=paused, updated_at=now)
    _require_row(connection.execute(changed).rowcount, name)
    return _polled(connection, name)


def note_default(connection: Connection, url: str, now: datetime) -> None:
    """Keep the address of the settings, so that whoever reads the database knows it."""
    same = APPLIANCES.c.name == DEFAULT_APPLIANCE
    stored = connection.scalar(select(APPLIANCES.c.url).where(same))
    if stored is None:
        connection.execute(insert(APPLIANCES).values(name=DEFAULT_APPLIANCE, url=url, created_at=now, updated_at=now))
    elif stored != url:
        connection.execute(update(APPLIANCES).where(same).values(url=url, generation=None, in_flight=0, updated_at=now))


def learn(connection: Connection, learned: Sequence[Appliance], now: datetime) -> None:
    """Keep what was learned of appliances over a restart; one that was removed meanwhile stays so."""
    for one in learned:
        values: dict[str, Any] = {"in_flight": one.in_flight, "generation": one.generation, "heard_at": one.heard_at}
        connection.execute(update(APPLIANCES).where(APPLIANCES.c.name == one.name).values(**values, updated_at=now))


def _exists(connection: Connection, name: str) -> bool:
    return connection.scalar(select(APPLIANCES.c.name).where(APPLIANCES.c.name == name)) is not None


def _polled(connection: Connection, name: str) -> int:
    must = or_(JOBS.c.status.in_(statuses_of(ACTIVE)), JOBS.c.watched.is_(True))
    return connection.scalar(select(func.count()).select_from(JOBS).where(JOBS.c.appliance == name, must)) or 0


def _require_row(found: int, name: str) -> None:
    if not found:
        raise NotFoundError("appliance", name)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
