"""fsm.testing, as the tests of an embedding program use it."""

import sys
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import entry_points

import pytest
from pydantic import ValidationError

import fsm.testing
from fsm.decision import Outcome
from fsm.facts import Asked, Disk
from fsm.machine import decide
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.spec import EDGES
from fsm.states import Asker, Ending, Event, State
from fsm.testing import (
    NOW,
    Case,
    FrozenClock,
    Observer,
    assert_moved,
    assert_refused,
    make_evidence,
    make_job,
    transition_cases,
)

pytest_plugins = "pytester"


# --- installed as a plugin ---------------------------------------------------------------------------


def test_the_plugin_is_registered_with_pytest() -> None:
    (entry,) = entry_points(group="pytest11", name="oma_fsm")
    assert entry.value == "fsm.testing"


def test_the_fixtures_are_there_without_any_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_clock(frozen_clock, observer):
            frozen_clock.advance("5m")
            assert observer.evidence("running").observed_at == frozen_clock.now
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_run_that_does_not_use_it_loads_nothing_of_the_machine(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert "fsm.testing" in sys.modules
            assert not {"fsm.machine", "fsm.spec", "fsm.policy", "fsm.testing.cases", "transitions"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_it_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_clock(frozen_clock): pass")
    result = pytester.runpytest_subprocess("-p", "no:oma_fsm")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'frozen_clock' not found*"])


def test_everything_offered_can_be_imported_and_nothing_else_can() -> None:
    for name in fsm.testing.__all__:
        assert getattr(fsm.testing, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'make_coffee'"):
        _ = fsm.testing.make_coffee  # type: ignore[attr-defined]


# --- the clock ---------------------------------------------------------------------------------------


def test_the_clock_stands_still_until_it_is_told_to_go_on(frozen_clock: FrozenClock) -> None:
    assert (frozen_clock.now, frozen_clock()) == (NOW, NOW)
    assert frozen_clock.advance("20m") == NOW + timedelta(minutes=20)
    assert frozen_clock.advance(1.5) == NOW + timedelta(minutes=20, seconds=1.5)
    assert frozen_clock.advance(timedelta(hours=1)) == frozen_clock.now == frozen_clock()


def test_the_clock_is_set_in_any_zone_and_tells_utc(frozen_clock: FrozenClock) -> None:
    frozen_clock.set(datetime(2026, 3, 2, 7, 0, tzinfo=timezone(timedelta(hours=-5))))
    assert frozen_clock.now.isoformat() == "2026-03-02T12:00:00+00:00"
    frozen_clock.set(NOW - timedelta(days=1))
    assert frozen_clock.now < NOW


def test_the_clock_takes_no_time_without_a_zone_and_does_not_go_back_by_advancing(frozen_clock: FrozenClock) -> None:
    with pytest.raises(ValueError, match="give it a time zone"):
        frozen_clock.set(datetime(2026, 3, 2))  # noqa: DTZ001
    with pytest.raises(ValidationError):
        frozen_clock.advance(-1)
    assert frozen_clock.now == NOW


def test_the_clock_of_the_whole_program_follows_while_it_is_frozen(frozen_clock: FrozenClock) -> None:
    with frozen_clock.frozen():
        assert datetime.now(UTC) == NOW
        frozen_clock.advance("1h")
        assert datetime.now(UTC) == NOW + timedelta(hours=1)
    assert datetime.now(UTC) != frozen_clock.now
    frozen_clock.advance("1h")


def test_freezing_the_whole_program_says_what_it_needs(
    frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "freezegun", None)
    with pytest.raises(RuntimeError, match="pip install freezegun"), frozen_clock.frozen():
        pass


# --- jobs and answers ------------------------------------------------------------------------------


def test_a_job_has_been_in_its_state_and_was_heard_of_as_asked() -> None:
    job = make_job("attaching", age="5m", heard="30s", percent=25, job_id="job-1")
    assert (job.state, job.job_id, job.ending, job.watched) == (State.ATTACHING, "job-1", None, False)
    assert (NOW - job.entered_at, NOW - (job.heard_at or NOW)) == (timedelta(minutes=5), timedelta(seconds=30))
    assert job.bytes_transferred * 4 == job.total_bytes == job.disks[0].capacity_bytes
    assert make_job().heard_at is None


@pytest.mark.parametrize(("ending", "watched"), [(None, True), ("inferred", True), ("manual", False)])
def test_an_ended_job_is_under_watch_exactly_if_its_end_is_inferred(ending: str | None, watched: bool) -> None:
    job = make_job("failed", ending=ending)
    assert (job.ending, job.watched, job.polled) == (Ending(ending or "inferred"), watched, watched)


def test_a_percentage_is_spread_over_the_disks_of_the_job() -> None:
    job = make_job(disks=(Disk("disk-2000", "v-1", 1000), Disk("disk-2001", "v-2", 3000)))
    evidence = make_evidence("running", percent=50, job=job)
    assert [d.bytes_transferred for d in evidence.disks] == [500, 1500]
    after = decide(job, Event.VMA_RUNNING, evidence, NOW).after
    assert (after.percent, after.bytes_transferred) == (50.0, 2000)


def test_a_series_of_answers_is_heard_at_its_pace(frozen_clock: FrozenClock, observer: Observer) -> None:
    decisions = observer.hear(make_job(heard=0), "not_found", times=4, every="10s")
    assert [(d.at - NOW).total_seconds() for d in decisions] == [0, 10, 20, 30]
    assert [d.before for d in decisions[1:]] == [d.after for d in decisions[:-1]]
    assert frozen_clock.now == NOW + timedelta(seconds=30)
    assert {d.asked.by for d in decisions} == {Asker.POLL}


def test_silence_is_measured_anew_after_a_restart(observer: Observer) -> None:
    job = observer.hear(make_job(heard="1h"), "unreachable", times=2, every="5m")[-1].after
    (after_restart,) = observer.restart(downtime="10m").hear(job, "unreachable")
    assert after_restart.edge == "unreachable"
    observer.clock.advance("30s")
    once_more = observer.hear(after_restart.after, "unreachable", times=2, every="30s")
    assert [d.edge for d in once_more] == ["unreachable", "silent"]


def test_an_observer_may_have_numbers_of_its_own() -> None:
    hasty = Observer(policy=RecoveryPolicy(unreachable_after=timedelta(minutes=1)))
    assert_moved(hasty.hear(make_job(heard=0), "unreachable", times=3, every="30s")[-1], "failed", "inferred")


# --- cases -------------------------------------------------------------------------------------------


def test_there_is_a_case_for_every_edge_from_every_state() -> None:
    cases = transition_cases()
    assert sorted(map(str, cases)) == sorted(f"{s or 'new'}-{e.name}" for e in EDGES for s in e.sources)


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, RecoveryPolicy(inference_answers=7, nearly_done_percent=50)])
def test_what_must_come_of_a_case_comes_of_it(policy: RecoveryPolicy) -> None:
    for case in transition_cases(policy):
        decision = case.decide(policy)
        found = (decision.edge, decision.source, decision.outcome, decision.after.state, decision.after.ending)
        assert found == (case.edge, case.source, case.outcome, case.target, case.ending), str(case)
        assert (decision.effects, decision.at) == (case.effects, case.now), str(case)


def test_a_case_is_decided_by_the_numbers_that_it_was_made_for() -> None:
    hasty = RecoveryPolicy(grace_attaching=timedelta(seconds=10), unreachable_after=timedelta(seconds=20))
    for case in transition_cases(hasty):
        assert case.decide().edge == case.edge, str(case)
    assert any(case.decide(DEFAULT_POLICY).edge != case.edge for case in transition_cases(hasty))


@pytest.mark.parametrize("limit", ["unreachable_after", "grace_attaching", "polling_grace", "completion_settle"])
def test_there_is_a_case_for_every_edge_however_long_the_patience(limit: str) -> None:
    patient = RecoveryPolicy(**{limit: timedelta(days=36_500)})  # type: ignore[arg-type]
    assert len(transition_cases(patient)) == len(transition_cases())
    assert all(case.decide(patient).edge == case.edge for case in transition_cases(patient))


def test_an_edge_that_nothing_leads_over_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsm.testing.cases.situations", lambda *_: ())
    with pytest.raises(LookupError, match=r"no situation leads from \(new\) over create"):
        transition_cases(RecoveryPolicy(inference_answers=8))


@pytest.mark.parametrize("case", [c for c in transition_cases() if c.outcome is Outcome.MOVED], ids=str)
def test_a_case_says_why_it_moves(case: Case) -> None:
    assert case.why
    assert_moved(case.decide(), case.target, case.ending)


# --- assertions --------------------------------------------------------------------------------------

ANNA = Asked(Asker.OPERATOR, "anna")


def test_a_refusal_by_other_guards_than_expected_says_which() -> None:
    decision = decide(make_job(), Event.FAIL, None, NOW, asked=ANNA)
    assert_refused(decision)
    assert_refused(decision, because=["by_workflow", "has_reason"])
    with pytest.raises(AssertionError, match="expected a refusal by has_reason;"):
        assert_refused(decision, because="has_reason")
    with pytest.raises(AssertionError) as failed:
        assert_refused(decision, because="by_operator")
    assert str(failed.value).splitlines() == [
        "expected a refusal by by_operator; the decision was:",
        f"  {decision.says}",
        "guards that said no:",
        "  by_workflow: wants the workflow, is operator",
        "  has_reason: wants a reason is given, is no reason given",
    ]


@pytest.mark.parametrize(("state", "event"), [("replicating", Event.START), ("configuring", Event.START)])
def test_an_event_that_is_accepted_or_illegal_is_not_refused(state: str, event: Event) -> None:
    with pytest.raises(AssertionError, match="expected a refusal; the decision was"):
        assert_refused(decide(make_job(state), event, None, NOW))


@pytest.mark.parametrize(
    ("to", "ending", "said"),
    [
        ("failed", "confirmed", "expected a move to failed"),
        ("completed", "inferred", "expected the ending inferred"),
        ("completed", None, "expected no ending"),
    ],
)
def test_a_move_elsewhere_or_with_another_ending_says_where_it_went(to: str, ending: str | None, said: str) -> None:
    decision = decide(make_job(), Event.VMA_COMPLETED, make_evidence("completed"), NOW)
    assert_moved(decision, to="completed", ending="confirmed")
    with pytest.raises(AssertionError, match=rf"{said}; the decision was:\n  vma_completed: replicating -> completed"):
        assert_moved(decision, to=to, ending=ending)


def test_a_job_that_stayed_has_not_moved_and_the_guards_say_why() -> None:
    stayed = decide(make_job(heard="29m"), Event.VMA_UNREACHABLE, make_evidence("unreachable"), NOW)
    with pytest.raises(AssertionError, match=r"(?s)stayed replicating\nguards that said no:\n  given_up: wants"):
        assert_moved(stayed, to="replicating")


def test_a_word_that_is_no_state_is_a_mistake_in_the_test_and_not_a_failure() -> None:
    with pytest.raises(ValueError, match="not a valid State"):
        assert_moved(decide(make_job(), Event.VMA_COMPLETED, make_evidence("completed"), NOW), to="complete")
