"""Which jobs are this process's to ask about. Ownership saves questions; it does not make writes correct."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Change:
    """Which shares were gained and lost at a look, and how many are held after it."""

    gained: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    held: int = 0


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
