"""Many rows in one statement. SQLAlchemy's way takes a round trip per row on MariaDB and on PostgreSQL's updates.

SQLite has no round trips: there the driver runs one statement over all rows. The servers are given all rows as
one JSON parameter and take it apart themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import JSON, Column, Connection, Dialect, Engine, Integer, Table

from db.collation import collation_of
from db.types import MARIADB, UTCDateTime

Row = dict[str, Any]
PARAMETER: Final = 4 << 20  # bytes of JSON per statement; MariaDB takes packets of 16 MiB unless told otherwise
MANY: Final = 1000  # rows per statement


def insert_many(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, which may have different columns."""
    for names, some in _shapes(rows):
        if connection.dialect.name == "postgresql":
            _run(connection, _insert_of_json(table, names, connection.dialect), table, names, some)
        else:  # MariaDB's driver makes one statement of many rows by itself
            values = [tuple(row) for row in _bound(connection.dialect, table, names, some)]
            connection.exec_driver_sql(_insert(table, names, connection.dialect), values)


def update_many(connection: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Update the row that has the values of `keys` (prefixed with "old_" where the row changes them itself).

    Returns how many rows were found, changed or not.
    """
    found = 0
    for names, some in _shapes(rows):
        if connection.dialect.name == "sqlite":
            found += _update_each(connection, table, keys, names, some)
        else:
            statement = _update_of_json(table, keys, names, connection)
            found += _run(connection, statement, table, names, some)
    return found


def _shapes(rows: Iterable[Row]) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """The rows by the columns that they have."""
    shapes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        shapes.setdefault(tuple(row), []).append(row)
    yield from shapes.items()


def _bound(dialect: Dialect, table: Table, names: Sequence[str], rows: Iterable[Row]) -> Iterator[list[Any]]:
    """The values as the driver wants them."""
    plan = [(name, _processor(dialect, column_of(table, name))) for name in names]
    for row in rows:
        yield [row[name] if to is None else to(row[name]) for name, to in plan]


def _processor(dialect: Dialect, column: Column[Any]) -> Any:
    if dialect.name == "postgresql" and isinstance(column.type, JSON):
        return None  # it goes into the JSON parameter as it is
    process = column.type.dialect_impl(dialect).bind_processor(dialect)
    return _once(process) if process and isinstance(column.type, UTCDateTime) else process


def _once(process: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Most times of a batch are one and the same object. It stays alive as long as its rows."""
    known: dict[int, Any] = {}

    def processed(value: Any) -> Any:
        if (found := known.get(id(value))) is None:
            found = known[id(value)] = process(value)
        return found

    return processed


def column_of(table: Table, name: str) -> Column[Any]:
    """The column that a value is for, or is compared with."""
    return table.c[name.removeprefix("old_")]


# --- SQLite ------------------------------------------------------------------------------------------


def _update_each(
    connection: Connection, table: Table, keys: tuple[str, ...], names: tuple[str, ...], rows: Sequence[Row]
) -> int:
    order = (*(n for n in names if n not in keys), *keys)
    values = [tuple(row) for row in _bound(connection.dialect, table, order, rows)]
    return connection.exec_driver_sql(_update(table, keys, names), values).rowcount


def _update(table: Table, keys: tuple[str, ...], names: tuple[str, ...]) -> str:
    changes = ", ".join(f'"{n}" = ?' for n in names if n not in keys)
    return f"UPDATE {table.name} SET {changes} WHERE " + " AND ".join(f'"{_name(k)}" = ?' for k in keys)


def _insert(table: Table, names: tuple[str, ...], dialect: Dialect) -> str:
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    columns = ", ".join(map(dialect.identifier_preparer.quote, names))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join([mark] * len(names))})"


def _name(key: str) -> str:
    return key.removeprefix("old_")


# --- servers -----------------------------------------------------------------------------------------


def _run(connection: Connection, statement: str, table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> int:
    return sum(
        connection.exec_driver_sql(statement, (parameter,)).rowcount
        for parameter in _parameters(connection.dialect, table, names, rows)
    )


def _parameters(dialect: Dialect, table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> Iterator[str]:
    """The rows as JSON arrays of objects, none too long."""
    some: list[bytes] = []
    size = 0
    for values in _bound(dialect, table, names, rows):
        encoded = msgspec.json.encode(dict(zip(names, map(_plain, values), strict=True)))
        if some and (len(some) == MANY or size + len(encoded) > PARAMETER):
            yield _array(some)
            some, size = [], 0
        some.append(encoded)
        size += len(encoded)
    yield _array(some)


def _array(rows: Iterable[bytes]) -> str:
    return (b"[" + b",".join(rows) + b"]").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return int(value) if isinstance(value, bool) else value


def _insert_of_json(table: Table, names: tuple[str, ...], dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(map(quote, names))
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_recordset(table, names, dialect)}"


def _update_of_json(table: Table, keys: tuple[str, ...], names: tuple[str, ...], connection: Connection) -> str:
    quote = connection.dialect.identifier_preparer.quote
    changed = [n for n in names if n not in keys]
    same = " AND ".join(f"{table.name}.{quote(_name(k))} = v.{quote(k)}" for k in keys)
    if connection.dialect.name in MARIADB:
        changes = ", ".join(f"{table.name}.{quote(n)} = v.{quote(n)}" for n in changed)
        return f"UPDATE {table.name} JOIN {_json_table(table, keys, names, connection)} ON {same} SET {changes}"
    changes = ", ".join(f"{quote(n)} = v.{quote(n)}" for n in changed)
    return f"UPDATE {table.name} SET {changes} FROM {_recordset(table, names, connection.dialect)} WHERE {same}"


def _recordset(table: Table, names: Sequence[str], dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.quote
    typed = ", ".join(f"{quote(n)} {column_of(table, n).type.compile(dialect)}" for n in names)
    return f"json_to_recordset(%s::json) AS v({typed})"


def _json_table(table: Table, keys: tuple[str, ...], names: Sequence[str], connection: Connection) -> str:
    quote = connection.dialect.identifier_preparer.quote
    typed = ((n, _json_type(connection, table, n, key=n in keys)) for n in names)
    columns = ", ".join(f"{quote(n)} {kind} PATH '$.{n}'" for n, kind in typed)
    return f"JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS v"


def _json_type(connection: Connection, table: Table, name: str, *, key: bool) -> str:
    """Text: whether a value fits is for the column itself to say, JSON_TABLE would clamp it without a word."""
    kind = column_of(table, name).type
    if not key:
        return "LONGTEXT"
    if isinstance(kind, Integer):
        return "BIGINT"
    return f"{kind.compile(connection.dialect)} COLLATE {_collation(connection, table.name, _name(name))}"


def _collation(connection: Connection, table: str, column: str) -> str:
    known = _COLLATIONS.setdefault(connection.engine, {})
    if (table, column) not in known:
        known[table, column] = str(collation_of(connection, table, column))
    return known[table, column]


_COLLATIONS: Final[WeakKeyDictionary[Engine, dict[tuple[str, str], str]]] = WeakKeyDictionary()
