"""Several appliances, each with its own client: what happens to one is nothing to the others."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace
from raw_server import RawServer, hang, json_response, reset, response, serving
from standing_clock import pass_time, run
from structlog.testing import capture_logs
from vma_answers import JOB, NOW, envelope, question

from fsm.evidence import Evidence
from fsm.memory import Memory
from fsm.states import Verdict
from vma.access import Access
from vma.breaker import FAILURES
from vma.client import VmaLimits
from vma.fleet import Fleet, Member
from vma.observer import Observer
from vma.wire_models import Generation

QUICK = VmaLimits(connect=0.3, read=0.3, total=0.5)
RUNS = json_response(envelope(JOB))


def member(name: str, server: RawServer, **more: object) -> Member:
    return Member(name, Access(server.url), **more)  # type: ignore[arg-type]


def play(
    story: Callable[[Fleet, RawServer, RawServer], Awaitable[None]], one: object = RUNS, two: object = RUNS
) -> None:
    """A fleet of two, on a clock that stands still."""

    async def played() -> None:
        async with serving({"*": one}) as first, serving({"*": two}) as second:  # type: ignore[dict-item]
            fleet = Fleet(QUICK, Observer(lambda: NOW))
            fleet.set([member("vma-1", first), member("vma-2", second)])
            try:
                await story(fleet, first, second)
            finally:
                await fleet.aclose()

    run(played())


async def given_up(asked: list[asyncio.Future[Evidence]]) -> None:
    """Let time pass until none of them is waited for any more."""
    while not all(one.done() for one in asked):
        await pass_time(QUICK.read)


def test_a_job_is_asked_where_it_belongs() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        evidence = await fleet.ask(replace(question(), appliance="vma-2"))
        assert (evidence.verdict, evidence.appliance) == (Verdict.RUNNING, "vma-2")
        assert (len(first.targets), len(second.targets)) == (0, 1)

    play(story)


def test_one_that_hangs_costs_the_other_nothing() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        stuck = [asyncio.ensure_future(fleet.ask(replace(question(), appliance="vma-1"))) for _ in range(50)]
        await asyncio.sleep(0)
        assert (await fleet.ask(replace(question(), appliance="vma-2"))).verdict is Verdict.RUNNING
        assert not any(task.done() for task in stuck)
        await given_up(stuck)
        assert {(await task).verdict for task in stuck} == {Verdict.UNREACHABLE}
        one, two = fleet.states()
        assert (one.reachable, one.since, two.reachable, two.error) == (False, NOW, True, None)

    play(story, one=hang)


def test_it_is_known_how_many_requests_wait_for_a_place() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        questions = [replace(question(), appliance=name) for name in ("vma-1", "vma-2") for _ in range(10)]
        asked = [asyncio.ensure_future(fleet.ask(one)) for one in questions]
        await asyncio.sleep(0)
        assert [(one.in_flight, one.in_flight_limit, one.waiting) for one in fleet.states()] == [(8, 8, 2), (8, 8, 2)]
        assert fleet.waiting() == 4
        await given_up(asked)
        assert (fleet.waiting(), fleet.states()[0].waiting) == (0, 0)

    play(story, one=hang)


def test_who_is_back_is_told_by_name() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        back: list[str] = []
        fleet.listeners.append(back.append)
        for _ in range(FAILURES):
            await fleet.ask(replace(question(), appliance="vma-2"))
        second.answers = {"/api/v1/health": json_response({"status": "healthy"})}
        health = await fleet.health("vma-2")
        assert (health is not None and health.healthy, back) == (True, ["vma-2"])

    play(story, two=reset)


def test_an_appliance_that_nobody_knows_is_no_evidence_about_its_jobs() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        evidence = await fleet.ask(replace(question(), appliance="vma-9"))
        assert evidence.verdict is Verdict.UNINTELLIGIBLE
        assert "no appliance 'vma-9' is known: `oma-fsm appliances add`" in (evidence.error or "")
        assert await fleet.health("vma-9") is None

    play(story)


def test_a_client_lives_on_until_its_appliance_is_reached_in_another_way() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        await fleet.ask(replace(question(), appliance="vma-1"))
        same = [member("vma-1", first, paused=True), member("vma-2", second)]
        fleet.set(same)
        await fleet.ask(replace(question(), appliance="vma-1"))
        assert (first.connections, fleet.paused("vma-1"), fleet.paused("vma-2")) == (1, True, False)
        fleet.set([member("vma-1", second)])
        assert (await fleet.ask(replace(question(), appliance="vma-1"))).verdict is Verdict.RUNNING
        assert (len(first.targets), len(second.targets)) == (2, 1)
        assert [s.name for s in fleet.states()] == ["vma-1"]

    play(story)


def test_questions_under_way_are_answered_when_their_appliance_goes() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        asked = asyncio.ensure_future(fleet.ask(replace(question(), appliance="vma-1")))
        await heard.wait()
        fleet.set([member("vma-2", second)])
        told.set()
        assert (await asked).verdict is Verdict.RUNNING

    heard, told = asyncio.Event(), asyncio.Event()

    async def slowly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await told.wait()
        writer.write(RUNS)

    play(story, one=slowly)


def test_one_that_cannot_be_asked_as_configured_says_so_and_the_others_are_asked() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        bad = Member("vma-1", Access("https://vma", ca_file="/no/such"))
        with capture_logs() as logs:
            fleet.set([bad, member("vma-2", second)])
            fleet.set([bad, member("vma-2", second)])
        assert [entry["appliance"] for entry in logs] == ["vma-1"], "said once"
        evidence = await fleet.ask(replace(question(), appliance="vma-1"))
        assert (evidence.verdict, "/no/such" in (evidence.error or "")) == (Verdict.UNINTELLIGIBLE, True)
        assert (await fleet.ask(replace(question(), appliance="vma-2"))).verdict is Verdict.RUNNING
        assert [(s.reachable, bool(s.error)) for s in fleet.states()] == [(False, True), (True, False)]

    play(story)


def test_a_host_that_is_not_allowed_is_not_asked() -> None:
    async def story() -> None:
        async with serving({"*": RUNS}) as server:
            fleet = Fleet(QUICK, hosts=("vma.example",))
            fleet.set([member("vma-1", server)])
            assert (await fleet.ask(replace(question(), appliance="vma-1"))).verdict is Verdict.UNINTELLIGIBLE
            assert server.targets == []
            await fleet.aclose()

    run(story())


def test_what_was_learned_goes_on_from_run_to_run() -> None:
    async def story() -> None:
        async with serving({"*": RUNS}) as server:
            fleet = Fleet(QUICK)
            fleet.set([member("vma-1", server, in_flight=40, generation=Generation.ENVELOPE)])
            assert [(m.in_flight, m.generation) for m in fleet.learned()] == [(40, Generation.ENVELOPE)]
            assert fleet.states()[0].in_flight_limit == 40
            await fleet.aclose()

    run(story())


def test_another_generation_at_the_same_address_is_noticed_once() -> None:
    old = json_response(envelope(JOB) | {"vm_info": {"disk_size_gb": 40.0}})

    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        with capture_logs() as logs:
            for answer in (RUNS, old, old):
                first.answers = {"*": answer}
                await fleet.ask(replace(question(), appliance="vma-1"))
        said = [(entry["log_level"], entry["generation"]) for entry in logs]
        assert said == [("info", Generation.ENVELOPE), ("warning", Generation.OLD_ENVELOPE)]
        assert fleet.states()[0].generation is Generation.OLD_ENVELOPE

    play(story)


def test_a_known_job_that_is_forgotten_shows_that_the_vma_was_restarted() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        known = replace(question(memory=Memory(answering_key="job")), appliance="vma-1")
        await fleet.ask(replace(known, memory=Memory()))
        assert fleet.states()[0].forgot_at is None, "absent at first is normal"
        await fleet.ask(known)
        assert (fleet.states()[0].forgot_at, fleet.states()[0].forgotten) == (NOW, 1)

    play(story, one=response(404, b"job not found\n"))


def test_that_it_turns_us_away_is_shown_until_it_does_not_and_said_once() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        with capture_logs() as logs:
            for answer in (response(401), response(503), response(401)):  # what does not answer takes nothing back
                first.answers = {"*": answer}
                await fleet.ask(replace(question(), appliance="vma-1"))
                assert fleet.states()[0].refused_since == NOW
            first.answers = {"*": RUNS}
            await fleet.ask(replace(question(), appliance="vma-1"))
            assert fleet.states()[0].refused_since is None
        [said] = [entry for entry in logs if entry["log_level"] == "warning"]
        assert (said["event"].startswith("VMA turns us away"), said["appliance"]) == (True, "vma-1")
        assert "HTTP 401" in said["why"]

    play(story, one=response(401))


def test_one_that_never_answered_is_not_said_to_be_reachable_before_its_breaker_opens() -> None:
    async def story(fleet: Fleet, first: RawServer, second: RawServer) -> None:
        assert fleet.states()[0].reachable is None
        await fleet.ask(replace(question(), appliance="vma-1"))
        state = fleet.states()[0]
        assert (state.reachable, state.since, bool(state.error)) == (False, None, True)
        first.answers = {"*": RUNS}
        await fleet.ask(replace(question(), appliance="vma-1"))
        assert (fleet.states()[0].reachable, fleet.states()[0].error) == (True, None)

    play(story, one=reset)
