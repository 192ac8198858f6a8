"""Column types that mean the same on SQLite, PostgreSQL and MariaDB."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Numeric
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

MARIADB: Final = ("mysql", "mariadb")  # SQLAlchemy's names for it, after the URL that was given
TEXT: Final = 16_000  # characters that every Text column holds: MariaDB counts 65,535 bytes, up to 4 a character
CUT_MARK: Final = "… [cut]"

BigInt: Final = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only in an INTEGER key
Json: Final = JSON(none_as_null=True)


def encoded(value: Any) -> str:
    """JSON, in a fifth of the standard library's time; a number that is none becomes null."""
    return msgspec.json.encode(value).decode()


def decoded(text: str | bytes) -> Any:
    """A value from JSON. ValueError for anything else."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error


def decimal(digits: int, places: int) -> Numeric[float]:
    """A decimal column that is a float in Python."""
    return Numeric(digits, places, asdecimal=False)


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time: aware UTC in Python, whatever the database keeps.

    Raises ValueError for a naive value. `fsp` is the number of fractional digits that MariaDB keeps; it cuts
    off the rest, the other two always keep microseconds.
    """

    impl = DateTime
    cache_ok = True

    def __init__(self, fsp: int = 6) -> None:
        super().__init__(timezone=True)
        self.fsp = fsp

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MariaDB's own DATETIME drops the fraction unless told."""
        own = mysql.DATETIME(fsp=self.fsp) if dialect.name in MARIADB else DateTime(timezone=True)
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware to what the driver wants."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value.isoformat()}: give it a time zone, or nobody knows when it was")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What the driver gives to aware UTC."""
        if value is None or isinstance(value, str):  # PyMySQL gives 0000-00-00, which is no time, as text
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """On SQLite to text, in a third of the time that SQLAlchemy's own formatting takes."""
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)
        to = self.process_bind_param
        return lambda value: None if (bound := to(value, dialect)) is None else bound.isoformat(" ", "microseconds")


def zone_of(dialect: Dialect) -> ZoneInfo | None:
    """The zone of the OMA's own times; None unless the engine was opened on an adopted database (db/adopted.py)."""
    return getattr(dialect, "oma_fsm_zone", None)


class OmaDateTime(UTCDateTime):
    """A time in a column that an OMA writes too: in an adopted database local and naive, in the zone of its adoption.

    A local time that came twice (clocks set back) is taken for the first. PostgreSQL keeps a time's zone itself.
    """

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(fsp=3)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware to what the OMA expects to read."""
        utc, zone = super().process_bind_param(value, dialect), zone_of(dialect)
        if utc is None or zone is None or utc.tzinfo is not None:
            return utc
        return utc.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        """What the OMA wrote to aware UTC; None for the zero time of its language, which no zone can hold."""
        zone = zone_of(dialect)
        if zone is None or not isinstance(value, datetime) or value.tzinfo is not None:
            return super().process_result_value(value, dialect)
        try:
            return value.replace(tzinfo=zone, fold=0).astimezone(UTC)
        except OverflowError:
            return None


class UTCTimestamp(UTCDateTime):
    """The same in whole seconds on MariaDB, where the OMA uses TIMESTAMP."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(fsp=0)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """TIMESTAMP on MariaDB; the session's time zone is UTC (db/engine.py)."""
        return (
            dialect.type_descriptor(mysql.TIMESTAMP())
            if dialect.name in MARIADB
            else super().load_dialect_impl(dialect)
        )


def cut(text: str | None, length: int) -> str | None:
    """`text` as it fits a column of `length` characters; what was too long ends in a mark."""
    if text is None or len(text) <= length:
        return text
    return text[: max(length - len(CUT_MARK), 0)] + CUT_MARK[:length]
