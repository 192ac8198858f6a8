"""The clocks of one run of our process: what is counted by which, and what happens when somebody sets one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from structlog.testing import capture_logs
from vma_answers import EXPORT_A, GIB, NOW, A, absent, by_key, done, question

from fsm.clock import ClockStep
from fsm.evidence import Evidence
from fsm.states import Verdict
from vma.client import VmaClient
from vma.composite import Hearing, compose
from vma.observer import KEPT, Observer


class Clocks:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOW, 100.0
        self.observer = Observer(lambda: self.wall, lambda: self.seconds)

    def pass_time(self, seconds: float, set_forward: float = 0.0) -> datetime:
        """Time passes, and somebody sets the wall clock forward, or back; what it says then."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds + set_forward)
        return self.observer.now()


def test_an_observer_tells_its_uptime_by_the_monotonic_clock() -> None:
    ticks = iter([100.0, 100.0, 131.5])
    us = Observer(clock=lambda: NOW, monotonic=lambda: next(ticks))
    assert (us.uptime(), us.uptime()) == (0.0, 31.5)


def test_every_observer_has_an_id_of_its_own() -> None:
    assert len({Observer().id for _ in range(3)}) == 3
    assert len(Observer().id) == 32


def test_the_wall_clock_is_aware_utc() -> None:
    assert Observer().now().utcoffset() == timedelta(0)


@pytest.mark.parametrize("ahead", [7200.0, -3600.0, 10.0, -10.0])
def test_a_clock_that_is_set_is_noticed_once_and_said(ahead: float) -> None:
    clocks = Clocks()
    clocks.pass_time(300)
    with capture_logs() as logs:
        assert clocks.pass_time(5, ahead) == NOW + timedelta(seconds=305 + ahead)
        clocks.pass_time(5)
    due = NOW + timedelta(seconds=305)
    assert clocks.observer.steps == (ClockStep(due, due + timedelta(seconds=ahead)),)
    assert [line["seconds_ahead"] for line in logs] == [ahead]


class Paused(datetime):
    """A reading whose reader is stopped while he compares it."""

    def __sub__(self, other: Any) -> Any:
        meanwhile()
        return datetime.fromtimestamp(self.timestamp(), UTC) - other


def meanwhile() -> None:
    """Set by the test."""


def test_a_step_that_two_threads_come_upon_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One has read both clocks and is stopped there; the clock is set; another notices it; the first goes on."""
    clocks, other, noticed = Clocks(), ThreadPoolExecutor(1), Event()

    def look() -> None:
        clocks.observer.now()
        noticed.set()

    def set_and_look() -> None:
        clocks.wall = NOW + timedelta(hours=1)
        other.submit(look)
        noticed.wait(0.05)  # it has to wait for the first

    monkeypatch.setattr(f"{__name__}.meanwhile", set_and_look)
    clocks.wall = Paused.fromtimestamp(NOW.timestamp(), UTC)
    clocks.observer.now()
    other.shutdown()
    clocks.observer.now()
    assert len(clocks.observer.steps) == 1


def test_a_clock_that_is_slewed_or_only_looked_at_seldom_was_not_set() -> None:
    clocks = Clocks()
    for _ in range(20):
        clocks.pass_time(5, 0.5)
    clocks.pass_time(86_400, 9.9)
    assert clocks.observer.steps == ()


def test_only_the_last_steps_are_kept() -> None:
    clocks = Clocks()
    for _ in range(KEPT + 3):
        clocks.pass_time(5, 60)
    assert len(clocks.observer.steps) == KEPT
    assert clocks.observer.steps[-1].after == clocks.wall


def test_an_end_left_by_an_earlier_run_is_not_taken_for_this_job_s_because_our_clock_was_set() -> None:
    """A run of an hour and a half, and a job of one hour; set forward by two, the job would seem older than the run."""
    clocks = Clocks()
    step = ClockStep(NOW, NOW + timedelta(hours=2))
    left = done(EXPORT_A, GIB, start=NOW - timedelta(hours=1, minutes=30))
    asked = question(A, created_at=NOW - timedelta(hours=1))
    answers = by_key(left, absent(asked.job_id))

    def verdict(steps: tuple[ClockStep, ...]) -> Verdict:
        hearing = Hearing(asked, answers, step.after, steps)
        return compose(hearing, observer=clocks.observer.id, uptime=7200.0).verdict

    assert verdict(()) is Verdict.COMPLETED, "what an hour of the clock would do"
    assert verdict((step,)) is Verdict.NOT_FOUND


@pytest.mark.parametrize("ours", [-59.0, 2.0], ids=["a minute ago", "by a replica that is two seconds ahead"])
def test_nor_because_our_clock_was_set_back(ours: float) -> None:
    step = ClockStep(NOW + timedelta(hours=2), NOW)
    left = done(EXPORT_A, GIB, start=NOW - timedelta(hours=1, minutes=30))
    asked = question(A, created_at=NOW + timedelta(seconds=ours))
    answers = by_key(left, absent(asked.job_id))
    hearing = Hearing(asked, answers, NOW, (step,))
    assert compose(hearing, observer="us", uptime=7200.0).verdict is Verdict.NOT_FOUND


def test_what_a_client_hears_says_by_what_our_clock_was_set() -> None:
    clocks = Clocks()
    clocks.pass_time(5, 3600)

    async def story() -> Evidence:
        client = VmaClient("http://127.0.0.1:9", observer=clocks.observer)
        evidence = await client.ask(question(A))
        await client.aclose()
        return evidence

    assert asyncio.run(story()).steps == clocks.observer.steps != ()
