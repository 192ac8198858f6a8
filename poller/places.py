"""A process's place at its database: the claim to serve it alone, or one among replicas."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal, Protocol

from sqlalchemy import Engine

from db.replicas import Replica
from db.sole import Sole
from poller.by_locks import ByLocks
from poller.by_members import ByMembers
from poller.ownership import SOLE, Ownership
from poller.shares import SharedOwnership
from vma.observer import Observer

Mode = Literal["single", "database", "tooz"]


class Place(Protocol):
    """`db.sole.Sole`, `db.replicas.Replica` or `poller.by_members.ByMembers`."""

    def take(self) -> None:
        """Take it, unless we have it. SecondProcessError, UnfitForReplicasError."""

    def sign(self, now: datetime) -> None:
        """Leave word of who we are."""

    def check(self) -> bool:
        """True if it is still ours."""

    def release(self) -> None:
        """Give it up."""

    def members(self) -> Collection[str] | None:
        """The ids of the replicas that live by a coordination server; None where there is none, or it is away."""


class Among(Protocol):
    """The settings of a process among others."""

    @property
    def mode(self) -> Mode:
        """How the processes that serve one database share its jobs."""

    @property
    def poll(self) -> bool:
        """False for one that only answers the API."""

    @property
    def coordination_url(self) -> str | None:
        """Of mode tooz."""


def place_of(engine: Engine, observer: Observer, among: Among) -> tuple[Place, Ownership]:
    """The place, not yet taken, and what comes with it. CoordinationUrlError in mode tooz."""
    if among.mode == "single":
        return Sole(engine), SOLE
    if among.mode == "database":
        replica = Replica(engine, observer.id, polls=among.poll)
        return replica, SharedOwnership(ByLocks(replica), observer)
    member = ByMembers(engine, among.coordination_url or "", observer.id, polls=among.poll)
    return member, SharedOwnership(member, observer)
