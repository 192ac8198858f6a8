"""What all tables have in common."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Column, ForeignKey, MetaData, String, Text, false
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from db.types import BigInt, UTCDateTime

NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

# MariaDB's default collations ignore case; two ids that differ in case are two ids.
OPTIONS: Final = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


class Table(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Base of our tables. Their metadata is their own: a service that embeds us may use SQLModel itself."""


def serial() -> Column[int]:
    """A key that counts up."""
    return Column(BigInt, primary_key=True, autoincrement=True)


def job(*, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    """The job that a row belongs to and goes with."""
    key = ForeignKey("replication_jobs.id", ondelete="CASCADE")
    return Column(String(191), key, primary_key=primary_key, nullable=nullable)


def text(length: int | None = None, *, nullable: bool = True) -> Column[str]:
    """Text of at most `length` characters, or of any length."""
    return Column(String(length) if length else Text(), nullable=nullable)


def count(kind: Any = BigInt) -> Column[Any]:
    """A number that starts at 0."""
    return Column(kind, nullable=False, server_default="0")


def flag() -> Column[bool]:
    """False until set."""
    return Column(Boolean, nullable=False, server_default=false())


def time(*, nullable: bool = True) -> Column[datetime]:
    """A point in time, to the microsecond."""
    return Column(UTCDateTime(), nullable=nullable)
