"""The pace of polling, number by number."""

from datetime import timedelta

import pytest
from model_vma import NOON

from fsm.cadence import interval
from fsm.facts import JobFacts
from fsm.policy import RecoveryPolicy
from fsm.states import ACTIVE, Ending, State

POLICY = RecoveryPolicy()


def job(state: State = State.REPLICATING, percent: float = 50.0, entered_ago: float = 3600.0) -> JobFacts:
    entered = NOON - timedelta(seconds=entered_ago)
    ending = None if state in ACTIVE else Ending.INFERRED
    return JobFacts("j", state, entered, entered, ending=ending, watched=ending is not None, percent=percent)


def seconds(
    facts: JobFacts, errors: int = 0, retry_after: float | None = None, policy: RecoveryPolicy = POLICY
) -> float:
    return interval(facts, errors, NOON, policy, retry_after).total_seconds()


@pytest.mark.parametrize(("errors", "pace"), [(0, 5), (1, 10), (2, 20), (3, 30), (4, 30), (17, 30), (10**9, 30)])
@pytest.mark.parametrize("state", ACTIVE)
def test_errors_slow_an_active_job_from_5_over_10_and_20_to_30_seconds_and_never_further(
    state: State, errors: int, pace: float
) -> None:
    assert seconds(job(state), errors) == pace


@pytest.mark.parametrize(("percent", "pace"), [(0, 5), (94.9, 5), (95, 2), (99.9, 2), (100, 2)])
def test_from_95_percent_on_a_job_is_asked_every_2_seconds(percent: float, pace: float) -> None:
    assert seconds(job(percent=percent)) == pace


def test_errors_near_the_end_slow_down_too_and_end_at_the_same_pace() -> None:
    assert [seconds(job(percent=99), n) for n in range(6)] == [2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(("ago", "pace"), [(0, 5), (599.9, 5), (600, 60), (86_400, 60)])
@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
def test_a_watched_end_is_asked_every_5_seconds_for_10_minutes_then_every_minute(
    state: State, ago: float, pace: float
) -> None:
    assert seconds(job(state, percent=99, entered_ago=ago)) == pace


def test_errors_never_make_a_watch_faster_than_it_is_or_slower_than_its_own_pace() -> None:
    assert [seconds(job(State.FAILED, entered_ago=60), n) for n in range(4)] == [5, 10, 20, 30]
    assert [seconds(job(State.FAILED, entered_ago=6000), n) for n in range(4)] == [60, 60, 60, 60]


@pytest.mark.parametrize(
    ("asked_for", "errors", "pace"),
    [(None, 1, 10), (0, 1, 10), (7, 1, 10), (45, 1, 45), (60, 9, 60), (61, 0, 60), (10.0**9, 0, 60), (20, 3, 30)],
)
def test_retry_after_is_obeyed_up_to_a_minute_and_never_hurries(
    asked_for: float | None, errors: int, pace: float
) -> None:
    assert seconds(job(), errors, asked_for) == pace


def test_every_number_of_the_pace_can_be_set() -> None:
    policy = RecoveryPolicy(
        poll_interval=timedelta(seconds=3), poll_interval_near_end=timedelta(seconds=1), near_end_percent=99,
        backoff_max=timedelta(seconds=7), watch_interval=timedelta(seconds=90), watch_fast_for=timedelta(minutes=1),
        retry_after_max=timedelta(seconds=8),
    )  # fmt: skip
    assert seconds(job(percent=98), policy=policy) == 3
    assert seconds(job(percent=99), policy=policy) == 1
    assert seconds(job(), 5, policy=policy) == 7
    assert seconds(job(), 0, 100, policy=policy) == 8
    assert seconds(job(State.FAILED, entered_ago=61), policy=policy) == 90
