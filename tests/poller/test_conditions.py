"""Conditions: each is silent until its moment, says since when and what to do, and goes when its cause goes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from model_vma import NOON, span
from msgspec.structs import replace

from fsm.conditions import ADVICE, Condition, conditions
from fsm.facts import JobFacts
from fsm.memory import Memory, Still, Streak
from fsm.policy import RecoveryPolicy
from fsm.states import Attention, Ending, State

ALL = ("Reachable", "Progressing", "Confirmed", "Polled", "DisksHealthy", "NeedsOperator")


def ago(time: str | float) -> datetime:
    return NOON - span(time)


def job(state: State = State.REPLICATING, *, memory: Memory | None = None, **more: Any) -> JobFacts:
    return JobFacts("j", state, ago("5h"), ago("4h"), memory=memory or Memory(), **more)


def found(
    facts: JobFacts, *, scheduled: bool = True, now: datetime = NOON, policy: RecoveryPolicy | None = None, **more: bool
) -> dict[str, Condition]:
    all_of_them = conditions(facts, scheduled=scheduled, now=now, policy=policy or RecoveryPolicy(), **more)
    return {c.name: c for c in all_of_them}


def wrong(facts: JobFacts, **more: Any) -> set[str]:
    """The conditions in which something is wrong."""
    return {c.name for c in found(facts, **more).values() if c.holds is (c.name == "NeedsOperator")}


@pytest.mark.parametrize("state", list(State))
def test_a_healthy_job_has_all_conditions_and_nothing_wrong(state: State) -> None:
    assert tuple(found(job(state))) == ALL
    assert wrong(job(state)) == set()
    assert all(c.since is None and not c.reason for c in found(job(state)).values())


def test_a_silent_vma_is_shown_since_its_first_silence_while_somebody_asks() -> None:
    outage = Memory(unreachable=Streak(ago("3m"), "run-1", 0.0, 170.0, 9))
    condition = found(job(memory=outage))["Reachable"]
    assert (condition.holds, condition.since) == (False, ago("3m"))
    assert wrong(job(State.FAILED, memory=outage, ending=Ending.CONFIRMED)) == set(), "nobody asks any more"
    assert "Reachable" in wrong(job(State.FAILED, memory=outage, ending=Ending.INFERRED, watched=True))


def still(time: str | float) -> Memory:
    return Memory(still=Still(ago(time), 500, 50.0))


@pytest.mark.parametrize(("time", "stalled"), [(899.9, False), (900, True), ("59m", True)])
def test_a_copy_that_moves_no_byte_for_15_minutes_is_not_progressing(time: str | float, stalled: bool) -> None:
    assert wrong(job(memory=still(time))) == ({"Progressing"} if stalled else set())
    if stalled:
        assert found(job(memory=still(time)))["Progressing"].since == ago(time)


@pytest.mark.parametrize(("time", "alarm"), [(3599.9, False), (3600, True)])
def test_after_an_hour_a_stall_needs_an_operator_since_the_hour_was_full(time: float, alarm: bool) -> None:
    condition = found(job(memory=still(time)))["NeedsOperator"]
    assert condition.holds is alarm
    if alarm:
        assert (condition.reason, condition.since) == ("stalled", ago(time) + timedelta(hours=1))
        assert condition.advice == ADVICE[Attention.STALLED]


@pytest.mark.parametrize("state", [s for s in State if s is not State.REPLICATING])
def test_only_a_replicating_job_can_stall(state: State) -> None:
    assert wrong(job(state, memory=still("3h"))) == set()


def test_a_clock_that_was_set_back_stalls_nobody() -> None:
    assert wrong(job(memory=still("2h")), now=ago("3h")) == set()


def test_an_inferred_end_is_not_confirmed_since_it_ended() -> None:
    facts = job(State.FAILED, ending=Ending.INFERRED, watched=True)
    condition = found(facts)["Confirmed"]
    assert (condition.holds, condition.since) == (False, facts.entered_at)
    assert "overturn" in condition.advice
    for ending in (Ending.CONFIRMED, Ending.MANUAL):
        assert wrong(job(State.FAILED, ending=ending)) == set()


@pytest.mark.parametrize(
    ("facts", "why"), [({"watched": False}, "the watch is over"), ({"watched": True, "vm_taken": True}, "newer job")]
)
def test_an_end_that_no_evidence_will_overturn_promises_none(facts: dict[str, Any], why: str) -> None:
    advice = found(job(State.FAILED, ending=Ending.INFERRED, **facts))["Confirmed"].advice
    assert advice.startswith("No evidence will overturn it any more")
    assert why in advice


def test_whatever_is_wrong_says_what_to_do() -> None:
    outage = Streak(ago("3m"), "run-1", 0.0, 170.0, 9)
    ill = replace(still("90m"), unreachable=outage, disk_failed_since=ago("7m"), failed_disks=("disk-2001",))
    copying, over = job(memory=ill), job(State.FAILED, ending=Ending.INFERRED, watched=True, memory=ill)
    for facts in (copying, over):
        shown = found(facts, scheduled=False)
        assert all(shown[name].advice for name in wrong(facts, scheduled=False))
    assert wrong(copying, scheduled=False) | wrong(over, scheduled=False) == set(ALL)
    assert "when no disk runs" in found(copying)["DisksHealthy"].advice
    assert "new job" in found(over)["DisksHealthy"].advice


def test_a_job_that_must_be_polled_and_is_not_says_so() -> None:
    assert wrong(job(), scheduled=False) == {"Polled"}
    assert wrong(job(State.INITIALIZING), scheduled=False) == {"Polled"}
    watched = job(State.FAILED, ending=Ending.INFERRED, watched=True)
    assert wrong(watched, scheduled=False) == {"Confirmed", "Polled"}
    assert wrong(job(State.COMPLETED, ending=Ending.CONFIRMED), scheduled=False) == set()


def test_a_disk_that_failed_beside_a_running_one_is_named_and_needs_an_operator() -> None:
    memory = Memory(disk_failed_since=ago("7m"), failed_disks=("disk-2001", "disk-2003"))
    conditions_ = found(job(memory=memory))
    assert conditions_["DisksHealthy"].reason == "failed: disk-2001, disk-2003"
    assert conditions_["DisksHealthy"].since == conditions_["NeedsOperator"].since == ago("7m")
    assert conditions_["NeedsOperator"].reason == "disk_failed"
    over = job(State.FAILED, ending=Ending.CONFIRMED, memory=memory)
    assert wrong(over) == {"DisksHealthy"}, "over: the reason stays, the alarm goes"


@pytest.mark.parametrize("attention", [a for a in Attention if a not in (Attention.STALLED, Attention.DISK_FAILED)])
def test_every_other_reason_for_an_operator_is_shown_with_its_advice(attention: Attention) -> None:
    memory = (
        Memory(refused_since=ago("9m"))
        if attention is Attention.REFUSED_BY_VMA
        else Memory(attention=attention, attention_since=ago("9m"))
    )
    condition = found(job(memory=memory))["NeedsOperator"]
    assert (condition.holds, condition.reason, condition.since) == (True, attention.value, ago("9m"))
    assert condition.advice == ADVICE[attention]
    assert wrong(job(State.FAILED, ending=Ending.MANUAL, memory=memory)) == set()


def test_several_reasons_are_all_named_since_the_earliest() -> None:
    memory = replace(still("90m"), refused_since=ago("9m"), disk_failed_since=ago("2h"), failed_disks=("disk-2000",))
    condition = found(job(memory=memory))["NeedsOperator"]
    assert condition.reason == "refused_by_vma, disk_failed, stalled"
    assert condition.since == ago("2h")
    assert all(ADVICE[a] in condition.advice for a in (Attention.REFUSED_BY_VMA, Attention.DISK_FAILED))


def test_the_limits_of_a_stall_can_be_set() -> None:
    policy = RecoveryPolicy(stalled_after=timedelta(minutes=1), stalled_alarm_after=timedelta(minutes=2))
    assert wrong(job(memory=still(60)), policy=policy) == {"Progressing"}
    assert wrong(job(memory=still(120)), policy=policy) == {"Progressing", "NeedsOperator"}


def test_every_reason_has_an_advice() -> None:
    assert set(ADVICE) == set(Attention)
    assert all(ADVICE.values())


def test_a_job_of_a_paused_appliance_says_whom_nobody_asks_and_how_it_goes_on() -> None:
    polled = found(job(appliance="vma-2"), paused=True)["Polled"]
    assert (polled.holds, polled.reason) == (False, "its appliance vma-2 is paused")
    assert "oma-fsm appliances resume vma-2" in polled.advice
    ended = job(State.COMPLETED, appliance="vma-2", ending=Ending.CONFIRMED)
    assert found(ended, paused=True)["Polled"].holds, "nobody wants to ask about it"
