"""The database's own guards: whatever the client, it refuses what the specification does not have."""

from db.guards.installation import Mode, differences, install, lift, mode_of, refusal, require_guardable
from db.guards.rules import DatabaseGuard

__all__ = ["DatabaseGuard", "Mode", "differences", "install", "lift", "mode_of", "refusal", "require_guardable"]
