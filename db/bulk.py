"""Many rows in one statement. SQLAlchemy's way takes a round trip per row on MariaDB and on PostgreSQL's updates.

SQLite has no round trips: there the driver runs one statement over all rows. The servers are given all rows as
one JSON parameter and take it apart themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import JSON, Boolean, Column, Connection, Dialect, Engine, Integer, Table

from db.collation import collation_of
from db.types import MARIADB, UTCDateTime

Row = dict[str, Any]
T = TypeVar("T")
PARAMETER: Final = 4 << 20  # bytes of JSON per statement; MariaDB takes packets of 16 MiB unless told otherwise
MANY: Final = 1000  # rows per statement


class Shape(NamedTuple):
    """Rows alike: a table, the columns by which rows are found, and all columns that the rows have."""

    table: Table
    keys: tuple[str, ...]
    names: tuple[str, ...]


def insert_many(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, which may have different columns."""
    for shape, some in _shapes(table, (), rows):
        if connection.dialect.name == "postgresql":
            _run(connection, _made(connection, _insert_of_json, shape), shape, some)
        else:  # MariaDB's driver makes one statement of many rows by itself
            connection.exec_driver_sql(_made(connection, _insert, shape), _bound(connection, shape, some))


def update_many(connection: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Update the row that has the values of `keys` (prefixed with "old_" where the row changes them itself).

    Returns how many rows were found, changed or not.
    """
    found = 0
    for shape, some in _shapes(table, keys, rows):
        if connection.dialect.name == "sqlite":
            found += _update_each(connection, shape, some)
        else:
            found += _run(connection, _made(connection, _update_of_json, shape), shape, some)
    return found


def _shapes(table: Table, keys: tuple[str, ...], rows: Iterable[Row]) -> Iterator[tuple[Shape, list[Row]]]:
    """The rows by the columns that they have."""
    shapes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        shapes.setdefault(tuple(row), []).append(row)
    for names, some in shapes.items():
        yield Shape(table, keys, names), some


def _made(connection: Connection, make: Callable[[Connection, Shape], T], shape: Shape) -> T:
    """What `make` makes for rows of this shape: once per engine, for it costs more than a statement of one row."""
    known = _MADE.setdefault(connection.engine, {})
    if (make, shape) not in known:
        known[make, shape] = make(connection, shape)
    return known[make, shape]  # type: ignore[no-any-return]


_MADE: Final[WeakKeyDictionary[Engine, dict[Any, Any]]] = WeakKeyDictionary()

# --- values as the driver wants them -----------------------------------------------------------------


class _Bind(NamedTuple):
    """How the values of one column are bound; `times`: most of a batch are one and the same object."""

    name: str
    to: Callable[[Any], Any] | None
    times: bool


def _bound(connection: Connection, shape: Shape, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """The values of the rows, column by column, for that is what Python is quick at."""
    columns = (_column(bind, rows) for bind in _made(connection, _binds, shape))
    return list(zip(*columns, strict=True))


def _column(bind: _Bind, rows: Sequence[Row]) -> list[Any]:
    name, to, times = bind
    values = [row[name] for row in rows]
    if to is None:
        return values
    if not times:
        return [to(value) for value in values]
    known = {id(value): to(value) for value in {id(value): value for value in values}.values()}
    return [known[id(value)] for value in values]


def _binds(connection: Connection, shape: Shape) -> list[_Bind]:
    return [_bind(connection.dialect, name, column_of(shape.table, name)) for name in shape.names]


def _bind(dialect: Dialect, name: str, column: Column[Any]) -> _Bind:
    to = column.type.dialect_impl(dialect).bind_processor(dialect)
    return _Bind(name, to, isinstance(column.type, UTCDateTime))


def column_of(table: Table, name: str) -> Column[Any]:
    """The column that a value is for, or is compared with."""
    return table.c[_name(name)]


def _name(key: str) -> str:
    return key.removeprefix("old_")


# --- SQLite ------------------------------------------------------------------------------------------


def _update_each(connection: Connection, shape: Shape, rows: Sequence[Row]) -> int:
    table, keys, names = shape
    ordered = Shape(table, keys, (*(n for n in names if n not in keys), *keys))
    return connection.exec_driver_sql(_made(connection, _update, ordered), _bound(connection, ordered, rows)).rowcount


def _update(_connection: Connection, shape: Shape) -> str:
    table, keys, names = shape
    changes = ", ".join(f'"{n}" = ?' for n in names if n not in keys)
    return f"UPDATE {table.name} SET {changes} WHERE " + " AND ".join(f'"{_name(k)}" = ?' for k in keys)


def _insert(connection: Connection, shape: Shape) -> str:
    dialect = connection.dialect
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    columns = ", ".join(map(dialect.identifier_preparer.quote, shape.names))
    return f"INSERT INTO {shape.table.name} ({columns}) VALUES ({', '.join([mark] * len(shape.names))})"


# --- servers -----------------------------------------------------------------------------------------


def _run(connection: Connection, statement: str, shape: Shape, rows: Sequence[Row]) -> int:
    parameters = _parameters(_plain(connection, shape, rows))
    return sum(connection.exec_driver_sql(statement, (parameter,)).rowcount for parameter in parameters)


def _parameters(rows: Iterable[Row]) -> Iterator[str]:
    """The rows as JSON arrays of objects, none too long."""
    some: list[bytes] = []
    size = 0
    for row in rows:
        encoded = msgspec.json.encode(row)
        if some and (len(some) == MANY or size + len(encoded) > PARAMETER):
            yield _array(some)
            some, size = [], 0
        some.append(encoded)
        size += len(encoded)
    yield _array(some)


def _array(rows: Iterable[bytes]) -> str:
    return (b"[" + b",".join(rows) + b"]").decode()


def _plain(connection: Connection, shape: Shape, rows: Sequence[Row]) -> Iterator[Row]:
    """The rows as JSON has them."""
    columns = [_column(bind, rows) for bind in _made(connection, _json_binds, shape)]
    return (dict(zip(shape.names, values, strict=True)) for values in zip(*columns, strict=True))


def _json_binds(connection: Connection, shape: Shape) -> list[_Bind]:
    return [
        _json_bind(connection.dialect, bind, column_of(shape.table, bind.name)) for bind in _binds(connection, shape)
    ]


def _json_bind(dialect: Dialect, bind: _Bind, column: Column[Any]) -> _Bind:
    if dialect.name == "postgresql" and isinstance(column.type, JSON):
        return bind._replace(to=None)  # it goes into the parameter as it is
    if bind.times:
        return bind._replace(to=partial(_time, bind.to))
    return bind._replace(to=_number) if isinstance(column.type, Boolean) else bind


def _time(to: Callable[[Any], Any] | None, value: datetime | None) -> str | None:
    bound = to(value) if to else value
    return None if bound is None else bound.isoformat(" ")


def _number(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _insert_of_json(connection: Connection, shape: Shape) -> str:
    columns = ", ".join(map(connection.dialect.identifier_preparer.quote, shape.names))
    rows = _recordset(connection.dialect, shape)
    return f"INSERT INTO {shape.table.name} ({columns}) SELECT {columns} FROM {rows}"


def _update_of_json(connection: Connection, shape: Shape) -> str:
    table, keys, names = shape
    quote = connection.dialect.identifier_preparer.quote
    changed = [n for n in names if n not in keys]
    same = " AND ".join(f"{table.name}.{quote(_name(k))} = v.{quote(k)}" for k in keys)
    if connection.dialect.name in MARIADB:
        changes = ", ".join(f"{table.name}.{quote(n)} = v.{quote(n)}" for n in changed)
        # Going through the table, as it likes to if that is small, it would wait for rows that it does not want.
        by_key = " FORCE INDEX (PRIMARY)" if set(table.primary_key.columns.keys()) <= set(map(_name, keys)) else ""
        return f"UPDATE {_json_table(connection, shape)} STRAIGHT_JOIN {table.name}{by_key} ON {same} SET {changes}"
    changes = ", ".join(f"{quote(n)} = v.{quote(n)}" for n in changed)
    return f"UPDATE {table.name} SET {changes} FROM {_recordset(connection.dialect, shape)} WHERE {same}"


def _recordset(dialect: Dialect, shape: Shape) -> str:
    quote = dialect.identifier_preparer.quote
    typed = ", ".join(f"{quote(n)} {column_of(shape.table, n).type.compile(dialect)}" for n in shape.names)
    return f"json_to_recordset(%s::json) AS v({typed})"


def _json_table(connection: Connection, shape: Shape) -> str:
    quote = connection.dialect.identifier_preparer.quote
    typed = ((n, _json_type(connection, shape.table, n, key=n in shape.keys)) for n in shape.names)
    columns = ", ".join(f"{quote(n)} {kind} PATH '$.{n}'" for n, kind in typed)
    return f"JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS v"


def _json_type(connection: Connection, table: Table, name: str, *, key: bool) -> str:
    """Text: whether a value fits is for the column itself to say, JSON_TABLE would clamp it without a word."""
    kind = column_of(table, name).type
    if not key:
        return "LONGTEXT"
    if isinstance(kind, Integer):
        return "BIGINT"
    return f"{kind.compile(connection.dialect)} COLLATE {collation_of(connection, table.name, _name(name))}"
