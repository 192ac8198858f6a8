"""How MariaDB compares a column. It refuses to compare or to join texts of two collations, and an OMA has its own."""

from typing import Final

from sqlalchemy import Connection, text

_COLLATION: Final = text(
    "SELECT collation_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :column"
)


def collation_of(connection: Connection, table: str, column: str) -> str | None:
    """The collation of a column; None if there is no such column of text. On MariaDB only."""
    found: str | None = connection.scalar(_COLLATION, {"table": table, "column": column})
    return found
