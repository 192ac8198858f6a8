"""Whether a database was an OMA's before it was ours, and in which zone its own times are."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Engine, inspect, select

from db.engine import read
from db.errors import StoreError
from db.foreign import FOREIGN
from db.tables import ADOPTION
from db.types import zone_of
from fsm.states import State


class UnknownZoneError(StoreError):
    """A name that no time zone goes by on this machine."""

    def __init__(self, zone: str) -> None:
        super().__init__(
            f"no time zone {zone!r} on this machine: expected a name such as Europe/Berlin or UTC"
            " (`timedatectl` on the OMA's host shows its own); if it is right, install the package tzdata"
        )


@dataclass(frozen=True, slots=True)
class Adopted:
    """The adoption of a database. `finished_at` is None while it goes on, or if it was killed."""

    zone: str
    adopted_at: datetime
    finished_at: datetime | None
    counts: dict[str, int]


def zone_named(name: str) -> ZoneInfo:
    """A time zone. UnknownZoneError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a path is a ValueError, a folder's name an OSError
        raise UnknownZoneError(name) from None


def adoption(connection: Connection) -> Adopted | None:
    """The adoption of this database; None for one of our own, or of a schema that does not know of it."""
    if not inspect(connection).has_table(ADOPTION.name):
        return None
    row = connection.execute(select(ADOPTION)).one_or_none()
    return None if row is None else Adopted(row.zone, row.adopted_at, row.finished_at, dict(row.counts or {}))


def learn(engine: Engine) -> None:
    """From here on this engine reads and writes the OMA's times as the OMA does. UnknownZoneError."""
    with read(engine) as connection:
        present = adoption(connection)
    set_zone(engine, None if present is None else zone_named(present.zone))


def set_zone(engine: Engine, zone: ZoneInfo | None) -> None:
    """The zone of the OMA's times; None in a database of our own."""
    engine.dialect.oma_fsm_zone = zone  # type: ignore[attr-defined] # read by db.types.OmaDateTime


def is_adopted(of: Connection | Engine) -> bool:
    """True if an OMA may write to this database beside us."""
    return zone_of(of.dialect) is not None


def state_of(status: str | None) -> State | None:
    """The state that a status of an OMA amounts to; None for one that nobody here has heard of."""
    if status in FOREIGN:
        return FOREIGN[status]
    return State(status) if status in set(State) else None


STATUSES = (*(s.value for s in State), *FOREIGN)


def statuses_of(states: tuple[State, ...]) -> list[str]:
    """All statuses, an OMA's included, that amount to one of these states."""
    return [s for s in STATUSES if state_of(s) in states]
