"""The life of the VMA, one trouble at a time, each job polled at its true pace. "F29" is number 29 in the list of
what can go wrong. What must never be is held against every poll, as in the trials by seed."""

from collections.abc import Sequence
from random import Random

import pytest
from trial import Trial
from trial_bytes import EPOCH, Entry
from trial_copy import FINISHED, VANISHED, Copy, Forgotten, Leg
from trial_story import GIB, HOUR, MINUTE, Planned, Story, at
from trial_vma import FLAPPING, REFUSED, TrialVma, Trouble

from fsm.conditions import conditions
from fsm.facts import Disk, JobFacts
from fsm.policy import DEFAULT_POLICY
from fsm.states import State

ALWAYS = 10**9  # polls at the true pace
JOB, DISK = "job-20260302-120000.001-a1b2c3", Disk("disk-2000", "vol-0", 100 * GIB)
COMPLETED = "completed/confirmed"


def copying(length: float, *, keys: str = "own", at_start: float = 0.0, **more: object) -> Copy:
    """One disk, copied for so many seconds from now on, of which so much (percent) is there already."""
    begin = -length * at_start / (100 - at_start) - 30
    copy = Copy(JOB, keys, "current", begin, begin, [Leg(DISK, begin, length, 100 * GIB)], length, FINISHED)
    for name, value in more.items():
        setattr(copy, name, value)
    return copy


def play(copy: Copy, *, created: float = 10 * MINUTE, down: Sequence[tuple[float, float]] = (), **vma: object) -> Trial:
    """A job that replicates, its copy under way; a VMA to which this happens."""
    since = EPOCH - at(created)
    facts = JobFacts(JOB, State.REPLICATING, since, since, disks=(DISK,), polling_since=since)
    model = TrialVma(Random(1), **vma)  # type: ignore[arg-type]
    trial = Trial(0, given=Story(model, [Planned(facts, copy, 0.0)], list(down)), eager=ALWAYS)
    trial.tell()
    return trial


def ends(trial: Trial) -> list[str]:
    """Where the job went, one move after another."""
    after = [d.after for _, d in trial.moves]
    return [f"{f.state}/{f.ending}" if f.ending else str(f.state) for f in after]


def away(begin: float, length: float) -> list[Trouble]:
    """Nobody answers for a while."""
    return [Trouble(begin, begin + length, REFUSED)]


@pytest.mark.parametrize("at_start", [0.0, 90.0])
@pytest.mark.parametrize("mute", [2.0, 40.0])
def test_f29_f30_a_copy_that_posts_again_after_the_map_was_lost_goes_on(at_start: float, mute: float) -> None:
    trial = play(copying(10 * MINUTE, at_start=at_start), forgets=[Forgotten(5 * MINUTE, mute)])
    assert ends(trial) == [COMPLETED]


@pytest.mark.parametrize(("at_start", "end"), [(0.0, "failed/inferred"), (95.0, "completed/inferred")])
def test_f31_f32_a_job_that_is_gone_with_the_map_ends_after_the_grace_and_not_before(at_start: float, end: str) -> None:
    lost = 5 * MINUTE
    copy = copying(HOUR, at_start=at_start, over=lost, fate=VANISHED)
    trial = play(copy, forgets=[Forgotten(lost, 0.0)])
    assert ends(trial) == [end]
    assert MINUTE <= trial.moves[0][0] - lost <= MINUTE + 10


def test_f33_an_outage_of_25_seconds_ends_nothing() -> None:
    assert ends(play(copying(10 * MINUTE), troubles=away(3 * MINUTE, 25))) == [COMPLETED]


def test_f34_an_outage_of_31_minutes_ends_it_once_and_its_return_reopens_it_within_5_seconds() -> None:
    trial = play(copying(HOUR), troubles=away(3 * MINUTE, 31 * MINUTE))
    assert ends(trial) == ["failed/inferred", "replicating", COMPLETED]
    (given_up, _), (reopened, _), _ = trial.moves
    assert 30 * MINUTE <= given_up - 3 * MINUTE <= 31 * MINUTE
    assert reopened - 34 * MINUTE <= 5


def test_f34a_a_host_that_was_down_for_45_minutes_and_a_tunnel_20_seconds_later_end_nothing() -> None:
    trial = play(copying(2 * HOUR), down=[(MINUTE, 46 * MINUTE)], troubles=away(MINUTE, 45 * MINUTE + 20))
    assert ends(trial) == [COMPLETED]


def test_f35_a_vma_that_was_away_before_our_start_is_waited_for() -> None:
    assert ends(play(copying(HOUR), created=10 * MINUTE, troubles=away(-HOUR, HOUR + 19 * MINUTE))) == [COMPLETED]


def test_f36_ten_seconds_away_ten_seconds_there_for_an_hour_end_nothing() -> None:
    assert ends(play(copying(90 * MINUTE), troubles=[Trouble(MINUTE, MINUTE + HOUR, FLAPPING)])) == [COMPLETED]


def test_f38_a_hung_copy_is_stalled_and_in_the_end_calls_an_operator() -> None:
    """To be asked about, a process that hangs for ever is one that died: its entry says for ever that it runs."""
    trial = play(copying(20 * MINUTE, over=10 * MINUTE, fate=VANISHED))
    assert ends(trial) == []
    shown = {minutes: wrong_after(trial.lives[0].facts, (10 + minutes) * MINUTE) for minutes in (14, 16, 59, 61)}
    assert shown == {14: [], 16: ["Progressing"], 59: ["Progressing"], 61: ["Progressing", "NeedsOperator"]}


def wrong_after(facts: JobFacts, now: float) -> list[str]:
    """The conditions that would be shown then."""
    found = conditions(facts, scheduled=True, now=EPOCH + at(now), policy=DEFAULT_POLICY)
    return [c.name for c in found if c.holds is (c.name == "NeedsOperator")]


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
@pytest.mark.parametrize("word", ["completed", "failed"])
def test_f28_f39_a_clock_an_hour_off_makes_nothing_stale_and_nothing_fresh(ahead: float, word: str) -> None:
    key = DISK.export_name or ""
    left = Entry(key, (word, "Transfer"), 1, 1, 100, -2 * HOUR)
    copy = copying(10 * MINUTE, keys="export", started=MINUTE, first_post=MINUTE)
    copy.legs[0].begin = MINUTE
    trial = play(copy, created=MINUTE, ahead=ahead, stale={key: left})
    assert ends(trial) == [COMPLETED]
    assert trial.moves[0][0] >= 10 * MINUTE
