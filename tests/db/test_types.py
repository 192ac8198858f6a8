"""Values come back from every database as they went in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from rows import NOON
from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, func, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from db.engine import write
from db.models import METADATA
from db.types import CUT_MARK, BigInt, Json, UTCDateTime, UTCTimestamp, cut, decimal

EXACT = datetime(2026, 11, 24, 18, 30, 5, 123456, tzinfo=UTC)
INDIA = timezone(timedelta(hours=5, minutes=30))
THINGS = Table(
    "things",
    MetaData(),
    Column("id", BigInt, primary_key=True, autoincrement=True),
    Column("at", UTCDateTime()),
    Column("stamp", UTCTimestamp()),
    Column("doc", Json),
    Column("name", String(191)),
    Column("share", decimal(5, 2)),
    mysql_charset="utf8mb4",
)


@pytest.fixture
def things(engine: Engine) -> Iterator[Connection]:
    with write(engine) as connection:
        THINGS.create(connection)
        yield connection


def back(connection: Connection, column: str, value: Any) -> Any:
    """`value` after a way through the database."""
    connection.execute(insert(THINGS).values(**{column: value}))
    return connection.scalar(select(THINGS.c[column]).order_by(THINGS.c.id.desc()).limit(1))


def test_a_time_keeps_its_microseconds_and_comes_back_in_utc(things: Connection) -> None:
    found = back(things, "at", EXACT)
    assert (found, found.tzinfo) == (EXACT, UTC)


def test_a_time_of_another_zone_is_the_same_moment_in_utc(things: Connection) -> None:
    found = back(things, "at", EXACT.astimezone(INDIA))
    assert (found, found.utcoffset()) == (EXACT, timedelta(0))


def test_a_timestamp_keeps_the_second_and_comes_back_in_utc(things: Connection) -> None:
    found = back(things, "stamp", NOON.astimezone(INDIA))
    assert (found, found.tzinfo) == (NOON, UTC)


@pytest.mark.parametrize("column", ["at", "stamp"])
def test_a_naive_time_is_refused_and_named(things: Connection, column: str) -> None:
    naive = EXACT.replace(tzinfo=None)
    with pytest.raises(StatementError, match=r"naive datetime 2026-11-24T18:30:05\.123456"):
        things.execute(insert(THINGS).values(**{column: naive}))
    with pytest.raises(StatementError, match="naive datetime"):
        things.execute(select(THINGS).where(THINGS.c[column] < naive))


def test_times_are_compared_as_moments_whatever_zone_they_are_given_in(things: Connection) -> None:
    things.execute(insert(THINGS).values(at=EXACT))
    earlier = (EXACT - timedelta(microseconds=1)).astimezone(INDIA)
    count = select(func.count()).select_from(THINGS)
    assert things.scalar(count.where(THINGS.c.at > earlier)) == 1
    assert things.scalar(count.where(THINGS.c.at < earlier)) == 0


@pytest.mark.parametrize("moment", [EXACT, NOON, datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_sqlite_keeps_a_time_as_the_text_that_sqlalchemy_writes(moment: datetime) -> None:
    """Texts are compared as they stand, with those of rows that another release wrote too."""
    ours, theirs = (kind.bind_processor(sqlite.dialect()) for kind in (UTCDateTime(), sqlite.DATETIME()))
    assert ours is not None
    assert theirs is not None
    assert ours(moment) == theirs(moment)


def test_no_time_is_none(things: Connection) -> None:
    assert back(things, "at", None) is None
    assert back(things, "stamp", None) is None


def test_a_document_comes_back_as_it_was(things: Connection) -> None:
    document = {
        "disks": [{"id": "disk-2000", "bytes": 2**53, "share": 0.25}],
        "text": "Größe … 日本 \U0001f5b4",
        "none": None,
    }
    assert back(things, "doc", document) == document


def test_no_document_is_null_to_the_database_too(things: Connection) -> None:
    things.execute(insert(THINGS).values(doc=None))
    assert things.scalar(select(func.count()).select_from(THINGS).where(THINGS.c.doc.is_(None))) == 1


def test_a_decimal_comes_back_as_a_float(things: Connection) -> None:
    found = back(things, "share", 87.25)
    assert (found, type(found)) == (87.25, float)


def test_keys_count_up_by_themselves(things: Connection) -> None:
    for name in ("first", "second"):
        things.execute(insert(THINGS).values(name=name))
    assert things.scalars(select(THINGS.c.id).order_by(THINGS.c.name)).all() == [1, 2]


def test_a_number_of_bytes_has_64_bits(things: Connection) -> None:
    assert back(things, "id", 2**62) == 2**62


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (None, None),
        ("", ""),
        ("exactly 10", "exactly 10"),
        ("eleven long", f"ele{CUT_MARK[:7]}"),
        ("ä" * 99, "äää" + CUT_MARK),
    ],
)
def test_a_text_is_cut_only_if_it_is_too_long_and_says_so(text: str | None, fits: str | None) -> None:
    assert cut(text, 10) == fits


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8])
def test_a_cut_text_always_fits(length: int) -> None:
    assert len(cut("x" * 20, length) or "") == length


def ids_that_differ_in_case(engine: Engine) -> list[str]:
    contexts = METADATA.tables["vm_replication_contexts"]
    with write(engine) as connection:
        for word in ("a", "A"):
            row = {"context_id": f"ctx-{word}", "vmware_vm_id": f"vm-{word}", "vm_name": word, "vcenter_host": "h"}
            connection.execute(insert(contexts).values(**row))
        return list(connection.scalars(select(contexts.c.vmware_vm_id).where(contexts.c.context_id == "ctx-A")))


def test_ids_that_differ_in_case_are_two_ids(migrated: Engine) -> None:
    assert ids_that_differ_in_case(migrated) == ["vm-A"]


def test_ids_that_differ_in_case_are_two_ids_in_tables_made_from_the_models(engine: Engine) -> None:
    with write(engine) as connection:
        METADATA.create_all(connection)
    assert ids_that_differ_in_case(engine) == ["vm-A"]
