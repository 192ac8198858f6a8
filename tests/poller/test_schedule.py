"""The schedule: who is asked next, and never twice at once."""

import random

import pytest

from fsm.facts import Asked
from fsm.states import Asker
from poller.schedule import POLL, Schedule

STARTUP, TRIGGER, MONITOR = Asked(Asker.STARTUP), Asked(Asker.TRIGGER, "anna"), Asked(Asker.MONITOR)


def scheduled(**due: float) -> Schedule:
    """Jobs with the times at which they are due."""
    schedule = Schedule()
    for job_id, at in due.items():
        schedule.put(job_id, at)
    return schedule


def taken(schedule: Schedule, now: float, limit: int = 500) -> list[str]:
    return [job_id for job_id, _ in schedule.take_due(now, limit=limit)]


def test_the_earliest_due_comes_first_and_what_is_not_due_stays() -> None:
    schedule = scheduled(b=2.0, a=1.0, c=3.0)
    assert schedule.next_due() == 1.0
    assert taken(schedule, 2.0) == ["a", "b"]
    assert schedule.next_due() == 3.0
    assert taken(schedule, 2.999) == []
    assert taken(schedule, 3.0) == ["c"], "exactly due is due"


def test_a_job_in_flight_is_not_taken_again_however_often_it_is_put() -> None:
    schedule = scheduled(a=1.0)
    assert taken(schedule, 1.0) == ["a"]
    for now in (1.0, 2.0, 500.0):
        schedule.put("a", now)
        assert taken(schedule, now) == []
    assert schedule.next_due() is None


def test_a_job_that_was_wanted_meanwhile_is_asked_again_at_once_and_only_once() -> None:
    schedule = scheduled(a=1.0)
    schedule.take_due(1.0)
    schedule.put("a", 1.5)
    schedule.put("a", 1.6)
    schedule.done("a", due=7.0, now=2.0)
    assert taken(schedule, 2.0) == ["a"]
    schedule.done("a", due=7.0, now=2.1)
    assert taken(schedule, 6.9) == []
    assert taken(schedule, 7.0) == ["a"]


def test_put_brings_a_job_forward_and_never_back() -> None:
    schedule = scheduled(a=5.0)
    schedule.put("a", 9.0)
    assert schedule.next_due() == 5.0
    schedule.put("a", 2.0)
    assert taken(schedule, 2.0) == ["a"]
    schedule.done("a", 30.0, 2.0)
    assert taken(schedule, 29.0) == [], "what was left of the earlier times is worth nothing"


def test_at_most_the_limit_is_taken_and_the_rest_comes_next() -> None:
    schedule = scheduled(**{f"j{n:04d}": 0.0 for n in range(1100)})
    rounds = [taken(schedule, 0.0) for _ in range(4)]
    assert [len(r) for r in rounds] == [500, 500, 100, 0]
    assert len({job_id for r in rounds for job_id in r}) == 1100


def test_a_dropped_job_is_neither_taken_nor_brought_back_by_its_late_answer() -> None:
    schedule = scheduled(a=1.0, b=1.0)
    schedule.take_due(1.0, limit=1)
    schedule.drop("a")
    schedule.drop("b")
    schedule.drop("never-there")
    schedule.done("a", 2.0, 1.5)
    assert (len(schedule), "a" in schedule, schedule.next_due()) == (0, False, None)
    assert taken(schedule, 99.0) == []


def test_a_job_dropped_and_put_again_is_due_when_it_was_put_for() -> None:
    schedule = scheduled(a=1.0)
    schedule.drop("a")
    schedule.put("a", 8.0)
    assert taken(schedule, 7.9) == []
    assert taken(schedule, 8.0) == ["a"]


@pytest.mark.parametrize("later", [POLL, MONITOR])
@pytest.mark.parametrize("in_flight", [False, True])
def test_a_recovery_s_question_is_not_forgotten_when_somebody_else_wants_to_know_too(
    later: Asked, in_flight: bool
) -> None:
    schedule = scheduled(a=1.0)
    if in_flight:
        schedule.take_due(1.0)
    schedule.put("a", 1.0, TRIGGER)
    schedule.put("a", 1.0, later)
    if in_flight:
        schedule.done("a", 6.0, 1.0)
    assert schedule.take_due(1.0) == [("a", TRIGGER)]
    schedule.done("a", 6.0, 1.0)
    assert schedule.take_due(6.0) == [("a", POLL)], "asked for once, not for ever"


def test_a_later_recovery_and_the_monitor_are_named_instead_of_the_poll() -> None:
    schedule = scheduled(a=1.0, b=1.0)
    schedule.put("a", 1.0, MONITOR)
    schedule.put("a", 1.0, STARTUP)
    schedule.put("b", 1.0, MONITOR)
    assert dict(schedule.take_due(1.0)) == {"a": STARTUP, "b": MONITOR}


def test_a_lost_question_is_put_again_for_whoever_wanted_it() -> None:
    schedule = scheduled(a=1.0)
    schedule.put("a", 1.0, STARTUP)
    schedule.take_due(1.0)
    schedule.lost("a")
    schedule.put("a", 40.0, MONITOR)
    assert schedule.take_due(40.0) == [("a", STARTUP)]
    schedule.lost("unknown")
    assert "unknown" not in schedule


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_nobody_is_asked_twice_at_once_and_nobody_is_forgotten(seed: int) -> None:
    chance, schedule, now = random.Random(seed), Schedule(), 0.0
    flying: set[str] = set()
    expected: dict[str, float] = {}
    for _ in range(400):
        job_id, now = f"j{chance.randrange(6)}", now + chance.choice((0.0, 0.0, 0.5))
        match chance.randrange(4):
            case 0:
                due = now + chance.choice((0.0, 2.0))
                schedule.put(job_id, due)
                earlier = expected.get(job_id, due)
                expected[job_id] = now if job_id in flying else min(earlier, due)
            case 1:
                schedule.drop(job_id)
                flying.discard(job_id)
                expected.pop(job_id, None)
            case 2:
                due_jobs = {j for j, at in expected.items() if at <= now and j not in flying}
                got = taken(schedule, now)
                assert sorted(got) == sorted(due_jobs)
                flying |= due_jobs
                expected |= dict.fromkeys(due_jobs, float("inf"))
            case 3 if job_id in flying:
                schedule.done(job_id, now + 1.0, now)
                flying.discard(job_id)
                expected[job_id] = now if expected[job_id] != float("inf") else now + 1.0
        assert len(schedule) == len(expected)
        waiting = [at for j, at in expected.items() if j not in flying]
        assert schedule.next_due() == min(waiting, default=None)
