"""Conditions stand beside the state and never replace it: what is wrong, since when, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from fsm.facts import JobFacts
from fsm.policy import RecoveryPolicy
from fsm.states import Attention, Ending, State

ADVICE = {
    Attention.UNINTELLIGIBLE: "Check that the VMA's address leads to a VMA and which release it runs.",
    Attention.CANNOT_SETTLE: "Look at the copy on the VMA; then complete or fail the job by hand.",
    Attention.RUNS_BESIDE_NEWER: "Two copies of one VM run: stop the older one on the VMA.",
    Attention.DISK_FAILED: "Look at the failed disk on the VMA; the job ends when no disk runs any more.",
    Attention.STALLED: "Look at the copy process on the VMA; if it hangs, stop it there and fail the job.",
    Attention.REFUSED_BY_VMA: "The VMA turns us away (401 or 403): check what stands in front of it.",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `holds` is False where something is wrong, except for NeedsOperator."""

    name: str
    holds: bool
    reason: str = ""
    since: datetime | None = None
    advice: str = ""


def conditions(
    facts: JobFacts, *, scheduled: bool, now: datetime, policy: RecoveryPolicy, paused: bool = False
) -> tuple[Condition, ...]:
    """All conditions of a job; `scheduled`: somebody is asking for it; `paused`: its appliance is not to be asked."""
    memory = facts.memory
    outage = memory.unreachable if facts.polled else None
    stalled = _stalled_for(facts, now) >= policy.stalled_after
    since = memory.still.since if stalled and memory.still else None
    return (
        _wrong_if(
            outage is not None,
            "Reachable",
            "the VMA does not answer",
            outage.since if outage else None,
            "Look at the tunnel to the VMA and at the VMA itself; the job goes on by itself once it answers.",
        ),
        _wrong_if(
            stalled,
            "Progressing",
            "no byte has moved",
            since,
            "Look at the copy process on the VMA.",
        ),
        _wrong_if(
            facts.ending is Ending.INFERRED,
            "Confirmed",
            "the end was concluded from silence",
            facts.entered_at,
            _of_an_inference(facts),
        ),
        _polled(facts, scheduled=scheduled, paused=paused),
        _wrong_if(
            memory.disk_failed_since is not None,
            "DisksHealthy",
            "failed: " + ", ".join(memory.failed_disks),
            memory.disk_failed_since,
            "Look at the failed disk on the VMA"
            + ("; the job ends when no disk runs any more." if facts.active else ", then start a new job of the VM."),
        ),
        _needs_operator(facts, now, policy),
    )


def _of_an_inference(facts: JobFacts) -> str:
    if facts.watched and not facts.vm_taken:
        return "Evidence will confirm or overturn it; an operator may decide."
    why = "a newer job has the VM" if facts.vm_taken else "the watch is over"
    return f"No evidence will overturn it any more, for {why}; an operator may decide."


def _polled(facts: JobFacts, *, scheduled: bool, paused: bool) -> Condition:
    if facts.polled and paused:
        reason, resume = f"its appliance {facts.appliance} is paused", f"oma-fsm appliances resume {facts.appliance}"
        return Condition("Polled", False, reason, None, f"`{resume}` has it asked again.")
    missing = facts.polled and not scheduled
    return _wrong_if(missing, "Polled", "nobody asks for it", None, "The health monitor puts it back within a minute.")


def _wrong_if(wrong: bool, name: str, reason: str, since: datetime | None, advice: str = "") -> Condition:
    return Condition(name, False, reason, since, advice) if wrong else Condition(name, True)


def _stalled_for(facts: JobFacts, now: datetime) -> timedelta:
    still = facts.memory.still
    if facts.state is not State.REPLICATING or still is None:
        return timedelta(0)
    return max(now - still.since, timedelta(0))


def _reasons(facts: JobFacts, now: datetime, policy: RecoveryPolicy) -> Iterator[tuple[Attention, datetime | None]]:
    memory = facts.memory
    if not facts.polled:  # nobody asks any more, so no answer could ever take the alarm back
        return
    if memory.attention is not None:
        yield memory.attention, memory.attention_since
    if memory.refused_since is not None:
        yield Attention.REFUSED_BY_VMA, memory.refused_since
    if memory.disk_failed_since is not None and facts.active:
        yield Attention.DISK_FAILED, memory.disk_failed_since
    if memory.still is not None and _stalled_for(facts, now) >= policy.stalled_alarm_after:
        yield Attention.STALLED, memory.still.since + policy.stalled_alarm_after


def _needs_operator(facts: JobFacts, now: datetime, policy: RecoveryPolicy) -> Condition:
    found = list(_reasons(facts, now, policy))
    if not found:
        return Condition("NeedsOperator", False)
    times = [since for _, since in found if since is not None]
    return Condition(
        "NeedsOperator",
        True,
        ", ".join(a.value for a, _ in found),
        min(times, default=None),
        " ".join(ADVICE[a] for a, _ in found),
    )
