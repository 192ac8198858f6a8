"""What an appliance shows of itself by its answers: that it lives, in which shape it speaks, that it forgot."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from fsm.evidence import Evidence
from fsm.states import Verdict
from vma.question import Question
from vma.wire_models import Answer, Generation, Kind

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Heard:
    """Of one appliance, since our start; `generation` may come from an earlier run. Times aware UTC."""

    at: datetime | None = None  # of the last answer that was understood
    generation: Generation | None = None
    forgot_at: datetime | None = None  # when it last did not know a job that it had known
    forgotten: int = 0  # jobs
    refused_since: datetime | None = None  # it turns us away: 401 or 403

    def note(self, appliance: str, question: Question, answers: Iterable[Answer], evidence: Evidence) -> None:
        """Take in what was answered to one question."""
        for answer in answers:
            if answer.kind in (Kind.KNOWN, Kind.NOT_FOUND):
                self.at = evidence.observed_at
            if answer.generation is not None and answer.generation is not self.generation:
                self._speaks(appliance, answer.generation)
        if evidence.refused:
            self._refused(appliance, evidence)
        elif evidence.verdict is not Verdict.UNREACHABLE:  # that takes nothing back, as with the job
            self.refused_since = None
        known, memory = question.memory.answering_key is not None, question.memory
        if evidence.verdict is Verdict.NOT_FOUND and known and memory.not_found is None:
            self._forgot(appliance, question.job_id, evidence.observed_at)

    def _speaks(self, appliance: str, generation: Generation) -> None:
        if self.generation is None:
            log.info("VMA answers in the shape of a generation", appliance=appliance, generation=generation)
        else:
            log.warning("VMA answers in another shape than before: another release, or several behind one address",
                        appliance=appliance, before=self.generation, generation=generation)  # fmt: skip
        self.generation = generation

    def _refused(self, appliance: str, evidence: Evidence) -> None:
        if self.refused_since is None:
            self.refused_since = evidence.observed_at
            log.warning("VMA turns us away; its jobs stay as they are. Look at its token, or at what stands in front"
                        " of it", appliance=appliance, why=evidence.error)  # fmt: skip

    def _forgot(self, appliance: str, job_id: str, at: datetime) -> None:
        """It never drops an entry, so it was restarted; a copy that survived that reports again by itself."""
        self.forgot_at, self.forgotten = at, self.forgotten + 1
        log.warning("VMA forgot a job that it had known: it was restarted. The job is watched before anything is"
                    " concluded", appliance=appliance, job_id=job_id)  # fmt: skip
