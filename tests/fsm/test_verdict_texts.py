"""What a verdict tells whoever reads it in the history: the numbers, of guards that are made of others too."""

from datetime import timedelta

import pytest
from builders import NOW, Story, answer, ended, job
from msgspec.structs import replace

from fsm.decision import Decision
from fsm.explain import explain
from fsm.machine import decide
from fsm.memory import Memory, Still
from fsm.policy import RecoveryPolicy
from fsm.states import Event, State


def told(decision: Decision) -> dict[str, str]:
    return {v.name: str(v) for v in decision.verdicts}


def test_the_end_by_silence_tells_what_it_rests_on() -> None:
    end = Story(job(heard=0)).hear_often("unreachable", 61, every=30)
    assert told(end) == {
        "given_up": "given_up: wants silent for too long, outage ripe, is silent_too_long: wants >= 30m, is 30m; "
        "outage_ripe: wants >= 3 like answers over 1m, is 61 over 30m"
    }


def test_a_lost_job_tells_how_long_it_was_absent_and_how_far_it_had_come() -> None:
    lost = Story(job(entered="2m", percent=90.0)).hear_often("not_found", 13)
    assert told(lost) == {
        "lost": "lost: wants absence ripe, polled long enough, not just started, is "
        "absence_ripe: wants >= 3 like answers over 1m, is 13 over 1m; polled_long_enough: wants >= 30s, is 3m; "
        "not_just_started: wants seen before, or replicating for absence_grace, is "
        "had_time_to_post: wants >= 2m, is 3m",
        "nearly_done": "nearly_done: wants > 90 %, is 90 %",
        "not_nearly_done": "not_nearly_done: wants <= 90 %, is 90 %",
    }


def test_where_the_first_answer_is_enough_no_more_are_said_to_be_wanted() -> None:
    end = Story(job(heard="30m"), policy=RecoveryPolicy(inference_ripe=0)).hear("unreachable")
    assert end.moved
    assert "outage_ripe: wants >= 1 answer, is 1 over 0s" in told(end)["given_up"]


def test_what_neither_part_lets_pass_tells_of_both() -> None:
    waiting = Memory(settling=Still(NOW - timedelta(minutes=15), None, None))
    stuck = decide(job(percent=80.0, memory=waiting), Event.VMA_UNSETTLED, answer("unsettled"), NOW)
    assert stuck.edge == "cannot_settle"
    assert [str(v) for v in stuck.refusals] == [
        "likely_complete: wants nearly done or its own key says completed, no disk visibly unfinished, is "
        "says_done: wants nearly done, or its own key says completed, is nearly_done: wants > 90 %, is 80 %; "
        "own_key_completed: wants the job's own key says completed, is the job's own key does not say completed"
    ]


def test_a_negation_tells_what_speaks_against_it() -> None:
    settling = decide(job(percent=95.0), Event.VMA_UNSETTLED, answer("unsettled"), NOW)
    assert told(settling)["not_likely_complete"] == (
        "not_likely_complete: wants completion cannot be inferred, is "
        "says_done: wants nearly done, or its own key says completed, is nearly_done: wants > 90 %, is 95 %; "
        "nothing_unfinished: wants no disk visibly unfinished, is none"
    )
    assert told(settling)["not_settled"] == "not_settled: wants < 15m, is 0s"


def test_the_instant_at_which_time_helps_is_told_once() -> None:
    early = Story(job(entered="30s")).hear_often("not_found", 13)
    assert early.edge == "absent"
    assert str(early.refusals[0]).count("from 2026-03-02 12:01:30Z on") == 1
    assert early.possible_at == NOW + timedelta(seconds=90)


@pytest.mark.parametrize("came_from", ["replicating", None])
def test_where_a_job_ended_is_not_made_up(came_from: str | None) -> None:
    memory = Memory(ended_from=State(came_from) if came_from else None)
    refused = explain(ended("failed", "inferred", memory=memory), NOW)[Event.ATTACH][0]
    assert [str(v) for v in refused.refusals] == [
        f"ended_in_setup: wants an end from a set-up state, is an end from {came_from or 'an unknown state'}"
    ]


def test_an_end_of_which_nobody_knows_how_it_came_is_called_so() -> None:
    over = replace(ended("failed"), ending=None, watched=False)
    found = {str(v) for event in (Event.FAIL, Event.REOPEN) for v in explain(over, NOW)[event][1].refusals}
    assert found >= {
        "inferred: wants an inferred end, is unexplained end",
        "revisable: wants an inferred or manual end, is unexplained end",
    }
