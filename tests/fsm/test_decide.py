"""`decide` as a value: pure, complete in what it refuses, readable; and the specification as data."""

import copy
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import pytest
from builders import (
    LONG_UP,
    NO_VOLUME,
    NOW,
    OPERATOR,
    Story,
    answer,
    ended,
    job,
    names,
)

from fsm.decision import Outcome
from fsm.facts import Asked, Situation, VmFacts
from fsm.guard import Guard, Sight, age_of, conjunction, disjunction, duration, negation
from fsm.machine import decide, decide_on
from fsm.memory import Memory, Streak
from fsm.policy import RecoveryPolicy
from fsm.states import Asker, Event, State, Verdict

RIPE = Streak(NOW, LONG_UP.name, 0.0, 1.0, 9)

# --- a value, and nothing but a value -----------------------------------------------------------


def test_deciding_changes_nothing() -> None:
    facts = job(memory=Memory(not_found=RIPE), heard="1d")
    copied = copy.deepcopy(facts)
    for event in Event:
        verdict = event.value.removeprefix("vma_")
        evidence = answer(verdict, percent=50.0) if event.value.startswith("vma_") else None
        decide(facts, event, evidence, NOW, asked=OPERATOR)
    assert facts == copied


def test_the_same_question_has_the_same_answer() -> None:
    facts = job(memory=Memory(not_found=RIPE), heard="1d")
    first, second = (decide(facts, Event.VMA_NOT_FOUND, answer("not_found"), NOW) for _ in range(2))
    assert first == second
    assert first.moved


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        job().state = State.FAILED  # type: ignore[misc]


def test_an_answer_names_its_event() -> None:
    decision = decide_on(job(), answer("completed"), NOW, asked=Asked(Asker.STARTUP))
    assert decision.event is Event.VMA_COMPLETED
    assert decision.asked.by is Asker.STARTUP


def test_a_refused_or_illegal_event_leaves_the_job_alone() -> None:
    facts = job("configuring", disks=NO_VOLUME)
    for event, outcome in ((Event.READY, Outcome.REFUSED), (Event.START, Outcome.ILLEGAL)):
        decision = decide(facts, event, None, NOW)
        assert decision.outcome is outcome
        assert decision.after is facts
        assert not decision.effects
        assert not decision.outcome.accepted


def test_a_late_answer_leaves_no_trace() -> None:
    facts = ended("completed", "confirmed")
    decision = decide(facts, Event.VMA_RUNNING, answer("running", percent=12.0), NOW)
    assert decision.outcome is Outcome.IGNORED
    assert decision.outcome.accepted
    assert decision.after == facts


@pytest.mark.parametrize(
    ("event", "evidence"),
    [
        (Event.VMA_RUNNING, None),
        (Event.VMA_RUNNING, answer("completed")),
        (Event.START, answer("running")),
        (Event.CREATE, answer("running")),
    ],
)
def test_evidence_that_does_not_go_with_the_event_is_a_programming_error(event: Event, evidence: Any) -> None:
    with pytest.raises(ValueError, match=f"event {event} does not go with evidence"):
        decide(job("ready_for_sync"), event, evidence, NOW)


# --- refusals --------------------------------------------------------------------------------------


def test_a_refusal_names_every_failed_guard_of_every_candidate() -> None:
    decision = decide(ended("failed", "confirmed"), Event.FAIL, None, NOW, asked=Asked(Asker.MONITOR))
    assert decision.outcome is Outcome.REFUSED
    assert names(decision.refusals) == [
        *("inferred", "by_workflow", "has_reason"),
        *("inferred", "by_operator", "has_reason"),
    ]


def test_a_refusal_is_a_sentence_that_says_each_thing_once() -> None:
    said = decide(ended("failed", "confirmed"), Event.FAIL, None, NOW, asked=Asked(Asker.MONITOR)).says
    assert said == (
        "fail refused for a job that is failed: inferred: wants an inferred end, is confirmed end; "
        "by_workflow: wants the workflow, is monitor; has_reason: wants a reason is given, is no reason given; "
        "by_operator: wants an operator, by name, is monitor (no name)"
    )


@pytest.mark.parametrize(
    ("said", "event", "facts", "asked"),
    [
        ("start is illegal for a job that is configuring", Event.START, job("configuring"), None),
        ("attach: initializing -> attaching", Event.ATTACH, job("initializing"), None),
        ("start: stayed replicating", Event.START, job(), None),
        ("create: (new) -> initializing", Event.CREATE, job("initializing", version=0), None),
        ("create is illegal for a job that is replicating", Event.CREATE, job(), None),
        ("attach is illegal for a job that is (new)", Event.ATTACH, job("initializing", version=0), None),
        ("complete: replicating -> completed (manual): looked at it on the VMA", Event.COMPLETE, job(), OPERATOR),
    ],
)
def test_a_decision_is_one_readable_line(said: str, event: Event, facts: Any, asked: Asked | None) -> None:
    assert decide(facts, event, None, NOW, asked=asked).says == said


def test_a_creation_is_refused_with_the_name_of_what_is_in_the_way() -> None:
    vm = VmFacts(unfinished_job="job-7", watched_job="job-6", watched_verdict=Verdict.UNREACHABLE)
    decision = decide(job("initializing", version=0), Event.CREATE, None, NOW, vm=vm)
    assert names(decision.refusals) == ["vm_idle", "last_copy_over"]
    assert "job-7" in decision.says
    assert "job-6 is unreachable" in decision.says


def test_a_guard_that_waits_says_when_it_will_pass() -> None:
    decision = decide(job("attaching", entered="4:00"), Event.VMA_NOT_FOUND, answer("not_found"), NOW)
    (waiting,) = decision.refusals
    assert waiting.becomes_true_at == NOW + timedelta(minutes=1)
    assert str(waiting) == "setup_timed_out: wants >= 5m, is 4m, from 2026-03-02 12:01:00Z on"
    assert decision.possible_at == NOW + timedelta(minutes=1)


def test_an_instant_is_told_in_utc_whatever_zone_the_caller_counts_in() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    decision = decide(job("attaching", entered="4:00"), Event.VMA_NOT_FOUND, answer("not_found", there), there)
    assert str(decision.refusals[0]).endswith("from 2026-03-02 12:01:00Z on")


def test_the_grace_after_our_start_says_when_it_ends() -> None:
    story = Story(job("attaching", entered="1h")).restart().wait(60)
    assert story.hear("not_found").possible_at == NOW + timedelta(minutes=5)


def test_time_does_not_help_a_refusal_that_waits_for_something_else() -> None:
    assert decide(job("initializing", disks=()), Event.ATTACH, None, NOW).possible_at is None
    waiting = decide(job(heard="29m"), Event.VMA_UNREACHABLE, answer("unreachable"), NOW)
    assert [v.becomes_true_at for v in waiting.refusals] == [None], "the outage is not ripe by the clock alone"
    ripe = job(heard="29m", memory=Memory(unreachable=RIPE))
    (alone,) = decide(ripe, Event.VMA_UNREACHABLE, answer("unreachable"), NOW).refusals
    assert alone.becomes_true_at == NOW + timedelta(minutes=1)


def test_an_accepted_decision_keeps_the_reasons_why_it_did_not_move() -> None:
    decision = decide(job(heard="2m"), Event.VMA_NOT_FOUND, answer("not_found"), NOW)
    assert decision.edge == "absent"
    assert {"lost", "nearly_done"} <= set(names(decision.refusals))
    assert "absence_ripe: wants >= 3 like answers over 1m, is 1 over 0s" in str(decision.refusals[0])


# --- guards put together ---------------------------------------------------------------------------


def _guard(name: str, passed: bool, minutes: int | None = None) -> Guard:
    at = None if minutes is None else NOW + timedelta(minutes=minutes)
    return Guard(name, name, lambda _: passed, lambda _: Sight("x", "y", at))


SITUATION = Situation(job(), None, Asked(), NOW)


@pytest.mark.parametrize(
    ("put_together", "parts", "passed", "at"),
    [
        (conjunction, [("a", True, None), ("b", True, None)], True, None),
        (conjunction, [("a", False, 1), ("b", False, 2)], False, 2),
        (conjunction, [("a", False, 1), ("b", True, 5)], False, 1),
        (conjunction, [("a", False, 1), ("b", False, None)], False, None),
        (disjunction, [("a", False, 1), ("b", False, 2)], False, 1),
        (disjunction, [("a", False, None), ("b", False, 2)], False, 2),
        (disjunction, [("a", True, None), ("b", False, 2)], True, None),
        (disjunction, [("a", False, None), ("b", False, None)], False, None),
    ],
)
def test_guards_put_together_pass_and_wait_as_their_parts_do(
    put_together: Callable[..., Guard], parts: list[tuple[str, bool, int | None]], passed: bool, at: int | None
) -> None:
    verdict = put_together("all", "says", *(_guard(*p) for p in parts))(SITUATION)
    assert verdict.passed is passed
    assert verdict.flips_at == (None if at is None else NOW + timedelta(minutes=at))


def test_a_negation_passes_exactly_when_the_guard_does_not() -> None:
    for passed in (True, False):
        verdict = negation(_guard("a", passed, 3), "not_a", "no a")(SITUATION)
        assert (verdict.name, verdict.passed, verdict.limit) == ("not_a", not passed, "no a")
        assert verdict.flips_at == NOW + timedelta(minutes=3)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"), (59.94, "59.94s"), (60, "1m"), (90, "90s"), (1800, "30m"), (7200, "2h"), (1_728_001, "1728001s"),
        (0.04, "0.04s"), (1.234, "1.234s"), (3600.000001, "3600.000001s"),
    ],
)  # fmt: skip
def test_spans_are_written_for_people_and_read_as_they_were(seconds: float, said: str) -> None:
    span = timedelta(seconds=seconds)
    assert duration(span) == said
    assert RecoveryPolicy(unreachable_after=said).unreachable_after == span


def test_an_age_just_short_of_its_limit_is_not_told_as_if_it_had_reached_it() -> None:
    ripe = job(heard="29:59.99", memory=Memory(unreachable=RIPE))
    (silent,) = decide(ripe, Event.VMA_UNREACHABLE, answer("unreachable"), NOW).refusals
    assert "silent_too_long: wants >= 30m, is 1799.9s" in silent.observed
    assert [age_of(timedelta(seconds=s)) for s in (1799.999999, 1800, 1800.05)] == ["1799.9s", "30m", "30m"]
