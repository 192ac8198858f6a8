"""What a decision writes into the job, and what it says about it."""

from dataclasses import replace as altered
from typing import Any

import pytest
from builders import (
    LONG_UP,
    NO_VOLUME,
    NOW,
    OPERATOR,
    TWO_DISKS,
    WORKFLOW,
    Story,
    answer,
    disk,
    ended,
    job,
    span,
)
from msgspec.structs import replace

from fsm.decision import Decision, Outcome
from fsm.facts import Asked, VmFacts
from fsm.guard import Guard, Sight
from fsm.machine import decide, decide_on
from fsm.memory import Memory, Still, Streak
from fsm.policy import RecoveryPolicy
from fsm.spec import EDGES
from fsm.states import Asker, Attention, Ending, Event, RecoveryMethod, State

RIPE = Streak(NOW, LONG_UP.name, 0.0, 1.0, 9)


def test_a_confirmed_completion_is_at_100_percent_and_an_inferred_one_where_it_was_seen() -> None:
    done = decide(job(percent=30.0), Event.VMA_COMPLETED, answer("completed"), NOW).after
    assert (done.percent, done.bytes_transferred) == (100.0, 1000)
    facts = job(percent=95.0, heard="2m", memory=Memory(not_found=RIPE))
    inferred = decide(facts, Event.VMA_NOT_FOUND, answer("not_found"), NOW).after
    assert (inferred.ending, inferred.percent, inferred.bytes_transferred) == (Ending.INFERRED, 95.0, 950)


@pytest.mark.parametrize("facts", [job("replicating", percent=40.0), ended("completed", percent=40.0)])
def test_a_confirmed_failure_stays_where_it_was_seen(facts: Any) -> None:
    for event, told in ((Event.VMA_FAILED, answer("failed")), (Event.FAIL, None)):
        after = decide(facts, event, told, NOW, asked=WORKFLOW).after
        assert (after.ending, after.percent, after.bytes_transferred) == (Ending.CONFIRMED, 40.0, 400)


def test_an_operators_word_moves_no_bytes() -> None:
    """Else a job completed by mistake at 40 %, and reopened, would be taken for nearly done when it is lost."""
    story = Story(job(percent=40.0, heard="2m"))
    story.ask(Event.COMPLETE, OPERATOR)
    assert (story.facts.percent, story.facts.bytes_transferred) == (40.0, 400)
    story.ask(Event.REOPEN, OPERATOR)
    story.wait("3m")
    assert story.hear_often("not_found", 3, 30).after.state is State.FAILED


def test_an_end_needs_no_operator_any_more() -> None:
    story = Story(job(percent=40.0))
    story.hear("unsettled", percent=40.0)
    story.wait("15m").hear("unsettled", percent=40.0)
    assert story.facts.memory.attention is Attention.CANNOT_SETTLE
    story.ask(Event.COMPLETE, OPERATOR)
    assert story.facts.memory.attention is None
    assert story.facts.memory.attention_since is None


def test_a_reopened_job_starts_with_clean_counters() -> None:
    mark = Still(NOW, 1, 1.0)
    memory = Memory(RIPE, RIPE, settling=mark, still=mark, ended_from=State.REPLICATING)
    memory = memory.attend(Attention.RUNS_BESIDE_NEWER, NOW)
    after = decide(ended("failed", memory=memory), Event.REOPEN, None, NOW, asked=OPERATOR).after
    assert after.memory == Memory()
    assert after.ending is None
    assert not after.watched


def test_how_a_recovery_went_is_kept_until_something_else_is_decided() -> None:
    story = Story(job())
    story.hear("running", asked=Asked(Asker.STARTUP))
    story.wait(5).hear("not_found")
    assert story.facts.recovery_method == RecoveryMethod.VMA_VALIDATED


def test_an_operator_who_changes_nothing_decided_nothing() -> None:
    assert decide(job(), Event.START, None, NOW, asked=OPERATOR).after.recovery_method is None


def _refused(*ways: tuple[int | None, ...]) -> Decision:
    """A refusal: on each way, in how many minutes its guards would pass (None: not by the clock)."""

    def guard(passed: bool, minutes: float | None) -> Guard:
        at = None if minutes is None else NOW + span(60 * minutes)
        return Guard("g", "g", lambda _: passed, lambda _: Sight("x", "y", at))

    guards = ((*(guard(False, m) for m in way), guard(True, 540)) for way in ways)
    tried = tuple(altered(EDGES[0], name=f"way-{n}", guards=x) for n, x in enumerate(guards))
    return replace(decide(job(), Event.COMPLETE, None, NOW), tried=tried)


@pytest.mark.parametrize(
    ("ways", "possible"),
    [
        ([(1, 3, 2)], 3),
        ([(1, None)], None),
        ([(None,)], None),
        ([(5,), (2, 3)], 3),
        ([(None, 1), (4,)], 4),
        ([(None,), (None,)], None),
        ([], None),
    ],
    ids=str,
)
def test_an_event_is_possible_once_all_guards_of_its_first_way_have_passed(
    ways: list[tuple[int | None, ...]], possible: int | None
) -> None:
    assert _refused(*ways).possible_at == (None if possible is None else NOW + span(60 * possible))


def test_a_job_that_stays_tells_when_it_will_move_though_not_on_every_way() -> None:
    """Under 90 % it can be lost, and never be lost when nearly done."""
    story = Story(job(heard=None, entered="1:00", percent=50.0, memory=Memory(not_found=RIPE)))
    stayed = story.hear("not_found")
    assert (stayed.edge, stayed.possible_at) == ("absent", NOW + span("1m"))


def test_progress_of_an_older_copy_is_not_recorded_beside_a_newer_job() -> None:
    facts = ended("failed", percent=40.0, vm_taken=True)
    after = decide(facts, Event.VMA_RUNNING, answer("running", percent=70.0), NOW).after
    assert (after.percent, after.bytes_transferred, after.state) == (40.0, 400, State.FAILED)


@pytest.mark.parametrize(
    ("verdict", "facts", "evidence", "method"),
    [
        ("running", job(), {}, RecoveryMethod.VMA_VALIDATED),
        ("running", job("attaching"), {}, RecoveryMethod.VMA_VALIDATED),
        ("completed", job(), {}, RecoveryMethod.VMA_VALIDATED),
        ("failed", job(), {}, RecoveryMethod.VMA_VALIDATED),
        ("unsettled", ended("failed"), {"own_key_completed": True}, RecoveryMethod.VMA_VALIDATED),
        ("not_found", job("attaching", entered="6m"), {}, RecoveryMethod.TIMEOUT),
        ("not_found", job(heard="2m", memory=Memory(not_found=RIPE)), {}, RecoveryMethod.TIMEOUT),
        ("unreachable", job(heard="31m", memory=Memory(unreachable=RIPE)), {}, RecoveryMethod.TIMEOUT),
        ("not_found", job(heard="2m"), {}, None),
        ("unreachable", job(heard="2m"), {}, None),
        ("unsettled", job(), {}, None),
    ],
)
@pytest.mark.parametrize("asker", [Asker.STARTUP, Asker.TRIGGER])
def test_a_recovery_is_booked_even_if_nothing_moved(
    verdict: str, facts: Any, evidence: dict[str, Any], method: RecoveryMethod | None, asker: Asker
) -> None:
    told = answer(verdict, **evidence)
    after = decide_on(facts, told, NOW, asked=Asked(asker)).after
    assert after.recovery_attempted
    assert after.recovery_method == method


@pytest.mark.parametrize("asker", [Asker.POLL, Asker.MONITOR])
def test_the_steady_poll_is_no_recovery(asker: Asker) -> None:
    after = decide_on(job(), answer("running"), NOW, asked=Asked(asker)).after
    assert not after.recovery_attempted
    assert after.recovery_method is None


def test_a_poll_that_decides_what_a_recovery_left_open_says_how() -> None:
    story = Story(job(heard="2m"))
    story.hear("not_found", asked=Asked(Asker.STARTUP))
    assert story.facts.recovery_method is None
    story.wait(30).hear_often("not_found", 2, 30)
    assert (story.facts.state, story.facts.recovery_method) == (State.FAILED, RecoveryMethod.TIMEOUT)
    story.hear("running")
    assert story.facts.recovery_method == RecoveryMethod.VMA_VALIDATED


def test_an_operator_who_decides_is_the_method() -> None:
    after = decide(job(), Event.FAIL, None, NOW, asked=OPERATOR).after
    assert after.recovery_method == RecoveryMethod.MANUAL
    assert decide(job(), Event.FAIL, None, NOW, asked=WORKFLOW).after.recovery_method is None


def test_a_disabled_grace_ends_at_once() -> None:
    policy = RecoveryPolicy(grace_attaching=0)
    decision = decide(job("attaching", entered=0), Event.VMA_NOT_FOUND, answer("not_found"), NOW, policy=policy)
    assert decision.edge == "setup_lost"
    assert decision.policy == policy.fingerprint


def test_progress_is_recorded_when_a_job_returns_to_life_but_not_when_its_failure_is_confirmed() -> None:
    facts = ended("failed", percent=40.0)
    assert decide(facts, Event.VMA_RUNNING, answer("running", percent=70.0), NOW).after.percent == 70.0
    told = answer("failed", percent=70.0, disks=(disk(bytes_transferred=1400, total_bytes=2000),))
    broke = decide(facts, Event.VMA_FAILED, told, NOW).after
    assert (broke.percent, broke.bytes_transferred, broke.total_bytes) == (40.0, 400, 1000)


def test_who_asks_is_the_poll_for_an_answer_and_the_workflow_for_all_else() -> None:
    assert decide(job(), Event.VMA_RUNNING, answer("running"), NOW).asked.by is Asker.POLL
    assert decide(job(), Event.START, None, NOW).asked.by is Asker.WORKFLOW


def test_a_refusal_names_the_disk_without_a_volume_and_a_job_without_disks_is_never_ready() -> None:
    assert "is no volume for disk-2000" in decide(job("configuring", disks=NO_VOLUME), Event.READY, None, NOW).says
    without = decide(job("configuring", disks=()), Event.READY, None, NOW)
    assert without.outcome is Outcome.REFUSED
    assert "is 0 disks" in without.says


def test_an_end_that_cannot_be_inferred_names_the_disk_that_is_unfinished() -> None:
    story = Story(job())
    story.hear("unsettled", percent=95.0, unfinished=True)
    stuck = story.wait("15m").hear("unsettled", percent=95.0, unfinished=True)
    assert "nothing_unfinished: wants no disk visibly unfinished, is disk-2000" in " ".join(map(str, stuck.refusals))


def test_a_job_that_was_never_polled_is_as_good_as_polled_since_its_creation() -> None:
    facts = replace(job(heard="2m", created="29s", memory=Memory(not_found=RIPE)), polling_since=None)
    assert decide(facts, Event.VMA_NOT_FOUND, answer("not_found"), NOW).edge == "absent"
    assert decide(replace(facts, created_at=NOW - span("30s")), Event.VMA_NOT_FOUND, answer("not_found"), NOW).moved


def test_a_watched_copy_that_was_not_asked_about_says_so() -> None:
    vm = VmFacts(watched_job="job-6")
    assert "is job-6 is not asked" in decide(job("initializing", version=0), Event.CREATE, None, NOW, vm=vm).says


def test_an_export_is_named_after_its_volume() -> None:
    assert [d.export_name for d in (*TWO_DISKS, *NO_VOLUME)] == ["migration-vol-vol-a", "migration-vol-vol-b", None]
