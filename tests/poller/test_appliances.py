"""Appliances that are paused, that come back, and that the database says something new of."""

import asyncio
import threading
from pathlib import Path

import pytest
from model_vma import span
from sqlalchemy import Engine
from world import TRIGGER, World, run

from db import appliances as stored
from db.appliances import Appliance
from db.engine import make_engine, read, write
from fsm.facts import DEFAULT_APPLIANCE
from migrations import runner
from poller.appliances import Appliances
from vma.access import Access, AccessError
from vma.fleet import Fleet, Member
from vma.wire_models import Generation


def running(world: World, age: str = "2h") -> str:
    job = world.job(percent=30, age=age)
    world.vma.run(job, 40)
    return job


def test_a_paused_appliance_is_not_asked_and_nothing_is_concluded_from_its_silence(world: World) -> None:
    job = running(world)

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            world.vma.at_rest.add(DEFAULT_APPLIANCE)
            asked = len(world.vma.times(job))
            for _ in range(60):
                await us.pass_time("2m")
                assert await us.monitor.cycle() == [], "a paused appliance's jobs are not out of place"
            assert (len(world.vma.times(job)) - asked, world.status(job)) == (0, "replicating")
            world.vma.at_rest.clear()
            await us.pass_time(6)
            assert len(world.vma.times(job)) > asked
            assert world.row(job)["vma_validated_at"] >= world.clock.time - span("6s")

    run(story())


def test_recovery_neither_waits_for_a_paused_appliance_nor_counts_its_jobs_and_they_are_asked_when_it_is_resumed(
    world: World,
) -> None:
    job = running(world)
    world.vma.at_rest.add(DEFAULT_APPLIANCE)

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            await us.recovery.start(TRIGGER)
            await us.recovery_over()
            assert world.vma.times(job) == []
            world.vma.at_rest.clear()
            await us.pass_time(6)
            assert len(world.vma.times(job)) > 0

    run(story())
    assert [(r["jobs"], r["looked_at"], r["outcomes"]) for r in world.runs()] == [(0, 0, {})] * 2


def test_all_jobs_of_an_appliance_that_is_back_are_asked_within_a_second_and_no_others(world: World) -> None:
    behind = [running(world) for _ in range(20)]
    other = running(world)
    for job in behind:
        world.vma.silence(job)

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            await us.pass_time("190s")  # backed off to 30 s, and between two polls
            for job in behind:
                world.vma.run(job, 50)
            at, others = world.clock.monotonic(), len(world.vma.times(other))
            us.service.poller.is_back(DEFAULT_APPLIANCE)
            await us.pass_time(1)
            again = [[t - at for t in world.vma.times(job) if t >= at] for job in behind]
            assert [len(times) for times in again] == [1] * 20
            assert len({round(times[0], 3) for times in again}) > 10, "spread, not at once"
            assert len(world.vma.times(other)) - others <= 1
            us.service.poller.is_back(DEFAULT_APPLIANCE)
            await us.pass_time(1)
            assert sum(len([t for t in world.vma.times(job) if t >= at]) for job in behind) == 20, "once"

    run(story())


# --- the fleet follows the database -----------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = make_engine(f"sqlite:///{tmp_path / 'fleet.db'}")
    runner.upgrade(engine)
    return engine


def test_what_the_database_says_is_taken_over_and_what_was_learned_is_kept(engine: Engine) -> None:
    async def story() -> None:
        fleet = Fleet()
        now = fleet.observer.now()
        ours = Appliances(engine, fleet, Access("http://vma:9081"))
        with write(engine) as connection:
            stored.add(connection, Appliance("vma-2", "http://vma-2:9081"), now)
        await ours.look()
        assert [(s.name, s.url) for s in fleet.states()] == [
            ("default", "http://vma:9081"), ("vma-2", "http://vma-2:9081"),
        ]  # fmt: skip
        assert await ours.pause("vma-2", paused=True) == 0
        assert [s.paused for s in fleet.states()] == [False, True]
        client = fleet._clients["vma-2"]
        client.places.limit, client.heard.generation = 77.5, Generation.RAW_MODEL
        await ours.keep()
        await fleet.aclose()

        after = Fleet()
        await Appliances(engine, after, Access("http://vma:9081")).look()
        two = after.states()[1]
        assert (two.in_flight_limit, two.generation, two.paused) == (77, Generation.RAW_MODEL, True)
        with write(engine) as connection:
            stored.remove(connection, "vma-2")
        await Appliances(engine, after, Access("http://vma:9081")).look()
        assert [s.name for s in after.states()] == ["default"]
        await after.aclose()

    run(story())


def test_a_look_that_was_slow_does_not_undo_a_pause(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it read before the pause would have the appliance asked until the next look."""
    begun, may_go = threading.Event(), threading.Event()

    async def story() -> None:
        fleet = Fleet()
        ours = Appliances(engine, fleet, Access("http://vma:1"))
        await ours.look()
        real = ours._read

        def slowly() -> list[Member]:
            monkeypatch.setattr(ours, "_read", real)
            found = real()
            begun.set()
            assert may_go.wait(5)
            return found

        monkeypatch.setattr(ours, "_read", slowly)
        slow = asyncio.create_task(ours.look())
        assert await asyncio.to_thread(begun.wait, 5)
        pause = asyncio.create_task(ours.pause(DEFAULT_APPLIANCE, paused=True))
        await asyncio.wait([pause], timeout=0.2)  # it waits for the other, or is done already
        may_go.set()
        await asyncio.gather(slow, pause)
        assert fleet.paused(DEFAULT_APPLIANCE)
        await fleet.aclose()

    run(story())


def test_another_address_in_the_settings_is_another_appliance(engine: Engine) -> None:
    async def story() -> None:
        for url, learned in (("http://old:1", 0), ("http://old:1", 50), ("http://new:1", 0)):
            fleet = Fleet()
            ours = Appliances(engine, fleet, Access(url))
            await ours.look()
            (state,) = fleet.states()
            assert (state.url, state.in_flight_limit) == (url, max(learned, 8))
            fleet._clients[DEFAULT_APPLIANCE].places.limit = 50.0
            await ours.keep()
            await fleet.aclose()
        with read(engine) as connection:
            assert [(a.name, a.url) for a in stored.all_of(connection)] == [("default", "http://new:1")]

    run(story())


def test_a_word_of_a_later_release_is_no_generation(engine: Engine) -> None:
    async def story() -> None:
        fleet = Fleet()
        ours = Appliances(engine, fleet, Access("http://vma:1"))
        await ours.look()
        with write(engine) as connection:
            stored.learn(connection, [Appliance("default", "", in_flight=9, generation="v7")], fleet.observer.now())
        await ours.look()
        assert fleet.states()[0].generation is None
        await fleet.aclose()

    run(story())


def test_a_default_appliance_that_cannot_be_asked_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(AccessError, match="appliance default: "):
        Appliances(engine, Fleet(), Access("http://vma", token_file="/no/such"))
    with pytest.raises(AccessError, match="vma-1 is not one of those allowed"):
        Appliances(engine, Fleet(), Access("http://vma-1"), ("vma-2",))


def test_learning_outlives_a_database_that_is_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("no route")

    async def story() -> None:
        fleet = Fleet()
        ours = Appliances(engine, fleet, Access("http://vma:1"))
        await ours.look()
        monkeypatch.setattr("poller.appliances.transact", away)
        await ours.keep()
        assert [s.name for s in fleet.states()] == ["default"]
        await fleet.aclose()

    run(story())
