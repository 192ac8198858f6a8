"""What a wall clock says has passed, less what it was set."""

from datetime import datetime, timedelta

import pytest
from builders import LONG_UP, NOW, answer, job, span
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from fsm import guards as g
from fsm.clock import ClockStep, elapsed
from fsm.facts import Asked, JobFacts, later
from fsm.guard import Guard
from fsm.machine import decide_on
from fsm.memory import Memory, Still, Streak
from fsm.states import Asker, Event, State, Verdict
from fsm.witnesses import TICK, plain

POLL = Asked(Asker.POLL)
FORWARD = ClockStep(NOW, NOW + span("2h"))
BACK = ClockStep(NOW, NOW - span("1h"))


@pytest.mark.parametrize(
    ("since", "now", "steps", "passed"),
    [
        ("-10m", "0s", (), "10m"),
        ("5m", "0s", (), "0s"),
        ("-10m", "2h 5m", (FORWARD,), "15m"),
        ("2h 1m", "2h 5m", (FORWARD,), "4m"),
        ("-2h", "-55m", (BACK,), "1h 5m"),  # told by whose clock? the lesser age
        ("-30m", "-55m", (BACK,), "35m"),
        ("-30m", "-20m", (BACK,), "10m"),  # read before the step or after it? the lesser age
        ("-54m 30s", "-55m", (BACK,), "0s"),  # a replica whose clock is half a minute ahead has just told it
        ("-10m", "1h", (FORWARD, ClockStep(NOW + span("2h"), NOW)), "1h 10m"),
        ("-30m", "5m", (FORWARD, ClockStep(NOW + span("2h"), NOW)), "35m"),  # set wrong and put right
    ],
)
def test_time_passed(since: str, now: str, steps: tuple[ClockStep, ...], passed: str) -> None:
    assert elapsed(at(since), at(now), steps) == length(passed)


def length(written: str) -> timedelta:
    """'2h 5m', '-30m'."""
    total = sum((span(part.lstrip("-")) for part in written.split()), timedelta(0))
    return -total if written.startswith("-") else total


def at(written: str) -> datetime:
    return NOW + length(written)


@given(before=st.floats(0, 9000), after=st.floats(0, 9000), ahead=st.floats(-7200, 7200).filter(lambda s: abs(s) > 10))
def test_no_step_makes_more_time_pass_than_did(before: float, after: float, ahead: float) -> None:
    since = NOW - timedelta(seconds=before)
    step = ClockStep(NOW, NOW + timedelta(seconds=ahead))
    now = step.after + timedelta(seconds=after)
    passed, told = timedelta(seconds=before + after), elapsed(since, now, (step,))
    assert told <= passed + timedelta(microseconds=2)
    if ahead > 0:
        assert told >= passed - timedelta(microseconds=2), "nor less, unless an hour came twice"


def _setup() -> JobFacts:
    return job("attaching", entered="1m")


def _silent() -> JobFacts:
    ripe = Streak(NOW - span("2m"), LONG_UP.name, 0.0, 863_990.0, 9)
    return job(heard="2m", memory=Memory(unreachable=ripe))


def _settling() -> JobFacts:
    return job(heard="1m", percent=95.0, memory=Memory(settling=Still(NOW - span("1m"), None, None)))


def _garbled() -> JobFacts:
    return job(memory=Memory(unintelligible_since=NOW - span("1m")))


CASES = {
    "not_found": (_setup, "setup_lost"),
    "unreachable": (_silent, "silent"),
    "unsettled": (_settling, "settled"),
    "unintelligible": (_garbled, "garbled_long"),
}


@pytest.mark.parametrize("verdict", CASES)
def test_no_verdict_comes_of_a_clock_that_was_set_forward(verdict: str) -> None:
    make, rule = CASES[verdict]
    facts, later = make(), NOW + span("2h")
    told = replace(answer(Verdict(verdict), later, LONG_UP), uptime=864_000.0)
    by_the_clock = decide_on(facts, told, later, asked=POLL)
    known = decide_on(facts, replace(told, steps=(FORWARD,)), later, asked=POLL)
    assert by_the_clock.edge == rule, "two hours that did pass"
    assert known.edge != rule
    assert not known.moved


AGED = (
    (g.setup_timed_out, State.ATTACHING, Event.VMA_NOT_FOUND, "entered_at"),
    (g.had_time_to_post, State.REPLICATING, Event.VMA_NOT_FOUND, "entered_at"),
    (g.silent_too_long, State.REPLICATING, Event.VMA_UNREACHABLE, "heard_at"),
)


@example(AGED[2], 2400, 300, -3600)
@given(st.sampled_from(AGED), st.integers(-9000, 9000), st.integers(0, 9000), st.integers(-9000, 9000))
def test_an_age_says_when_it_reaches_its_limit_whatever_the_clock_was_set(
    aged: tuple[Guard, State, Event, str], since: int, stepped: int, ahead: int
) -> None:
    """A time that lies ahead, as another replica told it, or as an hour comes twice, is waited for first."""
    guard, state, event, field = aged
    s = plain(state, event)
    set_at = s.now - timedelta(seconds=stepped)
    steps = (ClockStep(set_at - timedelta(seconds=ahead), set_at),) if ahead else ()
    facts = replace(s.facts, **{field: s.now + timedelta(seconds=since)})
    s = replace(s, facts=facts, evidence=replace(s.evidence, steps=steps))
    flips_at = guard(s).flips_at
    assert (flips_at is None) == guard.passes(s)
    if flips_at is not None:
        assert guard.passes(later(s, flips_at - s.now))
        assert not guard.passes(later(s, flips_at - s.now - TICK))
