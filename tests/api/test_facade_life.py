"""A service in another program's event loop: started once, stopped whatever that program did."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from api import facade
from api.errors import StartedBeforeError
from api.facade import OmaFsm
from api.settings import Settings, VmaSettings
from db.errors import SecondProcessError
from fsm.facts import Asked
from fsm.states import Asker

NOWHERE = VmaSettings.model_validate({"url": "http://127.0.0.1:1"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path / 'jobs.db'}", vma=NOWHERE)


def test_a_service_is_not_started_twice_nor_again_after_its_end(settings: Settings) -> None:
    """Its first loops would be nobody's to stop, and what was stopped would answer and poll nothing."""

    async def story() -> None:
        service = OmaFsm(settings)
        await service.start()
        with pytest.raises(StartedBeforeError, match="make another one"):
            await service.start()
        await service.stop()
        assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        with pytest.raises(StartedBeforeError):
            await service.start()

    asyncio.run(story())


def test_a_start_that_was_refused_may_be_tried_again(settings: Settings) -> None:
    async def story() -> None:
        first, second = OmaFsm(settings), OmaFsm(settings)
        await first.start()
        with pytest.raises(SecondProcessError):
            await second.start()
        await first.stop()
        await second.start()
        assert second.ready
        await second.stop()

    asyncio.run(story())


def test_a_database_that_was_found_away_is_said_so_at_once_and_not_tried_again_before_the_api_is_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs takes ten seconds for each try."""
    monkeypatch.setattr(facade, "RETRY", 0.0)
    service = OmaFsm(settings)
    prepare, tried = service.prepare, threading.Event()

    def counted() -> None:
        tried.set()
        prepare()

    async def story() -> None:
        service.prepare = counted  # type: ignore[method-assign]
        with capture_logs() as logs:
            service.is_away(OperationalError("SELECT 1", {}, Exception("it hangs")))
        assert [(line["event"], line["why"]) for line in logs] == [("Database is away; waiting for it", "it hangs")]
        await service.start()
        assert not tried.is_set()
        assert not service.ready
        async with asyncio.timeout(10):
            while not service.ready:  # noqa: ASYNC110 - a thread is waited for
                await asyncio.sleep(0.01)
        with pytest.raises(StartedBeforeError):
            await service.start()
        await service.stop()

    asyncio.run(story())


def test_a_stop_waits_for_a_claim_that_is_being_taken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database comes back in the moment in which we stop."""
    monkeypatch.setattr(facade, "RETRY", 0.0)
    service, taking, go_on = OmaFsm(settings), threading.Event(), threading.Event()
    prepare = service.prepare

    def away() -> None:
        service.prepare = slowly  # type: ignore[method-assign]
        raise OperationalError("SELECT 1", {}, Exception("away"))

    def slowly() -> None:
        taking.set()
        assert go_on.wait(30)
        prepare()

    async def story() -> None:
        service.prepare = away  # type: ignore[method-assign]
        await service.start()
        await asyncio.to_thread(taking.wait, 30)
        stopping = asyncio.create_task(service.stop())
        done, _ = await asyncio.wait({stopping}, timeout=0.3)
        go_on.set()
        assert not done
        await stopping
        next_one = OmaFsm(settings)
        await next_one.start()
        await next_one.stop()

    asyncio.run(story())


def test_a_service_whose_event_loop_was_closed_still_lets_go_of_the_database(settings: Settings) -> None:
    left, next_one = OmaFsm(settings), OmaFsm(settings)
    asyncio.run(left.start())
    with suppress(RuntimeError):  # of something that belonged to that loop
        asyncio.run(left.stop())

    async def story() -> None:
        await next_one.start()
        await next_one.stop()

    asyncio.run(story())


def test_callers_that_wait_for_the_database_hold_up_nobody_who_polls(settings: Settings) -> None:
    """They take as many threads as there are for them; the health monitor looks, and a recovery is opened."""

    async def story() -> None:
        service, answered = OmaFsm(settings), threading.Event()
        await service.start()
        await service.polling.recovery.finished.wait()
        callers = [asyncio.create_task(service.read(lambda _: answered.wait(30))) for _ in range(50)]
        try:
            async with asyncio.timeout(10):
                await service.polling.monitor.cycle()
                assert (await service.recover(Asked(Asker.TRIGGER, "anna"))).total == 0
        finally:
            answered.set()
        assert all(await asyncio.gather(*callers))
        await service.stop()

    asyncio.run(story())
