"""What must never be: each decision of a trial against the truth, timed apart from the rules' own memory."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trial_copy import FAILED, FINISHED, NEVER, RUNNING, VANISHED, Copy
from trial_vma import TrialVma, is_end

from fsm.conditions import conditions
from fsm.decision import Decision
from fsm.evidence import Evidence
from fsm.facts import JobFacts
from fsm.policy import DEFAULT_POLICY
from fsm.states import Ending, State, Verdict

MINUTE = 60.0
BROKEN = ("failed", "error")
ENDS = {State.COMPLETED: FINISHED, State.FAILED: FAILED}


class WrongError(AssertionError):
    """Something happened that must not."""


@dataclass(slots=True)
class Hearing:
    """What was heard so far, as an outsider would note it. Seconds of the trial."""

    silences: dict[Verdict, list[float]] = field(default_factory=dict)  # like answers to this run of ours
    known_at: float = -NEVER  # last answer that knew the job
    up_since: float = 0.0  # of this run of ours
    garbled_since: float | None = None
    proven: set[str] = field(default_factory=set)  # disks whose end was once proven

    def restart(self, now: float) -> None:
        """Our process is another one, and counts for itself."""
        self.silences.clear()
        self.up_since = now

    def add(self, evidence: Evidence, now: float) -> None:
        """One more answer."""
        verdict = evidence.verdict
        self.proven.update(d.disk_id for d in evidence.disks if d.proven)
        if verdict.knows_the_job:
            self.known_at = now
            self.silences.clear()
        else:
            self.silences.setdefault(verdict, []).append(now)
        if verdict is not Verdict.UNREACHABLE:
            self.silences.pop(Verdict.UNREACHABLE, None)
        if verdict is not Verdict.UNINTELLIGIBLE and verdict is not Verdict.UNREACHABLE:
            self.garbled_since = None
        elif verdict is Verdict.UNINTELLIGIBLE and self.garbled_since is None:
            self.garbled_since = now

    def ripe(self, verdict: Verdict) -> bool:
        """True after three like answers over a minute."""
        heard = self.silences.get(verdict, [])
        return len(heard) >= 3 and heard[-1] - heard[0] >= MINUTE - 1e-6


def judge(decision: Decision, heard: Hearing, copy: Copy, vma: TrialVma, now: float, *, plain: bool) -> None:
    """WrongError if an answer led where it must not, or did not lead where it must."""
    after = decision.after
    _numbers(after)
    if decision.moved and after.ending is Ending.CONFIRMED and copy.truth(now) != ENDS[after.state]:
        raise WrongError(f"confirmed {after.state}, but the copy is {copy.truth(now)}")
    if decision.moved and after.ending is Ending.INFERRED:
        _inferred(decision, heard, copy, vma, now)
    if plain:
        _evidence(after, copy, vma, now)
    garbled = decision.evidence is not None and decision.evidence.verdict is Verdict.UNINTELLIGIBLE
    if garbled and after.active and now - (heard.garbled_since or now) >= 30 * MINUTE:
        _called("30 minutes of garbage", after, now, decision.at)


def _numbers(after: JobFacts) -> None:
    if not 0.0 <= after.percent <= 100.0 or not 0 <= after.bytes_transferred <= max(after.total_bytes, 0):
        raise WrongError(f"progress of {after.percent} %, {after.bytes_transferred} of {after.total_bytes} bytes")


# --- ends by silence ---------------------------------------------------------------------------------


def _inferred(decision: Decision, heard: Hearing, copy: Copy, vma: TrialVma, now: float) -> None:
    verdict = decision.evidence.verdict if decision.evidence else None
    runs = copy.truth(now) == RUNNING
    if verdict is Verdict.UNREACHABLE:
        _given_up(heard, copy, vma, now, runs=runs)
    if verdict is Verdict.NOT_FOUND and decision.before.state is State.REPLICATING:
        _lost(decision, heard, copy, vma, now, runs=runs)
    if verdict is Verdict.UNSETTLED and runs and now - copy.still_since(now) < 15 * MINUTE:
        raise WrongError("settled while the copy runs and moved within a quarter of an hour")


def _given_up(heard: Hearing, copy: Copy, vma: TrialVma, now: float, *, runs: bool) -> None:
    if now - heard.known_at < 30 * MINUTE or not heard.ripe(Verdict.UNREACHABLE):
        raise WrongError("given up by an outage that was not long or not heard often enough")
    if runs and _could_have_heard(heard, copy, vma, 29 * MINUTE, now):
        raise WrongError("given up by silence while the VMA answered")


def _lost(decision: Decision, heard: Hearing, copy: Copy, vma: TrialVma, now: float, *, runs: bool) -> None:
    before = decision.before
    if not heard.ripe(Verdict.NOT_FOUND):
        raise WrongError("lost before it was not found three times over a minute")
    if heard.proven:
        raise WrongError("lost although the end of a disk was proven")
    if not runs or vma.haunted or not _datable(copy, before):
        return  # by the rules an end of unknown age is none, and what a dead run left is taken for running
    if now - _unknown_since(copy, vma, now) < MINUTE:
        raise WrongError("lost while the copy runs and the VMA knew it within the last minute")
    if heard.known_at == -NEVER and decision.at - before.entered_at < timedelta(minutes=2):
        raise WrongError("lost before the copy had time to post")


def _could_have_heard(heard: Hearing, copy: Copy, vma: TrialVma, seconds: float, now: float) -> bool:
    """True if, within so many seconds and in this run of ours, one single outage began while the VMA held the copy."""
    outages = [t for t in vma.troubles if t.end > now - seconds and t.begin <= now]
    if vma.odd or len(outages) != 1 or now - outages[0].begin >= seconds or outages[0].begin <= heard.up_since + MINUTE:
        return False
    return _held(copy, vma, outages[0].begin - MINUTE / 2)


def _unknown_since(copy: Copy, vma: TrialVma, now: float) -> float:
    """Since when the VMA holds nothing of a copy that runs."""
    if _held(copy, vma, now):
        return now
    forgets = sorted((f.at for f in vma.forgets if f.at <= now), reverse=True)
    return next((at for at in forgets if _held(copy, vma, at - 1e-3)), copy.started)


def _held(copy: Copy, vma: TrialVma, now: float) -> bool:
    return any(whose is copy for whose, _ in vma.holds(now).values())


# --- evidence ----------------------------------------------------------------------------------------


def _evidence(after: JobFacts, copy: Copy, vma: TrialVma, now: float) -> None:
    """What the VMA plainly says is followed at once: whatever was inferred before."""
    truth = copy.truth(now)
    held = vma.holds(now)
    own = {key: entry for key, (whose, entry) in held.items() if whose is copy}
    if after.vm_taken:
        own = {key: entry for key, entry in own.items() if key == after.job_id}
    runs = any(not is_end(entry) for entry in own.values())
    if after.vm_taken:
        if runs and after.watched:
            _called("it runs beside a newer job", after, now, None)
        return
    if runs and truth in (RUNNING, VANISHED) and not after.active:
        raise WrongError(f"the VMA says that it runs, and it is {after.state}/{after.ending}")
    if runs and after.in_setup:
        raise WrongError(f"the VMA says that it runs, and it is {after.state}")
    if vma.foreign(after, copy, now) or truth not in ENDS.values():
        return
    ended = (
        any(e.words[0].casefold() in BROKEN for e in own.values()) if truth == FAILED else _all_shown(copy, own, after)
    )
    if own and not runs and ended and _datable(copy, after) and (after.state, after.ending) != _end(truth):
        raise WrongError(f"the VMA says that it {truth}, and it is {after.state}/{after.ending}")


def _end(truth: str) -> tuple[State, Ending]:
    return (State.COMPLETED if truth == FINISHED else State.FAILED), Ending.CONFIRMED


def _all_shown(copy: Copy, own: dict[str, object], after: JobFacts) -> bool:
    """True if what the VMA holds now proves every disk, whatever was heard before."""
    if copy.keys == "export":
        return all(d.export_name in own for d in after.disks)
    if len(after.disks) == 1:
        return True
    rows = getattr(own.get(after.job_id), "rows", [])
    return len(rows) == len(after.disks) and all(r.done >= r.total > 0 for r in rows)


def _datable(copy: Copy, after: JobFacts) -> bool:
    """An end under an export name can be told from one of an earlier run."""
    return copy.keys != "export" or copy.tells_start or all(after.memory.disk(d.disk_id).changed for d in after.disks)


# --- what needs a person ------------------------------------------------------------------------------


def stuck(facts: JobFacts, copy: Copy, end: float, epoch: datetime) -> None:
    """At the end of a trial nothing has happened for a long time: a job has ended, or a person was called."""
    if facts.active:
        _called(f"its copy is {copy.truth(end)} and nothing happens", facts, end, epoch + timedelta(seconds=end))


def _called(why: str, facts: JobFacts, now: float, moment: datetime | None) -> None:
    at = moment or (facts.heard_at or facts.entered_at)
    found = conditions(facts, scheduled=True, now=at, policy=DEFAULT_POLICY)
    if not next(c.holds for c in found if c.name == "NeedsOperator"):
        raise WrongError(f"{why}, and no operator is called for a job that is {facts.state}")
