"""What a rule may know about a job: one value, read from the database in one go."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import astuple, force_setattr, replace

from fsm.clock import elapsed
from fsm.evidence import Evidence
from fsm.memory import Memory
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import ACTIVE, SETUP, Asker, Ending, State, Verdict

DEFAULT_APPLIANCE = "default"  # that of the settings


class Disk(Struct, frozen=True, gc=False):
    """One disk of a job. `volume_id` is None until the workflow has recorded its volume; capacity in bytes."""

    disk_id: str
    volume_id: str | None = None
    capacity_bytes: int = 0

    @property
    def export_name(self) -> str | None:
        """The NBD export name, which is the disk's own key at the VMA."""
        return None if self.volume_id is None else f"migration-vol-{self.volume_id}"


class JobFacts(Struct, frozen=True, gc=False):
    """A job as stored. Times aware UTC, `percent` 0-100, bytes."""

    job_id: str
    state: State
    created_at: datetime
    entered_at: datetime
    version: int = 1  # counts the transitions; 0: it is only now to be created
    ending: Ending | None = None
    watched: bool = False
    heard_at: datetime | None = None  # last answer in which the VMA knew the job
    polling_since: datetime | None = None
    disks: tuple[Disk, ...] = ()
    percent: float = 0.0
    bytes_transferred: int = 0
    total_bytes: int = 0
    vm_taken: bool = False  # a newer job of the VM exists, in whatever state
    recovery_attempted: bool = False
    recovery_method: str | None = None
    memory: Memory = field(default_factory=Memory)
    appliance: str = DEFAULT_APPLIANCE

    @property
    def active(self) -> bool:
        """True while the job must be polled whatever happens."""
        return self.state in ACTIVE

    @property
    def unborn(self) -> bool:
        """True before it was created."""
        return self.version == 0

    @property
    def in_setup(self) -> bool:
        """True before the copy was started."""
        return self.state in SETUP

    @property
    def polled(self) -> bool:
        """True if somebody must keep asking: active, or an inferred end under watch."""
        return self.active or self.watched

    @property
    def signs_of_life(self) -> tuple[datetime, ...]:
        """Creation, entry into the state, the last answer that knew the job; none need be the latest by the clock."""
        return self.created_at, self.entered_at, self.heard_at or self.created_at


class Asked(Struct, frozen=True, gc=False):
    """Who asks for an event, by name if it is a person, and why."""

    by: Asker = Asker.WORKFLOW
    actor: str | None = None
    reason: str | None = None


class VmFacts(Struct, frozen=True, gc=False):
    """What stands in the way of a new job of the VM; the verdict is that of asking the watched job now."""

    unfinished_job: str | None = None
    watched_job: str | None = None
    watched_verdict: Verdict | None = None


class Situation(Struct, frozen=True, eq=False, gc=False):
    """All that a guard sees. The facts already include what the present evidence added.

    `said` is filled by the guards, so that none is judged twice in one situation.
    """

    facts: JobFacts
    evidence: Evidence | None
    asked: Asked
    now: datetime
    policy: RecoveryPolicy = DEFAULT_POLICY
    vm: VmFacts = VmFacts()
    said: dict[Any, Any] = field(default_factory=dict)  # by guard whether it passes, by (guard,) its verdict

    def __post_init__(self) -> None:
        """A situation that was made from another is judged anew: the copy came with the other's dictionary."""
        force_setattr(self, "said", {})

    def __eq__(self, other: object) -> bool:
        """What the guards said is no part of it."""
        return isinstance(other, Situation) and astuple(self)[:-1] == astuple(other)[:-1]

    __hash__ = None  # type: ignore[assignment]

    def age(self, since: datetime) -> timedelta:
        """Age by the wall clock, without what it was set meanwhile; never negative."""
        return elapsed(since, self.now, self.evidence.steps if self.evidence is not None else ())

    def observed_age(self, since: datetime) -> timedelta:
        """Age counted from the later of `since` and the observer's own start."""
        if self.evidence is None:
            return self.age(since)
        return min(self.age(since), timedelta(seconds=self.evidence.uptime))


def later(situation: Situation, span: timedelta) -> Situation:
    """The same situation when nothing but time has passed."""
    evidence, now = situation.evidence, situation.now + span
    if evidence is not None:
        evidence = replace(evidence, observed_at=now, uptime=evidence.uptime + span.total_seconds())
    return replace(situation, now=now, evidence=evidence)
