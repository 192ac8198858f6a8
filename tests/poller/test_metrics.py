"""What operators watch: every answer and every transition is counted once, inferences and their overturns apart."""

import asyncio
from math import isnan

import pytest
from model_vma import ModelVma
from world import Process, World, run

from fsm.states import Verdict
from poller.metrics import Drift, Metrics
from poller.ownership import SoleOwnership


def value(us: Process, name: str, **labels: str) -> float:
    """A sample; 0 if there is none."""
    return us.service.metrics.registry.get_sample_value(f"oma_fsm_{name}", labels) or 0.0


def test_answers_are_counted_by_verdict_and_the_schedule_is_measured(world: World) -> None:
    running, silent, done = (world.job(percent=30) for _ in range(3))
    world.vma.run(running, 40)
    world.vma.silence(silent)
    world.vma.complete(done)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(11)
            assert value(us, "polls_total", verdict="running") == 3
            assert value(us, "polls_total", verdict="unreachable") == 2
            assert value(us, "polls_total", verdict="completed") == 1
            assert value(us, "scheduled_jobs") == 2
            us.poller.drop(running)
            assert value(us, "scheduled_jobs") == 1

    run(story())


def test_transitions_are_counted_with_rule_state_and_ending_and_a_poll_that_moves_nothing_is_not(world: World) -> None:
    world.vma.complete(world.job(percent=30))
    world.vma.run(world.job("attaching", age="1m"), 5)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(21)
            assert value(us, "transitions_total", edge="done", to_state="completed", ending="confirmed") == 1
            assert value(us, "transitions_total", edge="run_seen", to_state="replicating", ending="") == 1
            assert value(us, "transitions_total", edge="runs", to_state="replicating", ending="") == 0
            assert value(us, "inferred_ends_total") == value(us, "overturned_ends_total") == 0

    run(story())


def test_an_end_concluded_from_silence_is_counted_once(world: World) -> None:
    world.job(percent=30)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(300)
            assert value(us, "inferred_ends_total") == 1
            assert value(us, "transitions_total", edge="lost", to_state="failed", ending="inferred") == 1
            assert value(us, "overturned_ends_total") == 0

    run(story())


@pytest.mark.parametrize(("say", "overturned"), [("run", 1), ("complete", 1), ("fail", 0), ("forget", 0)])
def test_evidence_against_an_inferred_failure_is_an_overturn_and_its_confirmation_is_none(
    world: World, say: str, overturned: int
) -> None:
    job = world.inferred_end()
    arguments = {"run": (job, 50.0)}.get(say, (job,))
    getattr(ModelVma, say)(world.vma, *arguments)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(21)
            assert value(us, "overturned_ends_total") == overturned
            assert value(us, "inferred_ends_total") == 0, "it was inferred by another process"

    run(story())


def test_an_embedding_service_keeps_its_own_registry() -> None:
    first, second = Metrics(), Metrics()
    first.restarted.inc()
    assert second.registry.get_sample_value("oma_fsm_polling_restarted_total") == 0


def test_of_a_series_that_is_watched_for_growth_the_first_one_is_seen_to_grow() -> None:
    sample = Metrics().registry.get_sample_value
    assert {sample("oma_fsm_orphans_detected_total", {"kind": kind}) for kind in Drift} == {0}
    assert {sample("oma_fsm_polls_total", {"verdict": verdict}) for verdict in Verdict} == {0}


def test_the_monitor_is_as_old_as_its_beginning_before_it_looks_and_of_no_age_where_there_is_none(world: World) -> None:
    class ApiOnly(SoleOwnership):
        polls = False

    seen = "oma_fsm_monitor_last_cycle_timestamp_seconds"

    async def story() -> None:
        async with world.process() as us:
            age = us.service.metrics.registry.get_sample_value
            began = world.clock.time.timestamp()
            assert age(seen) == began
            await us.pass_time(100)
            assert age(seen) == began, "who never looks is late"
            await us.monitor.cycle()
            assert age(seen) == world.clock.time.timestamp()
        async with world.process(started=False, ownership=ApiOnly()) as api:
            api.service.start()
            await asyncio.sleep(0)
            assert isnan(api.service.metrics.registry.get_sample_value(seen) or 0.0)

    run(story())
