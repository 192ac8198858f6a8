"""What supervisors see, and what every caller sees when the database is away, full, or we are wrong."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_stage import API, JOBS, Stage, StubVma, new_job, run
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db.engine import make_engine
from db.errors import LostRaceError
from fsm.policy import DEFAULT_POLICY
from fsm.spec import spec_hash

Play = Callable[..., None]


def test_a_service_with_its_database_is_alive_and_ready(play: Play) -> None:
    async def story(on: Stage) -> None:
        assert await on.get("/healthz") == {"ok": True, "reasons": []}
        assert await on.get("/readyz") == {"ok": True, "reasons": []}

    play(story)


def test_without_a_database_it_is_alive_but_not_ready_and_says_so_until_it_comes(tmp_path: Path) -> None:
    place = tmp_path / "jobs.db"
    place.mkdir()  # a folder where the file should be

    async def story(on: Stage) -> None:
        assert await on.get("/healthz") == {"ok": True, "reasons": []}
        assert await on.get("/readyz", 503) == {
            "ok": False,
            "reasons": ["the service has not started: it is waiting for its database"],
        }
        answer = await on.http.get(JOBS)
        assert on.body(answer, 503) == {
            "error": "not_ready",
            "message": "the service is waiting for its database; it tries again every second",
        }
        assert answer.headers["retry-after"] == "5"
        assert (await on.post(f"{API}/job-recovery/trigger", code=503))["error"] == "not_ready"
        assert (await on.get(f"{API}/version"))["spec_hash"] == spec_hash()
        place.rmdir()
        ready = await on.http.get("/readyz")
        while ready.status_code != 200:  # the service tries once a second
            await asyncio.sleep(0.02)
            ready = await on.http.get("/readyz")
        await on.create()

    run(f"sqlite:///{place}", story)


def test_a_database_that_goes_away_makes_it_unready_and_requests_a_503(play: Play, tmp_path: Path) -> None:
    async def story(on: Stage) -> None:
        kept, on.service.engine = on.service.engine, make_engine(f"sqlite:///{tmp_path}")
        assert await on.get("/readyz", 503) == {"ok": False, "reasons": ["the database does not answer"]}
        answer = await on.http.get(JOBS)
        assert on.body(answer, 503) == {
            "error": "unavailable",
            "message": "the database does not answer; try again in a few seconds",
        }
        assert answer.headers["retry-after"] == "5"
        on.service.engine.dispose()
        on.service.engine = kept
        assert (await on.get("/readyz"))["ok"] is True

    play(story)


def test_a_database_that_hangs_makes_it_unready(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_args: object) -> None:
        await asyncio.Event().wait()

    async def story(on: Stage) -> None:
        monkeypatch.setattr("api.health.DATABASE_PATIENCE", 0.01)
        on.service.read = hang  # type: ignore[method-assign,assignment]
        assert (await on.get("/readyz", 503))["reasons"] == ["the database did not answer within 0 s"]

    play(story)


def test_a_full_disk_is_a_503_that_says_so_and_nothing_is_written(play: Play) -> None:
    async def story(on: Stage) -> None:
        engine = on.service.engine
        engine.dispose()
        event.listen(engine, "connect", lambda c, _record: c.execute("PRAGMA max_page_count = 1"))
        answer = await on.http.post(JOBS, json=new_job(disks=200))
        assert on.body(answer, 503) == {
            "error": "database_full",
            "message": "the database's disk is full; nothing was written. Make room, then try again",
        }
        assert answer.headers["retry-after"] == "5"
        assert (await on.get(JOBS))["total"] == 0

    play(story)


@pytest.mark.parametrize(
    ("failure", "code", "error"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 503, "database_full"),
        (PoolTimeoutError("QueuePool limit of size 5 overflow 10 reached"), 503, "unavailable"),
        (OperationalError("UPDATE …", {}, Exception("canceling statement due to lock timeout")), 503, "held"),
        (IntegrityError("INSERT …", {}, Exception("UNIQUE constraint failed: secret")), 409, "conflict"),
        (LostRaceError({"job-1": "now failed"}), 409, "conflict"),
        (OSError(errno.EACCES, "secret"), 500, "internal"),
        (RuntimeError("secret"), 500, "internal"),
    ],
)
def test_what_goes_wrong_inside_is_told_without_our_insides(
    play: Play, failure: Exception, code: int, error: str
) -> None:
    async def story(on: Stage) -> None:
        def fail(*_args: Any, **_more: Any) -> None:
            raise failure

        on.service.store.create = fail  # type: ignore[method-assign,assignment]
        answer = await on.http.post(JOBS, json=new_job())
        assert on.body(answer, code)["error"] == error
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text

    play(story, raise_app_exceptions=False)


def test_a_refusal_is_a_refusal_even_if_the_last_move_cannot_be_read(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()

        def fail(*_args: Any) -> None:
            raise PoolTimeoutError("no connection free")

        on.service.read = fail  # type: ignore[method-assign,assignment]
        refused = await on.fire(job_id, "start", code=409)
        assert (refused["error"], refused["last_move"]) == ("illegal", None)

    play(story)


def test_an_event_loop_that_does_not_turn_makes_it_unhealthy(play: Play) -> None:
    async def story(on: Stage) -> None:
        polling = on.service.polling
        (heart,) = (task for task in polling._tasks if task.get_name() == "heartbeat")
        heart.cancel()
        observer, present = on.service.observer, on.service.observer.monotonic()
        observer.monotonic = lambda: present  # however slow this machine is
        for age, code in ((9.0, 200), (11.0, 503)):
            polling.beat = observer.uptime() - age
            health = await on.get("/healthz", code)
        assert health == {"ok": False, "reasons": ["the event loop's last heartbeat was 11 s ago"]}

    play(story)


def test_prometheus_finds_counters_and_gauges(play: Play) -> None:
    async def story(on: Stage) -> None:
        await on.running()
        answer = await on.http.get("/metrics")
        while 'oma_fsm_polls_total{verdict="running"} 0.0' in answer.text:  # a poll is counted after it is written
            await asyncio.sleep(0.005)
            answer = await on.http.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        lines = answer.text.splitlines()
        assert "oma_fsm_scheduled_jobs 1.0" in lines
        assert 'oma_fsm_polls_total{verdict="unreachable"} 0.0' in lines, (
            "a series that appears with its first event hides it"
        )
        assert 'oma_fsm_transitions_total{edge="start",ending="",to_state="replicating"} 1.0' in lines

    play(story)


def test_requests_that_wait_for_their_appliance_are_a_gauge(play: Play) -> None:
    async def story(on: Stage) -> None:
        places = on.service.fleet._clients["default"].places
        assert all(places.enter() for _ in range(places.floor))
        tasks = [asyncio.ensure_future(places.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        assert "oma_fsm_requests_waiting 3.0" in (await on.http.get("/metrics")).text.splitlines()
        assert (await on.get(f"{API}/appliances"))["items"][0]["waiting"] == 3
        for task in tasks:
            task.cancel()

    play(story)


def test_the_policy_is_shown_as_it_is_in_force(play: Play) -> None:
    async def story(on: Stage) -> None:
        policy = await on.get(f"{API}/policy")
        assert policy == DEFAULT_POLICY.model_dump(mode="json") | {"unreachable_after": "PT20M"}
        version = await on.get(f"{API}/version")
        assert version == {
            "version": "0.1.0",
            "spec_hash": spec_hash(),
            "policy_hash": on.service.store.policy.fingerprint,
        }
        assert version["policy_hash"] != DEFAULT_POLICY.fingerprint

    play(story, unreachable_after="20m")


def test_a_second_process_on_one_file_does_not_start_and_leaves_the_first_alone(url: str) -> None:
    async def story(on: Stage) -> None:
        from api_stage import stage  # noqa: PLC0415

        from db.errors import SecondProcessError  # noqa: PLC0415

        with pytest.raises(SecondProcessError, match="another process serves"):
            async with stage(url, vma=StubVma()):
                raise AssertionError("two processes on one file")
        assert await on.get("/readyz") == {"ok": True, "reasons": []}
        await on.create()

    run(url, story)
