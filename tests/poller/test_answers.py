"""Answers gather before they are written, but nothing that matters waits; jobs are asked at moments of their own."""

import asyncio
from typing import Any

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


def gathered(answers: list[Answer], linger: float = FOREVER, **later: Any) -> list[int]:
    """Sizes of batches, with all answers handed in before."""

    async def story() -> list[int]:
        queue, sizes = Answers(), []
        for one in answers:
            queue.put(one)
        while sum(sizes) < len(answers):
            sizes.append(len(await queue.gather(linger)))
        assert queue.rest() == []
        return sizes

    return run(story())


def test_what_is_there_is_one_batch_up_to_its_bound() -> None:
    assert gathered([answer()] * (2 * BATCH + 7), linger=0) == [BATCH, BATCH, 7]
    assert gathered([answer()] * BATCH) == [BATCH], "a full batch waits for nobody"


@pytest.mark.parametrize(
    "pressing",
    [
        answer("completed"), answer("failed"), answer("not_found"), answer("unreachable"), answer("unsettled"),
        answer(by=Asker.STARTUP), answer(by=Asker.TRIGGER), answer(by=Asker.MONITOR), answer(by=Asker.OPERATOR),
    ],
)  # fmt: skip
def test_whatever_may_move_a_job_or_is_waited_for_is_written_at_once(pressing: Answer) -> None:
    assert gathered([pressing]) == [1]
    assert gathered([answer(), answer(), pressing, answer()]) == [4], "with all that is there"


def test_news_of_progress_waits_for_others_but_not_for_long() -> None:
    async def story() -> tuple[int, int]:
        queue = Answers()
        queue.put(answer())
        waiting = asyncio.create_task(queue.gather(0.05))
        await asyncio.sleep(0)
        queue.put(answer())
        first = await waiting
        queue.put(answer())
        return len(first), len(await queue.gather(0.01))

    assert run(story()) == (2, 1)


def test_an_answer_that_presses_ends_the_wait_of_those_before_it() -> None:
    async def story() -> int:
        queue = Answers()
        queue.put(answer())
        waiting = asyncio.create_task(queue.gather(FOREVER))
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
        waiting = asyncio.create_task(queue.gather(FOREVER))
        await asyncio.sleep(0)
        assert len(queue) == 0, "it has taken them"
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
