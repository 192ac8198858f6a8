"""All tables under one roof."""

from typing import Final

from db.oma_tables import CbtHistory, OsseaVolume, ReplicationContext, ReplicationJob, VmDisk
from db.own_tables import (
    Adoption,
    CoordinationGroup,
    EventKey,
    GuardMode,
    JobHistory,
    JobRefusal,
    PollHistory,
    PollingState,
    RecoveryRun,
    ServiceHolder,
    ServiceReplica,
    SpecVersion,
    VmaAppliance,
)
from db.table import Table

METADATA: Final = Table.metadata

__all__ = [
    "METADATA",
    "Adoption",
    "CbtHistory",
    "CoordinationGroup",
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
    "ServiceHolder",
    "ServiceReplica",
    "SpecVersion",
    "VmDisk",
    "VmaAppliance",
]
