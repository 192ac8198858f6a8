"""All tables under one roof."""

from typing import Final

from db.oma_tables import CbtHistory, OsseaVolume, ReplicationContext, ReplicationJob, VmDisk
from db.own_tables import (
    EventKey,
    GuardMode,
    JobHistory,
    JobRefusal,
    PollHistory,
    PollingState,
    RecoveryRun,
    SpecVersion,
)
from db.table import Table

METADATA: Final = Table.metadata

__all__ = [
    "METADATA",
    "CbtHistory",
    "EventKey",
    "GuardMode",
    "JobHistory",
    "JobRefusal",
    "OsseaVolume",
    "PollHistory",
    "PollingState",
    "RecoveryRun",
    "ReplicationContext",
    "ReplicationJob",
    "SpecVersion",
    "VmDisk",
]
