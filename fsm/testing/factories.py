"""Jobs and answers with sensible values where a test does not care."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fsm.decision import Decision
from fsm.evidence import DiskEvidence, Evidence
from fsm.facts import Asked, Disk, JobFacts
from fsm.machine import decide_on
from fsm.memory import Memory
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import ENDED, Asker, Ending, State, Verdict
from fsm.testing.clock import NOW, FrozenClock, Span, span_of

__all__ = ["NOW", "Observer", "make_evidence", "make_job"]

SIZE = 1 << 30  # bytes of the usual disk
_DISKS = (Disk("disk-2000", "volume-1", SIZE),)
_UP = timedelta(days=10)  # how long whoever asks has been up


def make_job(
    state: State | str = State.REPLICATING,
    *,
    now: datetime = NOW,
    age: Span = "1h",
    heard: Span | None = None,
    ending: Ending | str | None = None,
    percent: float | None = None,
    **more: Any,
) -> JobFacts:
    """A job with one disk of 1 GiB that has been in `state` for `age` and was last heard of `heard` ago (None: never).

    An ended job's end is inferred, and under watch, unless `ending` says otherwise; ValueError for an ending of a job
    that has none. `percent` is 100 of a completed job and 0 of any other. `more`: any field of JobFacts; `version=0`
    for a job that is only now to be created.
    """
    told = State(state)
    over = told in ENDED
    if ending and not over:
        msg = f"a job that is {told} has no ending, so none is {ending}"
        raise ValueError(msg)
    how = Ending(ending or Ending.INFERRED) if over else None
    if percent is None:
        percent = 100.0 if told is State.COMPLETED else 0.0
    disks = more.pop("disks", _DISKS)
    total = sum(d.capacity_bytes for d in disks)
    then, heard_at = now - span_of(age), None if heard is None else now - span_of(heard)
    values = {
        "job_id": "job-20260302-110000.123-a1b2c3",
        "state": told,
        "created_at": min(then, heard_at or then),
        "entered_at": then,
        "version": 1,
        "ending": how,
        "watched": how is Ending.INFERRED,
        "heard_at": heard_at,
        "polling_since": then,
        "disks": disks,
        "percent": percent,
        "bytes_transferred": round(total * percent / 100),
        "total_bytes": total,
        "memory": Memory(ended_from=State.REPLICATING if over else None),
    }
    return JobFacts(**(values | more))


def make_evidence(
    verdict: Verdict | str,
    *,
    at: datetime = NOW,
    percent: float | None = None,
    job: JobFacts | None = None,
    observer: str = "run-1",
    uptime: Span = _UP,
    **more: Any,
) -> Evidence:
    """One answer of the VMA. `percent` is how much of every disk of `job` (of 1 GiB, if none is given) is copied.

    A disk short of its total is seen to be so, and an answer that all is completed proves every disk.

    `uptime` is how long the process that asks had been up. `more`: any field of Evidence.
    """
    told = Verdict(verdict)
    if percent is not None:
        more = _progress(told, percent, job.disks if job else _DISKS) | more
    return Evidence(told, at, observer, span_of(uptime).total_seconds(), **more)


def _progress(verdict: Verdict, percent: float, disks: tuple[Disk, ...]) -> dict[str, Any]:
    seen = tuple(_seen(disk, verdict, percent) for disk in disks)
    done, total = sum(d.bytes_transferred or 0 for d in seen), sum(d.total_bytes or 0 for d in seen)
    return {"disks": seen, "bytes_transferred": done, "total_bytes": total, "percent": percent}


def _seen(disk: Disk, verdict: Verdict, percent: float) -> DiskEvidence:
    done, total = round(disk.capacity_bytes * percent / 100), disk.capacity_bytes
    proven = verdict is Verdict.COMPLETED
    return DiskEvidence(disk.disk_id, verdict, proven, done, total, percent, unfinished=not proven and done < total)


@dataclass
class Observer:
    """A process that polls: it hears answers at the times of its clock, and its uptime runs on with it.

    Spans of silence are measured on that uptime, so `restart` starts them anew, as a real restart does.
    """

    clock: FrozenClock = field(default_factory=FrozenClock)
    policy: RecoveryPolicy = DEFAULT_POLICY
    name: str = "run-1"
    started_at: datetime | None = None

    def __post_init__(self) -> None:
        """Up for long, unless told otherwise."""
        self.started_at = self.started_at or self.clock.now - _UP

    def restart(self, downtime: Span = 0) -> "Observer":
        """The process dies; another starts after `downtime`."""
        self.clock.advance(downtime)
        self.name, self.started_at = f"{self.name}'", self.clock.now
        return self

    def evidence(self, verdict: Verdict | str, **more: Any) -> Evidence:
        """What the VMA answers now. `more` as for `make_evidence`."""
        up = self.clock.now - (self.started_at or self.clock.now)
        return make_evidence(verdict, at=self.clock.now, observer=self.name, uptime=up, **more)

    def hear(
        self,
        job: JobFacts,
        verdict: Verdict | str,
        *,
        times: int = 1,
        every: Span = "5s",
        asked: Asked | None = None,
        **more: Any,
    ) -> list[Decision]:
        """The same answer `times` times, the first now and the others `every` so long: all decisions, in order."""
        decisions: list[Decision] = []
        for n in range(times):
            if n:
                self.clock.advance(every)
            before = decisions[-1].after if decisions else job
            evidence = self.evidence(verdict, job=before, **more)
            asked = asked or Asked(Asker.POLL)
            decisions.append(decide_on(before, evidence, self.clock.now, asked=asked, policy=self.policy))
        return decisions
