"""What was heard about a job, on its way into the store."""

from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from db.load import PollingRow
from fsm.clock import ClockStep
from fsm.evidence import Evidence
from fsm.facts import Asked


class Answer(Struct, frozen=True, gc=False):
    """What the VMA said of a job, and the version of the job it was asked for.

    `polls`: how many answers had been applied then. With it, an answer is dropped if another observer's came between.
    """

    job_id: str
    version: int
    evidence: Evidence
    asked: Asked
    polls: int | None = None

    def known_at(self, steps: tuple[ClockStep, ...]) -> Self:
        """The answer as it is to be judged by a clock that was set by all these steps since its observer started."""
        if self.evidence.steps == steps:
            return self
        return replace(self, evidence=replace(self.evidence, steps=steps))

    def overtaken(self, polling: PollingRow | None) -> bool:
        """True if another observer's answer was applied since this one was asked for."""
        if polling is None or self.polls is None or polling.polled_by == self.evidence.observer:
            return False
        return polling.total_polls != self.polls
