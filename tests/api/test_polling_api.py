"""Polling over REST: who is polled, how that goes, how the VMA is."""

from collections.abc import Callable
from typing import Any

import pytest
from api_stage import ANNA, API, AT_ONCE, Stage
from typer.testing import CliRunner

from cli.common import out
from cli.main import app
from cli.service_client import ServiceClient
from db.engine import write
from db.tables import POLLING
from poller.ownership import SoleOwnership

Play = Callable[..., None]
STATUS = f"{API}/vma-polling/status"


def _counted(on: Stage, job_id: str, **values: Any) -> None:
    with write(on.service.engine) as connection:
        connection.execute(POLLING.update().where(POLLING.c.job_id == job_id).values(**values))


def test_nobody_is_polled_and_the_vma_was_never_asked(play: Play) -> None:
    async def story(on: Stage) -> None:
        assert await on.get(STATUS) == {
            "active_count": 0,
            "scheduled_in_this_process": 0,
            "jobs": [],
            "total": 0,
            "vma": {
                "appliance": "default",
                "url": on.vma.url,
                "healthy": None,
                "last_heard_at": None,
                "last_error": None,
            },
            "performance": {"total_polls": 0, "successful_polls": 0, "success_rate": None},
            "monitor": {
                "last_cycle_at": None,
                "cycles": 0,
                "drift": 0,
                "orphans_detected": {"missing": 0, "overdue": 0, "ghost": 0, "unclaimed": 0},
                "polling_restarted": 0,
            },
        }

    play(story)


def test_a_polled_job_is_shown_with_age_errors_and_rates(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.running()
        on.vma.hold()
        on.clock.advance(90.25)
        _counted(on, job_id, total_polls=3, successful_polls=2, consecutive_errors=1, last_error_message="refused")
        status = await on.get(STATUS)
        assert (status["active_count"], status["scheduled_in_this_process"], status["total"]) == (1, 1, 1)
        (job,) = status["jobs"]
        assert job == {
            "job_id": job_id, "vm_name": "web-01", "state": "replicating", "watched": False, "job_age_seconds": 90.2,
            "polled": True,
            "is_active": True, "scheduled_in_this_process": True, "started_polling_at": "2026-03-02T12:00:00Z",
            "last_poll_at": "2026-03-02T12:00:00Z", "next_due_at": "2026-03-02T12:00:05Z", "consecutive_errors": 1,
            "last_error": "refused", "last_verdict": "running", "total_polls": 3, "successful_polls": 2,
            "success_rate": 66.67, "polled_by": on.service.observer.id,
        }  # fmt: skip
        assert status["performance"] == {"total_polls": 3, "successful_polls": 2, "success_rate": 66.67}
        assert (status["vma"]["healthy"], status["vma"]["last_heard_at"]) == (True, "2026-03-02T12:00:00Z")
        on.vma.release()

    play(story)


def test_a_vma_that_hangs_up_is_unhealthy_and_its_error_is_shown(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.running()
        on.vma.down = True
        on.service.polling.wake(job_id)
        await on.until(job_id, lambda job: job["polling"]["consecutive_errors"] > 0)
        status = await on.get(STATUS)
        assert status["vma"]["healthy"] is False
        assert status["vma"]["last_error"] == status["jobs"][0]["last_error"] is not None
        assert status["vma"]["last_heard_at"] == "2026-03-02T12:00:00Z"
        polling = await on.get(f"{API}/vma-polling/jobs/{job_id}")
        assert [c["name"] for c in polling["conditions"] if not c["holds"]] == ["Reachable", "NeedsOperator"]
        assert [p["verdict"] for p in polling["history"]][:2] == ["unreachable", "running"]
        assert (polling["history"][1]["percent"], polling["history"][1]["throughput_mib_s"]) == (40.0, 12.5)
        assert polling["history"][0]["error"] == polling["last_error"]

    play(story)


def test_watched_ends_are_listed_and_settled_ones_are_not(play: Play) -> None:
    async def story(on: Stage) -> None:
        watched = await on.inferred_end("vm-1")
        over = await on.create("vm-2")
        await on.fire(over, "fail", ANNA)
        (job,) = (await on.get(STATUS))["jobs"]
        assert (job["job_id"], job["watched"], job["state"]) == (watched, True, "failed")
        ended = await on.get(f"{API}/vma-polling/jobs/{over}")
        assert (ended["is_active"], ended["scheduled_in_this_process"], ended["next_due_at"]) == (False, False, None)

    play(story, **AT_ONCE)


def test_the_list_is_paged_and_counts_all_pages(play: Play) -> None:
    async def story(on: Stage) -> None:
        ids = sorted([await on.create(f"vm-{n}") for n in range(3)])
        status = await on.get(STATUS, limit=2, offset=1)
        assert ([j["job_id"] for j in status["jobs"]], status["total"]) == (ids[1:], 3)
        assert status["active_count"] == 3

    play(story)


def test_a_job_that_another_replica_asks_about_is_polled(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each of two replicas would show half of the jobs as polled by nobody."""

    async def story(on: Stage) -> None:
        job_id = await on.running()
        on.service.polling.poller.drop(job_id)
        for elsewhere in (False, True):
            monkeypatch.setattr(SoleOwnership, "elsewhere", lambda _self, _job_id, so=elsewhere: so)
            (job,) = (await on.get(STATUS))["jobs"]
            one = await on.get(f"{API}/vma-polling/jobs/{job_id}")
            shown = run_command(monkeypatch, {"vma-polling/status": await on.get(STATUS)})
            assert job_id in shown, "an id is of no use cut in two"
            assert (job["polled"], one["polled"], "NOT POLLED" in shown) == (elsewhere, elsewhere, not elsewhere)
            assert (job["scheduled_in_this_process"], one["scheduled_in_this_process"]) == (False, False)

    play(story)


def run_command(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> str:
    """What `oma-fsm polling` makes of them on a terminal of 80 columns."""
    monkeypatch.setattr(out, "_width", 80)
    monkeypatch.setattr(ServiceClient, "get", lambda _self, path, **_query: answers[path.strip("/")])
    return CliRunner().invoke(app, ["polling"]).output


def test_a_job_that_fell_out_of_the_schedule_shows_and_so_does_the_monitor_that_puts_it_back(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.running()
        on.service.polling.poller.drop(job_id)
        dropped = await on.get(f"{API}/vma-polling/jobs/{job_id}")
        assert dropped["scheduled_in_this_process"] is False
        assert {c["name"]: c["holds"] for c in dropped["conditions"]}["Polled"] is False
        await on.service.polling.monitor.cycle()
        monitor = (await on.get(STATUS))["monitor"]
        assert monitor == {
            "last_cycle_at": "2026-03-02T12:00:00Z",
            "cycles": 1,
            "drift": 1,
            "orphans_detected": {"missing": 1, "overdue": 0, "ghost": 0, "unclaimed": 0},
            "polling_restarted": 1,
        }
        assert (await on.get(f"{API}/vma-polling/jobs/{job_id}"))["scheduled_in_this_process"] is True

    play(story)


def test_a_job_without_a_polling_row_has_a_blank_one(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        await on.fire(job_id, "fail", ANNA)
        with write(on.service.engine) as connection:
            connection.execute(POLLING.delete())
        polling = await on.get(f"{API}/vma-polling/jobs/{job_id}")
        assert (polling["is_active"], polling["total_polls"], polling["success_rate"]) == (False, 0, None)
        assert polling["started_polling_at"] is None

    play(story)
