"""Steps that can be taken twice.

MariaDB commits at every step, so a migration that was killed is run again from its start; and an OMA may
have made a table or a column itself. What is there already is left alone.

Columns are added and dropped in place on SQLite too: Alembic's batch mode drops the old table, and with
foreign keys on that deletes the rows of every table that refers to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from db.collation import collation_of

JOBS: Final = "replication_jobs"


def has_table(table: str) -> bool:
    """True if the table is there."""
    return sa.inspect(op.get_bind()).has_table(table)


def columns(table: str) -> set[str]:
    """The names of a table's columns."""
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def create_table(table: str, *items: sa.schema.SchemaItem) -> None:
    """Create a table. On MariaDB text is compared as in the jobs table, or no key could refer to it."""
    if not has_table(table):
        op.create_table(table, *items, **_options())


def drop_tables(*tables: str) -> None:
    """Drop tables in the order given."""
    for table in tables:
        if has_table(table):
            op.drop_table(table)


def add_columns(table: str, *added: sa.Column[Any]) -> None:
    """Add columns to a table with rows."""
    present = columns(table)
    for column in added:
        if column.name not in present:
            op.add_column(table, column)


def drop_columns(table: str, *names: str) -> None:
    """Drop columns; their indexes must be gone."""
    present = columns(table)
    for name in names:
        if name in present:
            op.drop_column(table, name)


def create_index(table: str, *indexed: str, prefix: Mapping[str, int] | None = None) -> None:
    """Index columns, unless an index on just these is there by whatever name. `prefix`: lengths on MariaDB."""
    if any(index["column_names"] == list(indexed) for index in _indexes(table)):
        return
    lengths: dict[str, Any] = {f"{dialect}_length": prefix for dialect in ("mysql", "mariadb")} if prefix else {}
    op.create_index(index_name(table, *indexed), table, list(indexed), **lengths)


def drop_index(table: str, *indexed: str) -> None:
    """Drop an index of ours."""
    name = index_name(table, *indexed)
    if any(index["name"] == name for index in _indexes(table)):
        op.drop_index(name, table_name=table)


def create_foreign_key(table: str, column: str, target: str, *, ondelete: str) -> None:
    """Add a key to a table that is there, unless the column has one. Not for SQLite."""
    keys = sa.inspect(op.get_bind()).get_foreign_keys(table)
    if not any(key["constrained_columns"] == [column] for key in keys):
        target_table, _, target_column = target.partition(".")
        op.create_foreign_key(None, table, target_table, [column], [target_column], ondelete=ondelete)


def has_own_foreign_key(table: str, column: str) -> bool:
    """True if there is a key on the column by our name, which an OMA would not have given it."""
    return any(key["name"] == f"fk_{table}_{column}" for key in sa.inspect(op.get_bind()).get_foreign_keys(table))


def drop_foreign_key(table: str, column: str) -> None:
    """Drop a key of ours. Not for SQLite."""
    if has_table(table) and has_own_foreign_key(table, column):
        op.drop_constraint(f"fk_{table}_{column}", table, type_="foreignkey")


def index_name(table: str, *indexed: str) -> str:
    """The name by our convention."""
    return f"ix_{table}_{'_'.join(indexed)}"


def _indexes(table: str) -> Sequence[Any]:
    return sa.inspect(op.get_bind()).get_indexes(table)


def _options() -> dict[str, Any]:
    if op.get_bind().dialect.name not in ("mysql", "mariadb"):
        return {}
    collation = collation_of(op.get_bind(), JOBS, "id")
    own = {"engine": "InnoDB", "collate": collation or "utf8mb4_bin"}
    own["charset"] = own["collate"].partition("_")[0]
    return {f"{op.get_bind().dialect.name}_{option}": value for option, value in own.items()}
