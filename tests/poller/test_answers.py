"""Answers gather before they are written, but nothing that matters waits; jobs are asked at moments of their own."""

import asyncio

import pytest
from world import run

from db.store import Answer
from fsm.facts import Asked
from fsm.states import Asker, Verdict
from fsm.testing import make_evidence
from poller.answers import BATCH, Answers
from poller.phase import until_phase

FOREVER = 3600.0


def answer(verdict: Verdict | str = "running", by: Asker = Asker.POLL, name: str = "job") -> Answer:
    return Answer(name, 1, make_evidence(verdict), Asked(by))


def gathered(answers: list[Answer], linger: float = FOREVER) -> list[int]:
    """Sizes of batches, with all answers handed in before."""

    async def story() -> list[int]:
        queue, sizes = Answers(linger), []
        for one in answers:
            queue.put(one)
        while sum(sizes) < len(answers):
            sizes.append(len(await queue.gather()))
        assert queue.rest() == []
        return sizes

    return run(story())


def test_what_is_there_is_one_batch_up_to_its_bound() -> None:
    assert gathered([answer()] * (2 * BATCH + 7), linger=0) == [BATCH, BATCH, 7]


def test_a_full_batch_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poller.answers.LINGER", FOREVER)
    assert gathered([answer()] * BATCH) == [BATCH]


@pytest.mark.parametrize(
    "pressing",
    [
        answer("completed"), answer("failed"), answer("not_found"), answer("unreachable"), answer("unsettled"),
        answer("completed", by=Asker.STARTUP), answer("unintelligible"),
    ],
)  # fmt: skip
def test_whatever_may_move_a_job_is_written_at_once(monkeypatch: pytest.MonkeyPatch, pressing: Answer) -> None:
    monkeypatch.setattr("poller.answers.LINGER", FOREVER)
    monkeypatch.setattr("poller.answers.SOON", FOREVER)
    assert gathered([pressing]) == [1]
    assert gathered([answer(), answer(), pressing, answer()]) == [4], "with all that is there"


@pytest.mark.parametrize("by", [Asker.STARTUP, Asker.TRIGGER, Asker.MONITOR, Asker.OPERATOR])
def test_what_somebody_waits_for_is_written_sooner_than_what_nobody_does(
    monkeypatch: pytest.MonkeyPatch, by: Asker
) -> None:
    monkeypatch.setattr("poller.answers.LINGER", FOREVER)
    assert gathered([answer(), answer(by=by), answer()]) == [3]


def test_news_of_progress_waits_for_others_but_not_for_long() -> None:
    async def story() -> tuple[int, int]:
        queue = Answers(0.05)
        queue.put(answer())
        waiting = asyncio.create_task(queue.gather())
        await asyncio.sleep(0)
        queue.put(answer())
        first = await waiting
        queue.put(answer())
        return len(first), len(await queue.gather())

    assert run(story()) == (2, 1)


def test_nothing_is_gathered_where_nothing_is() -> None:
    async def story() -> tuple[bool, int]:
        queue = Answers(0.0)
        queue.put(answer())
        await queue.gather()
        waiting = asyncio.create_task(queue.gather())
        await asyncio.sleep(0.01)
        idle = not waiting.done()
        queue.put(answer())
        return idle, len(await waiting)

    assert run(story()) == (True, 1)


def test_an_answer_that_presses_ends_the_wait_of_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poller.answers.LINGER", FOREVER)

    async def story() -> int:
        queue = Answers(FOREVER)
        queue.put(answer())
        waiting = asyncio.create_task(queue.gather())
        await asyncio.sleep(0)
        queue.put(answer("completed"))
        return len(await waiting)

    assert run(story()) == 2


def test_what_is_left_at_the_end_is_handed_over() -> None:
    async def story() -> list[str]:
        queue = Answers()
        for name in ("a", "b"):
            queue.put(answer(name=name))
        return [a.job_id for a in queue.rest()]

    assert run(story()) == ["a", "b"]


def test_whoever_is_stopped_while_he_waits_for_more_loses_nothing() -> None:
    async def story() -> list[str]:
        queue = Answers()
        for name in ("a", "b"):
            queue.put(answer(name=name))
        waiting = asyncio.create_task(queue.gather())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return [a.job_id for a in queue.rest()]

    assert run(story()) == ["a", "b"]


# --- moments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [2.0, 5.0, 30.0])
def test_a_job_is_asked_at_its_own_moment_of_every_interval_and_no_later(pause: float) -> None:
    for n in range(50):
        job, now = f"job-{n}", 1000.0
        first = until_phase(job, now, pause)
        assert 0 < first <= pause
        at = now + first
        for late in (0.0, 0.1, pause * 0.9):
            assert until_phase(job, at + late, pause) == pytest.approx(pause - late), "lateness is not handed on"


def test_jobs_asked_at_once_are_spread_evenly() -> None:
    moments = sorted(until_phase(f"job-{n}", 77.7, 5.0) for n in range(1000))
    tenths = [sum(t / 2 <= m < (t + 1) / 2 for m in moments) for t in range(10)]
    assert min(tenths) > 60, tenths
