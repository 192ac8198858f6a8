"""Statuses of an OMA that are none of this machine's, and the state that each amounts to."""

from typing import Final

from fsm.states import State

FOREIGN: Final[dict[str, State]] = {
    "pending": State.INITIALIZING,
    "analyzing": State.INITIALIZING,
    "provisioning": State.INITIALIZING,
    "snapshotting": State.REPLICATING,
    "finalizing": State.REPLICATING,
    "replication_failed": State.FAILED,
    "cancelled": State.FAILED,
}
