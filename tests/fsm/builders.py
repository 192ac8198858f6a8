"""Jobs, answers and whole stories for the tests of the rules. Ages are written as an operator writes them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from fsm.decision import Decision
from fsm.evidence import DiskEvidence, Evidence
from fsm.facts import Asked, Disk, JobFacts, VmFacts
from fsm.machine import decide
from fsm.memory import Memory, remember
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import Asker, Ending, Event, State, Verdict, event_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GIB = 1 << 30
SIZE = 1000  # bytes of the usual disk: a tenth of a percent is one byte

OPERATOR = Asked(Asker.OPERATOR, "anna", "looked at it on the VMA")
WORKFLOW = Asked(Asker.WORKFLOW, None, "the workflow gave up")
ONE_DISK = (Disk("disk-2000", "vol-a", SIZE),)
TWO_DISKS = (Disk("disk-2000", "vol-a", SIZE), Disk("disk-2001", "vol-b", SIZE))
NO_VOLUME = (Disk("disk-2000", None, SIZE),)

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def span(written: str | float) -> timedelta:
    """'4:59' is minutes and seconds; '30s', '2m', '3h', '1d'; a bare number is seconds."""
    if not isinstance(written, str):
        return timedelta(seconds=written)
    if ":" in written:
        minutes, seconds = written.split(":")
        return timedelta(minutes=int(minutes), seconds=float(seconds))
    unit = _UNITS.get(written[-1])
    return timedelta(seconds=float(written)) if unit is None else timedelta(seconds=float(written[:-1]) * unit)


@dataclass(frozen=True, slots=True)
class Observer:
    """One process run of ours: a name and when it started."""

    name: str = "run-1"
    started_at: datetime = NOW - timedelta(days=10)

    def uptime(self, at: datetime) -> float:
        """Seconds it has been up, by its monotonic clock."""
        return (at - self.started_at).total_seconds()


LONG_UP = Observer()


def job(
    state: State | str = State.REPLICATING,
    *,
    now: datetime = NOW,
    entered: str | float = "1d",
    created: str | float | None = None,
    heard: str | float | None = None,
    polling: str | float | None = None,
    memory: Memory | None = None,
    **more: Any,
) -> JobFacts:
    """A job with one disk of 1000 bytes; the ages count back from `now`."""
    disks = more.pop("disks", ONE_DISK)
    percent = more.pop("percent", 0.0)
    ending = more.pop("ending", None)
    return JobFacts(
        "job-20260302-110000.123-a1b2c3",
        State(state),
        created_at=now - span(entered if created is None else created),
        entered_at=now - span(entered),
        ending=None if ending is None else Ending(ending),
        heard_at=None if heard is None else now - span(heard),
        polling_since=now - span(entered if polling is None else polling),
        disks=disks,
        percent=percent,
        bytes_transferred=more.pop("bytes_transferred", int(percent * SIZE / 100)),
        total_bytes=more.pop("total_bytes", SIZE),
        memory=memory or Memory(),
        **more,
    )


def ended(state: State | str, ending: str = "inferred", *, watched: bool | None = None, **more: Any) -> JobFacts:
    """A job that is over; an inferred end is under watch unless told otherwise."""
    came_from = more.pop("ended_from", State.REPLICATING)
    answered = more.pop("watched_seconds", 0.0)
    memory = more.pop("memory", Memory(ended_from=State(came_from), watched_seconds=answered))
    watch = ending == "inferred" if watched is None else watched
    return job(state, ending=ending, watched=watch, memory=memory, **more)


def disk(disk_id: str = "disk-2000", verdict: Verdict = Verdict.RUNNING, **more: Any) -> DiskEvidence:
    """What an answer says of one disk."""
    return DiskEvidence(disk_id, verdict, **more)


def answer(
    verdict: Verdict | str,
    at: datetime = NOW,
    observer: Observer = LONG_UP,
    *,
    percent: float | None = None,
    **more: Any,
) -> Evidence:
    """An answer; `percent` becomes bytes of the one disk of 1000 bytes."""
    told = Verdict(verdict)
    if percent is not None:
        done = round(percent * SIZE / 100)
        one = disk(verdict=told, bytes_transferred=done, total_bytes=SIZE, unfinished=more.pop("unfinished", False))
        more = {"disks": (one,), "bytes_transferred": done, "total_bytes": SIZE, "percent": percent} | more
    return Evidence(told, at, observer.name, observer.uptime(at), **more)


@dataclass
class Story:
    """One job played through answers and events at given times. Nothing is mocked: `decide` is asked and followed."""

    facts: JobFacts
    now: datetime = NOW
    observer: Observer = LONG_UP
    policy: RecoveryPolicy = DEFAULT_POLICY
    decisions: list[Decision] = field(default_factory=list)

    def wait(self, time: str | float) -> "Story":
        """Let time pass."""
        self.now += span(time)
        return self

    def restart(self, downtime: str | float = 0) -> "Story":
        """Our process dies, and a new one starts after `downtime`."""
        self.wait(downtime)
        self.observer = Observer(f"run-{self.now.isoformat()}", self.now)
        return self

    def hear(self, verdict: Verdict | str, *, asked: Asked | None = None, **evidence: Any) -> Decision:
        """The VMA is asked, now."""
        told = answer(verdict, self.now, self.observer, **evidence)
        return self.follow(decide(self.facts, event_of(told.verdict), told, self.now, asked=asked, policy=self.policy))

    def hear_often(self, verdict: Verdict | str, times: int, every: str | float = 5, **evidence: Any) -> Decision:
        """The same answer again and again, `every` so long."""
        decision = self.hear(verdict, **evidence)
        for _ in range(times - 1):
            decision = self.wait(every).hear(verdict, **evidence)
        return decision

    def ask(self, event: Event | str, asked: Asked = WORKFLOW, vm: VmFacts | None = None) -> Decision:
        """Somebody fires an event that needs no answer of the VMA."""
        return self.follow(decide(self.facts, Event(event), None, self.now, asked=asked, policy=self.policy, vm=vm))

    def take_vm(self) -> "Story":
        """A newer job of the VM appears."""
        self.facts = replace(self.facts, vm_taken=True)
        return self

    @property
    def moves(self) -> list[Decision]:
        """The decisions that were transitions."""
        return [d for d in self.decisions if d.moved]

    def follow(self, decision: Decision) -> Decision:
        """Take a decision over into the job."""
        self.decisions.append(decision)
        self.facts = decision.after
        return decision


def names(found: Iterable[Any]) -> list[str]:
    """Names of guards or verdicts."""
    return [f.name for f in found]


def hear(
    memory: Memory, *said: str, every: float = 5, observer: Observer = LONG_UP, setup: bool = False, **ev: Any
) -> Memory:
    """The memory after like-spaced answers, the last of them now."""
    for n, verdict in enumerate(said):
        at = NOW - timedelta(seconds=every * (len(said) - 1 - n))
        memory = remember(memory, answer(verdict, at, observer, **ev), setup=setup)
    return memory
