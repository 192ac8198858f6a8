"""What makes a decision quick must not make it wrong: copies, verdicts that are remembered, hashes that are kept."""

import pytest
from builders import NOW, job
from msgspec.structs import replace

from fsm.facts import Asked, Situation
from fsm.guard import Guard, Sight, conjunction, negation
from fsm.policy import RecoveryPolicy
from fsm.states import State
from fsm.values import changed


def test_a_copy_differs_in_what_was_changed_and_the_original_in_nothing() -> None:
    facts = job(heard="1m")
    copy = changed(facts, percent=42.0, state=State.FAILED)
    assert (copy.percent, copy.state, copy.heard_at) == (42.0, State.FAILED, facts.heard_at)
    assert (facts.percent, facts.state) == (0.0, State.REPLICATING)
    with pytest.raises(AttributeError):
        copy.percent = 1.0  # type: ignore[misc]


def test_a_copy_with_a_field_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError, match="percentage"):
        changed(job(), percentage=42.0)


def test_a_value_that_nothing_changes_is_the_same_value() -> None:
    facts = job()
    assert changed(facts, percent=facts.percent, state=facts.state) is facts
    assert changed(facts, percent=42.0).percent == 42.0


def test_a_guard_is_judged_once_in_one_situation_and_anew_in_the_next() -> None:
    asked: list[float] = []

    def look(s: Situation) -> bool:
        asked.append(s.facts.percent)
        return s.facts.percent > 50

    guard = Guard("half", "half", look, lambda s: Sight(f"{s.facts.percent}", "> 50"))
    both = conjunction("both", "both", guard, negation(negation(guard, "no", "no"), "yes", "yes"))
    situation = Situation(job(percent=60.0), None, Asked(), NOW)
    assert both(situation).passed
    assert both(situation).passed
    assert asked == [60.0]
    assert not both(replace(situation, facts=job(percent=40.0))).passed
    assert asked == [60.0, 40.0]


def test_a_copy_made_before_anything_was_judged_is_judged_by_itself() -> None:
    half = Guard("half", "half", lambda s: s.facts.percent > 50, lambda s: Sight(f"{s.facts.percent}", "> 50"))
    original = Situation(job(percent=60.0), None, Asked(), NOW)
    copy = replace(original, facts=job(percent=40.0))
    assert half.passes(original)
    assert not half.passes(copy)


def test_a_decision_puts_nothing_into_words_until_it_is_read() -> None:
    told: list[str] = []

    def tell(_: Situation) -> Sight:
        told.append("told")
        return Sight("x", "y")

    mute = Guard("mute", "mute", lambda _: False, tell)
    situation = Situation(job(), None, Asked(), NOW)
    assert not conjunction("all", "all", mute).passes(situation)
    assert told == []
    assert str(conjunction("all", "all", mute)(situation)) == "all: wants all, is mute: wants y, is x"
    assert told == ["told"]


def test_what_the_guards_said_is_no_part_of_the_situation() -> None:
    first, second = (Situation(job(), None, Asked(), NOW) for _ in range(2))
    first.said["a guard"] = "something"
    assert first == second
    assert replace(first).said == {}


def test_a_policy_that_was_hashed_is_the_same_policy() -> None:
    hashed, fresh = RecoveryPolicy(), RecoveryPolicy()
    assert hashed.fingerprint == fresh.fingerprint
    unhashed = RecoveryPolicy()
    assert hashed == unhashed
    assert "fingerprint" not in hashed.model_dump()
    changed_policy = RecoveryPolicy(**(hashed.model_dump() | {"inference_answers": 9}))
    assert changed_policy.fingerprint != hashed.fingerprint
    assert hashed.model_copy(update={"inference_answers": 9}).fingerprint == changed_policy.fingerprint
