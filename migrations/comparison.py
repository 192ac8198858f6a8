"""How models and database are compared, by the drift check and by a draft alike."""

from typing import Any, Final

from db.models import METADATA

# Not Alembic's default name: a service that shares the database may have that one.
VERSION_TABLE: Final = "oma_fsm_alembic_version"
_ZEROS: Final = {"0", "'0'", "0.00", "'0.00'", "false"}


def _ours(name: str | None, kind: str, _parents: Any) -> bool:
    """An OMA database has other tables too; they are none of our business."""
    return kind != "table" or name in METADATA.tables


def _default_differs(*compared: Any) -> bool | None:
    """None leaves it to Alembic, which does not know how many ways MariaDB has to write zero."""
    inspected, rendered = compared[3], compared[5]
    return False if {inspected, rendered} <= _ZEROS else None


COMPARISON: Final[dict[str, Any]] = {
    "compare_type": True,
    "compare_server_default": _default_differs,
    "include_name": _ours,
    "version_table": VERSION_TABLE,
}
