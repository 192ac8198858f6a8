"""Which jobs are this process's to ask about. Ownership saves questions; it does not make writes correct."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol


class CoordinationAwayError(Exception):
    """The coordination server does not say who lives. `reason` is what the last call ended with, if any did."""

    def __init__(self, where: str, why: str, reason: str) -> None:
        super().__init__(
            f"{where}: {why}" + (f"; the last try ended with: {reason}" if reason not in ("", why) else "")
        )
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Change:
    """Which shares were gained and lost at a look, and how many are held after it."""

    gained: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    held: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """The shares that are ours, and those that are others'."""

    mine: frozenset[int] = frozenset()
    others: frozenset[int] = frozenset()


class Member(Protocol):
    """A replica among others, however they find each other. Its methods block."""

    @property
    def polls(self) -> bool:
        """False for a replica that only answers the API."""

    @property
    def trust(self) -> float:
        """Seconds after a look was begun for which what it showed is true: less than until others take our shares."""

    def hold(self) -> Held:
        """Show that we live, take and give shares.

        CoordinationAwayError if nobody can know who lives; any other error means that all shares are lost.
        """

    def take(self) -> None:
        """Take our place, unless we have it. SecondProcessError, UnfitForReplicasError."""

    def sign(self, now: datetime, shares: int = 0) -> None:
        """Leave word of who we are and how much we hold, for people."""

    def release(self) -> None:
        """Leave: the others share out what we held."""

    def living(self) -> Collection[str]:
        """The ids of the replicas that live, ours among them."""


class Ownership(Protocol):
    """Whether this process serves alone, or is one of several replicas."""

    @property
    def shared(self) -> bool:
        """True if there may be other replicas: then `look` must be called every second."""

    @property
    def polls(self) -> bool:
        """False for a replica that only answers the API."""

    def owns(self, job_id: str) -> bool:
        """True while the job is ours to ask about."""

    def elsewhere(self, job_id: str) -> bool:
        """True if another replica owned the job when we last looked."""

    async def look(self) -> Change:
        """Confirm, take and give shares. Never raises what another look may mend."""

    async def leave(self) -> None:
        """Let others have all that is ours."""

    def living(self) -> Collection[str]:
        """The ids of all replicas that live, ours among them; asks the database."""


class SoleOwnership:
    """All jobs are ours: no other process serves the database."""

    shared = False
    polls = True

    def owns(self, job_id: str) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def elsewhere(self, job_id: str) -> bool:  # noqa: ARG002
        """Never."""
        return False

    async def look(self) -> Change:
        """Nothing ever changes."""
        return Change()

    async def leave(self) -> None:
        """There is nobody to leave anything to."""

    def living(self) -> Collection[str]:
        """Nobody else can have an open run."""
        return ()


SOLE: Final = SoleOwnership()
