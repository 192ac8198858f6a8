"""A process's place at its database: the claim to serve it alone, or one among replicas."""

from datetime import datetime
from typing import Literal, Protocol

from sqlalchemy import Engine

from db.replicas import Replica
from db.sole import Sole
from poller.ownership import SOLE, Ownership
from poller.shares import SharedOwnership
from vma.observer import Observer

Mode = Literal["single", "database"]


class Place(Protocol):
    """`db.sole.Sole` or `db.replicas.Replica`."""

    def take(self) -> None:
        """Take it, unless we have it. SecondProcessError, UnfitForReplicasError."""

    def sign(self, now: datetime) -> None:
        """Leave word of who we are."""

    def check(self) -> bool:
        """True if it is still ours."""

    def release(self) -> None:
        """Give it up."""


def place_of(engine: Engine, observer: Observer, mode: Mode, *, polls: bool) -> tuple[Place, Ownership]:
    """The place, not yet taken, and what comes with it."""
    if mode == "single":
        return Sole(engine), SOLE
    replica = Replica(engine, observer.id, polls=polls)
    return replica, SharedOwnership(replica, observer)
