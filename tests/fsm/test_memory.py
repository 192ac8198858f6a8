"""What the rules remember between two answers, and what a restart of ours may not change."""

from typing import Any

import pytest
from builders import LONG_UP, NOW, OPERATOR, Observer, Story, answer, ended, hear, job, span
from msgspec.structs import replace

from fsm.conditions import conditions
from fsm.evidence import Evidence, KeyEntry
from fsm.memory import ANSWERED_GAP, Memory, Still, remember
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import Attention, Event, State, Verdict

OTHER = Observer("run-2", NOW - span("1h"))
KNOWING = ("running", "completed", "failed", "unsettled")
SILENT = ("not_found", "unreachable", "unintelligible")
LAST_WEEK = KeyEntry(absent=False, start_time=NOW - span("7d"), word="completed", bytes_transferred=1000, percent=100.0)
ABSENT = KeyEntry()


# --- streaks -----------------------------------------------------------------------------------------


def test_not_founds_are_counted_over_the_monotonic_clock() -> None:
    streak = hear(Memory(), "not_found", "not_found", "not_found", every=30).not_found
    assert streak is not None
    assert (streak.count, streak.span, streak.since) == (3, 60.0, NOW - span("1m"))


@pytest.mark.parametrize("between", ["unreachable", "unintelligible"])
def test_what_says_nothing_of_the_job_neither_adds_to_not_founds_nor_resets_them(between: str) -> None:
    streak = hear(Memory(), "not_found", between, between, "not_found", every=20).not_found
    assert streak is not None
    assert (streak.count, streak.span) == (2, 60.0)


@pytest.mark.parametrize("found", KNOWING)
def test_found_resets_not_founds(found: str) -> None:
    assert hear(Memory(), "not_found", "not_found", found).not_found is None
    again = hear(Memory(), "not_found", "not_found", found, "not_found").not_found
    assert again is not None
    assert (again.count, again.since) == (1, NOW)


@pytest.mark.parametrize("other", [v for v in Verdict if v is not Verdict.UNREACHABLE])
def test_any_answer_ends_an_outage(other: Verdict) -> None:
    assert hear(Memory(), "unreachable", "unreachable", other).unreachable is None


@pytest.mark.parametrize("kind", ["not_found", "unreachable"])
def test_a_restart_of_ours_keeps_since_and_counts_anew(kind: str) -> None:
    before = hear(Memory(), kind, kind, kind, every=30)
    after = getattr(remember(before, answer(kind, NOW + span("5m"), OTHER), setup=False), kind)
    assert (after.count, after.span, after.observer) == (1, 0.0, "run-2")
    assert after.since == NOW - span("1m")


def test_a_stepped_clock_is_no_silence() -> None:
    """Two hours forward on the wall clock, five seconds on the monotonic one."""
    before = hear(Memory(), "unreachable", "unreachable")
    late = Evidence(Verdict.UNREACHABLE, NOW + span("2h"), LONG_UP.name, LONG_UP.uptime(NOW) + 5)
    streak = remember(before, late, setup=False).unreachable
    assert streak is not None
    assert (streak.count, streak.span) == (3, 10.0)


# --- conditions since ---------------------------------------------------------------------------------


def test_garbage_is_timed_from_its_first_answer() -> None:
    memory = hear(Memory(), "unintelligible", "unreachable", "unintelligible", every=600)
    assert memory.unintelligible_since == NOW - span("20m")
    for good in (*KNOWING, "not_found"):
        assert hear(memory, good).unintelligible_since is None


def test_garbage_is_timed_across_a_move_of_the_workflow_and_the_alarm_keeps_its_time() -> None:
    story = Story(job("configuring"))
    story.hear("unintelligible")
    story.wait("30m").hear("unintelligible")
    story.wait("1m").ask(Event.READY)
    assert story.facts.state is State.READY_FOR_SYNC
    story.wait(5).hear("unintelligible")
    assert story.facts.memory.unintelligible_since == NOW
    assert story.facts.memory.attention is Attention.UNINTELLIGIBLE
    assert story.facts.memory.attention_since == NOW + span("30m")


def test_a_failed_disk_is_remembered_until_an_answer_about_the_job_says_otherwise() -> None:
    memory = hear(Memory(), "running", failed_disks=("disk-2001",))
    for silence in SILENT:
        after = remember(memory, answer(silence, NOW + span(5)), setup=False)
        assert (after.disk_failed_since, after.failed_disks) == (NOW, ("disk-2001",)), silence
    later = remember(memory, answer("running", NOW + span(5), failed_disks=("disk-2001",)), setup=False)
    assert later.disk_failed_since == NOW
    healed = remember(later, answer("running", NOW + span(10)), setup=False)
    assert (healed.disk_failed_since, healed.failed_disks) == (None, ())


def test_a_refusal_of_the_vma_lasts_until_another_answer() -> None:
    refused = hear(Memory(), "unintelligible", refused=True)
    assert refused.refused_since == NOW
    assert remember(refused, answer("unintelligible", NOW + span(5), refused=True), setup=False).refused_since == NOW
    assert hear(refused, "unreachable").refused_since == NOW
    assert hear(refused, "unintelligible").refused_since is None
    assert hear(refused, "running").refused_since is None


def test_attention_keeps_the_moment_at_which_it_was_first_needed() -> None:
    story = Story(job())
    story.hear("unsettled", percent=40.0)
    story.wait("15m").hear("unsettled", percent=40.0)
    story.wait("5m").hear("unsettled", percent=40.0)
    assert story.facts.memory.attention is Attention.CANNOT_SETTLE
    assert story.facts.memory.attention_since == NOW + span("15m")
    story.wait(5).hear("unreachable")
    assert story.facts.memory.attention is Attention.CANNOT_SETTLE, "an outage says nothing"
    story.wait(5).hear("running", percent=41.0)
    assert (story.facts.memory.attention, story.facts.memory.attention_since) == (None, None)


def test_another_reason_has_a_time_of_its_own() -> None:
    memory = Memory().attend(Attention.CANNOT_SETTLE, NOW).attend(Attention.UNINTELLIGIBLE, NOW + span(5))
    assert memory.attention_since == NOW + span(5)


def test_a_job_that_nobody_asks_about_raises_no_alarm() -> None:
    """What only an answer could take back would stand for ever once a person has ended the job."""
    story = Story(job(heard="1m"))
    story.hear("unintelligible", refused=True)
    story.wait(5).hear("unreachable")
    assert _wrong(story) == {"Reachable", "NeedsOperator"}
    story.ask(Event.FAIL, OPERATOR)
    assert _wrong(story) == set()


def _wrong(story: Story) -> set[str]:
    found = conditions(story.facts, scheduled=True, now=story.now, policy=DEFAULT_POLICY)
    return {c.name for c in found if c.holds == (c.name == "NeedsOperator")}


# --- stall and settle -----------------------------------------------------------------------------------


def test_the_stall_is_timed_from_the_last_change() -> None:
    story = Story(job())
    story.hear("running", percent=30.0)
    story.wait(5).hear("running", percent=30.1)
    story.wait("15m").hear("running", percent=30.1)
    assert story.facts.memory.still == Still(NOW + span(5), 301, 30.1)
    assert "Progressing" in _wrong(story)


def test_a_copy_that_is_said_to_run_and_to_be_done_in_turn_stalls_all_the_same() -> None:
    """Neither is ever said for long enough to settle; nobody would learn that no byte moves."""
    story = Story(job())
    for _ in range(360):
        story.hear("unsettled", percent=58.0)
        story.wait(5).hear("running", percent=58.0)
        story.wait(5)
    assert story.now - NOW == span("1h")
    assert (story.facts.state, _wrong(story)) == (State.REPLICATING, {"Progressing", "NeedsOperator"})
    story.hear("running", percent=58.1)
    assert _wrong(story) == set()


def test_the_stall_survives_a_restart_of_ours_and_an_outage() -> None:
    story = Story(job())
    story.hear("running", percent=30.0)
    story.restart("10m").hear("unreachable")
    story.wait("4:55").hear("running", percent=30.0)
    assert _wrong(story) == set()
    story.wait(5).hear("running", percent=30.0)
    assert _wrong(story) == {"Progressing"}
    story.wait("45m").hear("running", percent=30.0)
    assert _wrong(story) == {"Progressing", "NeedsOperator"}


@pytest.mark.parametrize("verdict", ["running", "unsettled"])
def test_an_answer_that_lacks_the_numbers_is_no_change(verdict: str) -> None:
    memory = hear(Memory(), verdict, bytes_transferred=300, percent=30.0)
    lacking = remember(memory, answer(verdict, NOW + span(5)), setup=False)
    same = remember(lacking, answer(verdict, NOW + span(10), bytes_transferred=300, percent=30.0), setup=False)
    mark = same.still if verdict == "running" else same.settling
    assert mark == Still(NOW, 300, 30.0)


@pytest.mark.parametrize(
    "change", [{"bytes_transferred": 299, "percent": 30.0}, {"bytes_transferred": 300, "percent": 31.0}]
)
@pytest.mark.parametrize("verdict", ["running", "unsettled"])
def test_any_change_of_bytes_or_percent_restarts_the_clock(verdict: str, change: dict[str, Any]) -> None:
    memory = hear(Memory(), verdict, bytes_transferred=300, percent=30.0)
    changed = remember(memory, answer(verdict, NOW + span(5), **change), setup=False)
    mark = changed.still if verdict == "running" else changed.settling
    assert mark is not None
    assert mark.since == NOW + span(5)


def test_settling_is_not_shortened_by_a_restart_of_ours() -> None:
    story = Story(job())
    story.hear("unsettled", percent=95.0)
    story.restart("14:59").hear("unsettled", percent=95.0)
    assert story.facts.state is State.REPLICATING
    story.wait(1).hear("unsettled", percent=95.0)
    assert story.facts.state is State.COMPLETED


def test_a_byte_that_moves_restarts_the_settling() -> None:
    story = Story(job())
    story.hear("unsettled", percent=95.0)
    story.wait("14:59").hear("unsettled", percent=95.1)
    story.wait("14:59").hear("unsettled", percent=95.1)
    assert story.facts.state is State.REPLICATING
    story.wait(1).hear("unsettled", percent=95.1)
    assert story.facts.state is State.COMPLETED


# --- the watch ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_answer", ["unreachable", "unintelligible"])
def test_only_time_between_two_answers_counts_for_the_watch(no_answer: str) -> None:
    answered = hear(Memory(), "not_found", "not_found", "not_found", every=60)
    assert answered.watched_seconds == 120.0
    outage = hear(Memory(), "not_found", no_answer, no_answer, "not_found", every=60)
    assert outage.watched_seconds == 0.0
    partly = hear(Memory(), "not_found", "not_found", no_answer, "not_found", "not_found", every=60)
    assert partly.watched_seconds == 120.0


@pytest.mark.parametrize(("gap", "counted"), [(ANSWERED_GAP, ANSWERED_GAP), (ANSWERED_GAP + 1, 0.0)])
def test_a_long_gap_is_not_taken_for_answered_time(gap: float, counted: float) -> None:
    assert hear(Memory(), "not_found", "not_found", every=gap).watched_seconds == counted


@pytest.mark.parametrize(
    ("pace", "gap", "counted"), [("5s", ANSWERED_GAP, True), ("5s", ANSWERED_GAP + 1, False), ("10m", 1200, True)]
)
def test_neither_a_quick_watch_nor_a_slow_one_makes_a_gap_of_its_own_pace(pace: str, gap: int, counted: bool) -> None:
    policy = RecoveryPolicy(poll_interval="1s", poll_interval_near_end="1s", watch_interval=pace)
    later = answer("not_found", NOW + span(gap))
    memory = remember(hear(Memory(), "not_found"), later, setup=False, policy=policy)
    assert memory.watched_seconds == (gap if counted else 0.0)


def test_our_own_downtime_does_not_count_for_the_watch() -> None:
    memory = hear(Memory(), "not_found")
    assert remember(memory, answer("not_found", NOW + span(60), OTHER), setup=False).watched_seconds == 0.0


def test_a_watch_begins_at_zero_and_ends_after_a_day_of_answers() -> None:
    story = Story(job(heard="3m", memory=Memory(watched_seconds=5000.0)))
    story.hear_often("not_found", 3, 30)
    assert story.facts.watched
    assert story.facts.memory.watched_seconds == 0.0
    story.facts = replace(story.facts, memory=replace(story.facts.memory, watched_seconds=86_400.0 - 60.0))
    assert story.wait("59s").hear("not_found").after.watched
    assert not story.wait("1s").hear("not_found").after.watched
    assert story.wait(60).hear("running").outcome == "ignored"


def test_a_watched_job_remembers_from_where_it_ended() -> None:
    story = Story(job("attaching", entered="6m"))
    story.hear("not_found")
    story.ask(Event.FAIL, OPERATOR)
    assert story.facts.memory.ended_from is State.ATTACHING
    assert ended("failed", ended_from="attaching").memory.ended_from is State.ATTACHING
