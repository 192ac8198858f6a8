"""The past judged again: nothing differs under the same policy, and what differs under another is named."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOW, OPERATOR, WORKFLOW, Story, job, names, span

from fsm.decision import Decision
from fsm.facts import Asked
from fsm.memory import Streak
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.replay import Difference, PastMove, StrangeMove, again, replay
from fsm.silence import Silence, judge, not_borne
from fsm.states import Verdict

SPEC = "this release"


def past(decision: Decision) -> PastMove:
    """What history keeps of a move."""
    return PastMove(
        decision.before.job_id,
        decision.at,
        decision.event,
        decision.edge or "",
        decision.after.state,
        decision.after.ending,
        Asked(decision.asked.by, decision.asked.actor, decision.reason or decision.asked.reason),
        decision.before,
        decision.evidence,
        SPEC,
        decision.verdicts,
    )


def difference(decision: Decision, **policy: str | int | float) -> Difference | None:
    """The move judged again under a policy with these values."""
    return again(past(decision), decision.before, RecoveryPolicy(**policy))  # type: ignore[arg-type]


def silent_end() -> Decision:
    """An outage of half an hour that ended a copy."""
    story = Story(job(heard=0))
    return story.hear_often("unreachable", 61, every=30)


def whole_life() -> Story:
    """Set up, seen, lost, seen again, lost again, and ruled over by a person."""
    story = Story(job("initializing", entered=0, version=0))
    story.ask("create")
    for event in ("attach", "configure", "ready", "start"):
        story.wait(20).ask(event)
    story.wait(5).hear("running", percent=91.0)
    story.wait(5).hear_often("not_found", 20)
    story.wait(60).hear("running", percent=92.0)
    story.wait(5).hear_often("unreachable", 70, every=30)
    story.ask("reopen", OPERATOR)
    story.ask("fail", WORKFLOW)
    return story


def test_under_the_policy_of_the_day_every_move_comes_out_as_it_did() -> None:
    moves = [past(d) for d in whole_life().moves]
    assert len(moves) == 10
    audit = replay(moves, DEFAULT_POLICY, SPEC)
    assert (audit.differences, audit.judged, audit.blind) == ((), 10, 0)


def test_a_longer_patience_would_have_kept_the_job_and_the_guard_that_differs_is_named() -> None:
    end = silent_end()
    assert end.edge == "silent"
    found = difference(end, unreachable_after="40m")
    assert found is not None
    assert found.past.says == "failed, inferred (silent)"
    assert found.says == "stayed replicating (unreachable)"
    assert names(found.guards) == ["given_up"]
    assert found.because == (
        "given_up: wants silent for too long, outage ripe, is "
        "silent_too_long: wants >= 40m, is 30m, from 2026-03-02 12:40:00Z on "
        "(then: silent_too_long: wants >= 30m, is 30m; outage_ripe: wants >= 3 like answers over 1m, is 61 over 30m)",
    )


def test_a_plain_limit_is_shown_beside_the_one_that_was_in_force() -> None:
    story = Story(job("attaching", entered="5:00"))
    found = difference(story.hear("not_found"), grace_attaching="8m")
    assert found is not None
    assert found.because == ("setup_timed_out: wants >= 8m, is 5m, from 2026-03-02 12:03:00Z on (then: >= 5m)",)


def test_another_percentage_would_have_ended_the_job_otherwise() -> None:
    lost = Story(job(percent=85.0, heard=0)).hear_often("not_found", 13)
    assert lost.edge == "lost"
    found = difference(lost, nearly_done_percent=80)
    assert found is not None
    assert found.says == "completed, inferred (lost_when_nearly_done)"
    assert found.because == ("not_nearly_done: wants <= 80 %, is 85 % (then: <= 90 %)",)


def test_a_move_that_no_number_of_the_policy_bears_on_does_not_differ() -> None:
    confirmed = Story(job()).hear("completed", percent=100.0)
    assert difference(confirmed, unreachable_after=1, nearly_done_percent=0, inference_answers=99) is None
    ruled = Story(job()).ask("complete", OPERATOR)
    assert difference(ruled, unreachable_after=1, inference_answers=99) is None


def test_a_rule_that_this_release_does_not_have_is_said_to_be_gone() -> None:
    move = replace(past(silent_end()), edge="given_up_at_once")
    found = again(move, silent_end().before, DEFAULT_POLICY)
    assert found is not None
    assert found.because == ("this release has no rule given_up_at_once",)


def test_moves_without_the_job_as_it_was_and_moves_by_other_rules_are_counted_apart() -> None:
    known, blind = past(silent_end()), replace(past(silent_end()), before=None)
    strange = [StrangeMove("job-1", "oldest")] * 2
    audit = replay([known, blind, replace(known, spec="older"), *strange], DEFAULT_POLICY, SPEC)
    assert (audit.judged, audit.blind, dict(audit.other_rules)) == (2, 1, {"older": 1})
    assert dict(audit.strange) == {"oldest": 2}


# --- silences that were borne -----------------------------------------------------------------------

SHORTER = RecoveryPolicy(unreachable_after=timedelta(minutes=20))


def silence(lasted: str, verdict: Verdict = Verdict.UNREACHABLE, state: str = "replicating") -> Silence:
    """A silence that ended now."""
    return Silence(job(state, heard=lasted), verdict, NOW - span(lasted), NOW)


def test_a_silence_longer_than_another_patience_would_have_ended_the_job() -> None:
    (ended,) = not_borne([silence("25m")], SHORTER, DEFAULT_POLICY)
    assert (ended.would.edge, ended.would.after.state, ended.would.after.ending) == ("silent", "failed", "inferred")
    assert [str(v) for v in ended.guards] == [
        "silent_too_long: wants >= 20m, is 1495s",
        "outage_ripe: wants >= 3 like answers over 1m, is 50 over 1495s",
    ]


@pytest.mark.parametrize(("lasted", "ends"), [("20:04.9", False), ("20:05", True)])
def test_the_last_poll_of_a_silence_is_taken_to_be_one_interval_before_its_end(lasted: str, ends: bool) -> None:
    assert bool(not_borne([silence(lasted)], SHORTER, DEFAULT_POLICY)) is ends


def test_a_silence_that_the_present_policy_would_not_bear_either_is_not_laid_to_the_other() -> None:
    assert not_borne([silence("45m")], SHORTER, DEFAULT_POLICY) == []


def test_a_job_that_the_vma_did_not_know_for_a_while_is_judged_by_the_rules_of_absence() -> None:
    absent = silence("2m", Verdict.NOT_FOUND, "attaching")
    assert judge(absent, DEFAULT_POLICY).edge == "setup_absent"
    assert judge(absent, RecoveryPolicy(grace_attaching=timedelta(minutes=1))).edge == "setup_lost"
    few = RecoveryPolicy(inference_answers=2, inference_ripe=timedelta(seconds=1), backoff_max=timedelta(seconds=30))
    assert judge(silence("50s", Verdict.NOT_FOUND), DEFAULT_POLICY).edge == "absent"
    assert judge(silence("50s", Verdict.NOT_FOUND), few).edge == "lost"


def test_the_estimate_never_ends_a_job_sooner_than_the_rules_did() -> None:
    """The real end of an outage, and the same outage as its poll history shows it."""
    end = silent_end()
    began = end.before.memory.unreachable
    assert isinstance(began, Streak)
    shown = Silence(job(heard=0), Verdict.UNREACHABLE, began.since, end.at + DEFAULT_POLICY.poll_interval)
    assert judge(shown, DEFAULT_POLICY).edge == "silent"
    sooner = replace(shown, until=end.at)
    assert not judge(sooner, DEFAULT_POLICY).moved
