"""From bytes to decision in one call, with what must hold whatever the bytes are."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fsm.decision import Decision
from fsm.evidence import Evidence
from fsm.facts import Asked, Disk, JobFacts
from fsm.machine import decide_on
from fsm.memory import DiskMemory, Memory
from fsm.states import Asker, Ending, State
from vma.composite import compose
from vma.hearing import Hearing
from vma.keys import next_keys
from vma.question import Question
from vma.wire import read
from vma.wire_models import Answer, Reply

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEYS = ("job-1", "migration-vol-a", "migration-vol-b")
JOB = KEYS[0]
OWN_KEY = re.compile(rb'"job_id": ?"(job-1|migration-vol-[ab])"')
A, B = Disk("disk-2000", "a", 100 << 30), Disk("disk-2001", "b", 20 << 30)
STATUSES = (200, 200, 200, 404, 500, 503, 429, 401, 301)
DATE = {"Date": "Mon, 02 Mar 2026 12:00:00 GMT"}
ENDS = {"completed", "succeeded", "failed", "error"}


def _job(state: State, *disks: Disk, **more: Any) -> JobFacts:
    return JobFacts(JOB, state, NOW - HOUR, NOW - HOUR, disks=disks, percent=40.0, bytes_transferred=7, **more)


JOBS = (
    _job(State.REPLICATING, A),
    _job(State.REPLICATING, A, B, memory=Memory(answering_key="job")),
    _job(State.REPLICATING, A, B, memory=Memory(disks=(DiskMemory(A.disk_id, proven=True),))),
    _job(State.READY_FOR_SYNC, A, B),
    _job(State.REPLICATING),
    _job(State.FAILED, A, ending=Ending.INFERRED, watched=True, memory=Memory(ended_from=State.REPLICATING)),
    _job(State.COMPLETED, A, B, ending=Ending.INFERRED, watched=True, memory=Memory(ended_from=State.REPLICATING)),
)


@dataclass(frozen=True)
class Heard:
    """Status and body of the replies under the job's id and its exports, and which of `JOBS` was asked about.

    A single reply is what is said under every key, each time as if of that key.
    """

    job: int
    replies: tuple[tuple[int, bytes], ...]

    def answers(self) -> dict[str, Answer]:
        """The answers, asked for as a client asks."""
        question, answers = Question.of(JOBS[self.job]), dict[str, Answer]()
        while keys := next_keys(Hearing(question, answers, NOW)):
            for key in keys:
                status, body = self._reply(key)
                headers = DATE | {"Retry-After": "7"} if status == 429 else DATE
                answers[key] = read(key, Reply(status, headers, body))
        return answers

    def _reply(self, key: str) -> tuple[int, bytes]:
        if len(self.replies) > 1:
            return self.replies[KEYS.index(key)]
        status, body = self.replies[0]
        return status, OWN_KEY.sub(b'"job_id":"' + key.encode() + b'"', body)


def decide_and_check(heard: Heard) -> Decision:
    """Read, weigh and decide; AssertionError if anything came of it that must not."""
    before, answers = JOBS[heard.job], heard.answers()
    evidence = compose(Hearing(Question.of(before), answers, NOW), observer="us", uptime=99.0)
    decision = decide_on(before, evidence, NOW, asked=Asked(Asker.POLL))
    assert decision.outcome.accepted, decision.says
    _numbers(evidence)
    _texts(evidence)
    after = decision.after
    assert 0.0 <= after.percent <= 100.0
    assert 0 <= after.bytes_transferred <= max(after.total_bytes, before.bytes_transferred)
    if not evidence.verdict.knows_the_job:
        assert (after.percent, after.bytes_transferred) == (before.percent, before.bytes_transferred), "wiped"
    if not any(states_an_end(status, body) for status, body in heard.replies):
        assert after.ending is None or after == before or after.ending is before.ending, "an end that nobody stated"
    return decision


def states_an_end(status: int, body: bytes) -> bool:
    """True if this is a whole answer about one of our keys whose status word is one of an end."""
    try:
        said = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    if status != 200 or not isinstance(said, dict) or said.get("job_id") not in KEYS:
        return False
    word = said.get("status")
    return isinstance(word, str) and " ".join(word.split()).casefold() in ENDS


def _numbers(evidence: Evidence) -> None:
    counts = [evidence.bytes_transferred, evidence.total_bytes, evidence.eta_seconds]
    counts += [n for d in evidence.disks for n in (d.bytes_transferred, d.total_bytes)]
    assert all(n is None or n >= 0 for n in counts)
    assert all(p is None or 0 <= p <= 100 for p in (evidence.percent, *(d.percent for d in evidence.disks)))
    assert evidence.throughput_mib_s is None or 0 <= evidence.throughput_mib_s < float("inf")


def _texts(evidence: Evidence) -> None:
    texts = [evidence.phase, evidence.operation, evidence.sync_type, evidence.error, evidence.body]
    texts += [*evidence.words, *evidence.warnings, *(d.disk_id for d in evidence.disks)]
    assert all(t is None or (t.isprintable() and len(t) <= 15_000) for t in texts)
