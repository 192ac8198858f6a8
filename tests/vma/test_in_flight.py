"""Places grow while answers do not slow, shrink when they do, and are given out first come, first served."""

import asyncio

import pytest

from vma.in_flight import FORGET_AFTER, GRACE, SLOWER, InFlight


async def taken(places: InFlight) -> None:
    """A place, at once or in turn."""
    if not places.enter():
        await places.wait()


async def full(places: InFlight, waiting: int = 1000) -> list[asyncio.Task[None]]:
    """So many want a place that every place is taken."""
    tasks = [asyncio.create_task(taken(places)) for _ in range(waiting)]
    await asyncio.sleep(0)
    return tasks


async def empty(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def limit_after(seconds: list[float], **more: float) -> float:
    """The limit of places that are always wanted, after answers that took so long."""

    async def run() -> float:
        places, now = InFlight(**more), 0.0  # type: ignore[arg-type]
        tasks = await full(places)
        for took in seconds:
            now += took / places.limit
            places.answered(took, now)
        await empty(tasks)
        return places.limit

    return asyncio.run(run())


def test_it_grows_to_its_ceiling_while_answers_do_not_slow() -> None:
    assert limit_after([0.02] * 10) == 18
    assert limit_after([0.02] * 500) == 128


def test_slow_answers_take_places_away_down_to_the_floor() -> None:
    grown = limit_after([0.02] * 60)
    assert grown == 68
    assert limit_after([0.02] * 60 + [0.2]) == pytest.approx(0.9 * grown)
    assert limit_after([0.02] * 60 + [0.2] * 1500) == 8


def test_one_slow_time_counts_once_and_growth_is_gentle_after_it() -> None:
    once = limit_after([0.02] * 60 + [0.2] * 20)
    assert once == pytest.approx(0.9 * 68), "what was under way was let in before we knew"
    after = limit_after([0.02] * 60 + [0.2] * 20 + [0.02] * 61)
    assert once < after < once + 1.1


def test_an_answer_may_be_late_by_what_we_ourselves_are_late() -> None:
    quick = [0.001] * 60
    limit = SLOWER * 0.001 + GRACE
    assert limit_after([*quick, limit]) == limit_after([*quick, 0.001])
    assert limit_after([*quick, limit + 0.0001]) == pytest.approx(0.9 * limit_after(quick))


def test_an_appliance_that_is_slow_always_is_not_slow() -> None:
    assert limit_after([1.5] * 20) == 28


def test_the_quickest_answer_is_forgotten_after_a_while() -> None:
    places = InFlight()
    places.answered(0.001, 0.0)
    for n in range(1, 4):
        places.answered(0.5, n * FORGET_AFTER + 1)
    places.limit = 50.0
    places.answered(0.6, 3 * FORGET_AFTER + 2)
    assert places.limit == 50.0


def test_without_demand_it_stays_as_it_is() -> None:
    places = InFlight()
    for n in range(100):
        places.answered(0.001, n / 10)
    assert places.limit == 8


@pytest.mark.parametrize(("learned", "limit"), [(0, 8), (3, 8), (50, 50), (1000, 128)])
def test_what_was_learned_is_where_it_begins(learned: float, limit: float) -> None:
    assert InFlight(learned=learned).limit == limit


def test_no_more_than_the_limit_are_let_in_and_in_their_order() -> None:
    order: list[int] = []
    most = 0

    async def one(places: InFlight, n: int) -> None:
        nonlocal most
        await taken(places)
        order.append(n)
        most = max(most, places.active)
        await asyncio.sleep(0)
        places.leave()

    async def run() -> None:
        places = InFlight(floor=3)
        await asyncio.gather(*(one(places, n) for n in range(50)))
        assert places.active == 0

    asyncio.run(run())
    assert (order, most) == (list(range(50)), 3)


def test_whoever_is_cancelled_leaves_no_place_taken() -> None:
    async def run() -> None:
        places = InFlight(floor=1)
        assert places.enter()
        waiting, next_one = asyncio.create_task(taken(places)), asyncio.create_task(taken(places))
        await asyncio.sleep(0)
        places.leave()  # the place is given to `waiting`, which is cancelled meanwhile
        waiting.cancel()
        async with asyncio.timeout(5):
            await next_one
        assert (waiting.cancelled(), places.active, places.waiting) == (True, 1, 0)
        places.leave()
        assert places.active == 0

    asyncio.run(run())


def test_whoever_has_given_up_does_not_wait() -> None:
    async def run() -> None:
        places = InFlight(floor=1)
        tasks = await full(places, waiting=4)
        assert (places.active, places.waiting) == (1, 3)
        await empty(tasks[1:3])
        assert (places.active, places.waiting) == (1, 1)
        await empty(tasks)

    asyncio.run(run())
