"""What the rules remember of a job between two answers. It is stored with the job and survives a kill."""

from datetime import datetime
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from fsm.evidence import DiskEvidence, Evidence, KeyEntry
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import Attention, State, Verdict

# Two answers further apart than this (seconds), and than twice the pace of a watch, do not count as "the VMA answered
# in between".
ANSWERED_GAP = 120.0
_AT_WORK = (Verdict.RUNNING, Verdict.UNSETTLED)  # bytes may move: who says one and the other in turn may still hang


class Streak(Struct, frozen=True, omit_defaults=True, gc=False):
    """Like answers in a row.

    `since` survives a restart of ours; `count` and the span are what the present observer heard
    itself: an inference rests on silence that somebody listened to.
    """

    since: datetime
    observer: str
    first_uptime: float
    last_uptime: float
    count: int = 1

    @property
    def span(self) -> float:
        """Seconds between the first and the last answer of the present observer."""
        return self.last_uptime - self.first_uptime

    @classmethod
    def extend(cls, streak: Self | None, evidence: Evidence) -> Self:
        """The streak after one more like answer."""
        if streak is not None and streak.observer == evidence.observer:
            return replace(streak, last_uptime=evidence.uptime, count=streak.count + 1)
        since = evidence.observed_at if streak is None else streak.since
        return cls(since, evidence.observer, evidence.uptime, evidence.uptime)


class Still(Struct, frozen=True, omit_defaults=True, gc=False):
    """Since when bytes and percentage have not changed."""

    since: datetime
    bytes_transferred: int | None
    percent: float | None


class DiskMemory(Struct, frozen=True, omit_defaults=True, gc=False):
    """What was last seen of one disk, and whether its end is proven. Proof is never taken back."""

    disk_id: str
    proven: bool = False
    bytes_transferred: int | None = None
    total_bytes: int | None = None
    unfinished: bool = False
    baseline: KeyEntry | None = None  # what its export key said when this job was set up
    changed: bool = False  # the key was seen to change since the baseline


class Memory(Struct, frozen=True, omit_defaults=True, gc=False):
    """All that was counted or timed for a rule."""

    not_found: Streak | None = None
    unreachable: Streak | None = None
    unintelligible_since: datetime | None = None
    settling: Still | None = None
    still: Still | None = None
    disk_failed_since: datetime | None = None
    failed_disks: tuple[str, ...] = ()
    refused_since: datetime | None = None
    own_key_completed: bool = False
    answering_key: str | None = None
    disks: tuple[DiskMemory, ...] = ()
    ended_from: State | None = None
    attention: Attention | None = None
    attention_since: datetime | None = None
    watched_seconds: float = 0.0
    answered_by: str = ""  # observer of the last answer, to add up watched_seconds
    answered_uptime: float = 0.0

    def disk(self, disk_id: str) -> DiskMemory:
        """What is remembered of a disk; a blank memory if nothing is."""
        for disk in self.disks:
            if disk.disk_id == disk_id:
                return disk
        return DiskMemory(disk_id)

    def prove(self, disk_id: str) -> Self:
        """With the end of a disk's copy proven."""
        proven = replace(self.disk(disk_id), proven=True, unfinished=False)
        known = [proven if d.disk_id == disk_id else d for d in self.disks]
        return replace(self, disks=tuple(known) if proven in known else (*self.disks, proven))

    def attend(self, attention: Attention | None, now: datetime) -> Self:
        """With the reason why an operator is needed (None: no longer), and since when."""
        if attention is self.attention:
            return self
        return replace(self, attention=attention, attention_since=None if attention is None else now)


def remember(memory: Memory, evidence: Evidence, *, setup: bool, policy: RecoveryPolicy = DEFAULT_POLICY) -> Memory:
    """The memory after one more answer; `setup` while the copy has not been started (baselines are taken)."""
    said = _of_the_job(memory, evidence) if evidence.verdict.knows_the_job else _of_silence(memory, evidence)
    return replace(
        said,
        disk_failed_since=_disk_failed_since(memory, evidence),
        refused_since=_refused_since(memory, evidence),
        answering_key=evidence.answering_key or memory.answering_key,
        disks=_disks(memory, evidence, setup=setup),
        watched_seconds=memory.watched_seconds + _answered_gap(memory, evidence, policy),
        answered_by="" if evidence.verdict.is_no_answer else evidence.observer,
        answered_uptime=evidence.uptime,
    )


def _of_the_job(memory: Memory, evidence: Evidence) -> Memory:
    """The VMA knows the job: whatever was counted of its silence is over."""
    verdict = evidence.verdict
    return replace(
        memory,
        not_found=None,
        unreachable=None,
        unintelligible_since=None,
        settling=_stand(memory.settling, evidence) if verdict is Verdict.UNSETTLED else None,
        still=_stand(memory.still, evidence) if verdict in _AT_WORK else None,
        failed_disks=evidence.failed_disks,
        own_key_completed=evidence.own_key_completed,
    )


def _of_silence(memory: Memory, evidence: Evidence) -> Memory:
    """Nothing was said of the job. An outage interrupts neither garbage nor absence; what was known stays."""
    if evidence.verdict is Verdict.UNREACHABLE:
        return replace(memory, unreachable=Streak.extend(memory.unreachable, evidence))
    if evidence.verdict is Verdict.UNINTELLIGIBLE:
        since = memory.unintelligible_since or evidence.observed_at
        return replace(memory, unreachable=None, unintelligible_since=since)
    absent = Streak.extend(memory.not_found, evidence)
    return replace(memory, unreachable=None, unintelligible_since=None, not_found=absent)


def _stand(still: Still | None, evidence: Evidence) -> Still:
    """An answer that lacks a number does not change it."""
    if still is None:
        return Still(evidence.observed_at, evidence.bytes_transferred, evidence.percent)
    done = still.bytes_transferred if evidence.bytes_transferred is None else evidence.bytes_transferred
    percent = still.percent if evidence.percent is None else evidence.percent
    changed = (done, percent) != (still.bytes_transferred, still.percent)
    return Still(evidence.observed_at, done, percent) if changed else still


def _disk_failed_since(memory: Memory, evidence: Evidence) -> datetime | None:
    if evidence.failed_disks:
        return memory.disk_failed_since or evidence.observed_at
    return None if evidence.verdict.knows_the_job else memory.disk_failed_since


def _refused_since(memory: Memory, evidence: Evidence) -> datetime | None:
    if evidence.refused:
        return memory.refused_since or evidence.observed_at
    return memory.refused_since if evidence.verdict is Verdict.UNREACHABLE else None


def _answered_gap(memory: Memory, evidence: Evidence, policy: RecoveryPolicy) -> float:
    """Seconds since the previous answer, if the VMA answered then and now to the same observer."""
    if evidence.verdict.is_no_answer or memory.answered_by != evidence.observer:
        return 0.0
    gap = evidence.uptime - memory.answered_uptime
    if gap > ANSWERED_GAP and gap > 2 * max(policy.poll_interval, policy.watch_interval).total_seconds():
        return 0.0
    return max(gap, 0.0)


def _disks(memory: Memory, evidence: Evidence, *, setup: bool) -> tuple[DiskMemory, ...]:
    if not evidence.disks:
        return memory.disks
    heard = {d.disk_id: d for d in evidence.disks}
    disks = [_disk(old, heard.pop(old.disk_id, None), setup) for old in memory.disks]
    if heard:  # seen for the first time
        disks += [_disk(DiskMemory(d.disk_id), d, setup) for d in heard.values()]
    return tuple(disks)


def _disk(old: DiskMemory, heard: DiskEvidence | None, setup: bool) -> DiskMemory:
    if heard is None:
        return old
    baseline = old.baseline or (heard.entry if setup else None)
    done, total = heard.bytes_transferred, heard.total_bytes
    return DiskMemory(
        old.disk_id,
        old.proven or heard.proven,
        old.bytes_transferred if done is None else done,
        old.total_bytes if total is None else total,
        heard.unfinished if heard.verdict.knows_the_job else old.unfinished,
        baseline,
        old.changed or (baseline is not None and heard.entry not in (None, baseline)),
    )
