"""The appliances as the poller sees them: somebody to ask, and jobs that wait behind one that does not answer."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fsm.evidence import Evidence
from fsm.facts import JobFacts
from fsm.states import Verdict
from vma.question import Question

SPREAD = 1000  # milliseconds over which the jobs of an appliance that answers again are asked


class Vmas(Protocol):
    """Whoever is asked: `vma.fleet.Fleet`, or a model of it."""

    def paused(self, name: str) -> bool:
        """True if nobody may ask this appliance now."""

    async def ask(self, question: Question) -> Evidence:
        """What the job's appliance says of it. Raises nothing but CancelledError."""

    async def aclose(self) -> None:
        """Close all connections."""


@dataclass(slots=True)
class LastHeard:
    """An appliance as polling last found it. `error`: what was wrong with its last answer, or that none came."""

    at: datetime | None = None
    error: str | None = None

    def note(self, evidence: Evidence) -> None:
        """What the last question came to."""
        self.error = evidence.error if evidence.verdict.is_no_answer else None
        if not evidence.verdict.is_no_answer:
            self.at = evidence.observed_at


class Behind:
    """The jobs whose appliance did not answer when it was last asked about them."""

    def __init__(self) -> None:
        self._jobs: dict[str, set[str]] = {}  # by appliance

    def note(self, facts: JobFacts, evidence: Evidence) -> None:
        """What asking about a job came to."""
        jobs = self._jobs.setdefault(facts.appliance, set())
        (jobs.add if evidence.verdict is Verdict.UNREACHABLE else jobs.discard)(facts.job_id)

    def leave(self, appliance: str) -> Iterator[tuple[str, float]]:
        """Its jobs, which are behind it no longer, each with a delay in seconds: spread over one second."""
        for job_id in self._jobs.pop(appliance, set()):
            yield job_id, zlib.crc32(job_id.encode()) % SPREAD / 1000
