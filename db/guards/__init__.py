"""The database's own guards: whatever the client, it refuses what the specification does not have."""

from db.guards.installation import differences, guards_of, install, lift, mode_of, refusal, require_guardable
from db.guards.rules import DatabaseGuard, Mode

__all__ = [
    "DatabaseGuard",
    "Mode",
    "differences",
    "guards_of",
    "install",
    "lift",
    "mode_of",
    "refusal",
    "require_guardable",
]
