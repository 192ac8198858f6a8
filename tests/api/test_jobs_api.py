"""A job's life over REST, and what can be seen of it."""

from collections.abc import Callable
from typing import Any

from api_stage import ANNA, API, JOBS, SIZE, Stage, new_job
from unguarded import unguarded

from fsm.states import Event

Play = Callable[..., None]
CONDITIONS = ["Reachable", "Progressing", "Confirmed", "Polled", "DisksHealthy", "NeedsOperator"]


def test_a_job_lives_from_creation_to_completion_by_events_and_evidence(play: Play) -> None:
    async def story(on: Stage) -> None:
        answer = await on.http.post(JOBS, json=new_job(disks=2))
        assert answer.status_code == 201
        born = answer.json()
        job_id = born["job_id"]
        assert answer.headers["location"] == f"{JOBS}/{job_id}"
        assert born == {
            "job_id": job_id, "event": "create", "outcome": "moved", "from_state": None, "status": "initializing",
            "ending": None, "version": 1, "edge": "create", "effects": ["claim_context", "start_polling"],
            "message": "create: (new) -> initializing", "failed_guards": [], "possible_at": None, "dry_run": False,
        }  # fmt: skip
        assert (await on.fire(job_id, "attach"))["status"] == "attaching"
        for n in range(2):
            volume = {"volume_id": f"vol-{n}", "volume_name": f"n{n}", "size_gb": 1, "device_path": "/dev/vdb"}
            tied = await on.put(f"{JOBS}/{job_id}/disks/disk-{2000 + n}/volume", volume)
            assert tied == {
                "job_id": job_id, "disk_id": f"disk-{2000 + n}", "volume_id": f"vol-{n}",
                "export_name": f"migration-vol-vol-{n}",
            }  # fmt: skip
        assert (await on.fire(job_id, "configure"))["status"] == "configuring"
        assert (await on.fire(job_id, "ready"))["status"] == "ready_for_sync"
        started = await on.fire(job_id, "start")
        assert (started["from_state"], started["status"], started["version"]) == ("ready_for_sync", "replicating", 5)
        for disk in ("disk-2000", "disk-2001"):
            await on.post(f"{JOBS}/{job_id}/changeid", {"disk_id": disk, "change_id": "52 aa/1"})
        done = await on.until(job_id, lambda job: job["status"] == "completed")
        assert (done["ending"], done["progress_percent"], done["bytes_transferred"]) == ("confirmed", 100.0, 2 * SIZE)
        context = await on.get(f"{API}/contexts/{done['vm_context_id']}")
        assert (context["current_status"], context["current_job_id"]) == ("ready_for_failover", None)
        assert (context["last_successful_job_id"], context["vm_name"]) == (job_id, "web-01")

    play(story)


def test_history_names_every_move_with_rule_asker_guards_and_evidence(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.replicating()
        await on.fire(job_id, "fail", ANNA)
        history = await on.get(f"{JOBS}/{job_id}/history")
        moves = history["items"]
        assert history["job_id"] == job_id
        assert [m["seq"] for m in moves] == [1, 2, 3, 4, 5, 6]
        assert [m["to_state"] for m in moves][-2:] == ["replicating", "failed"]
        last = moves[-1]
        assert (last["event"], last["edge"], last["ending"]) == ("fail", "operator_fails", "manual")
        assert (last["asked_by"], last["actor"], last["reason"]) == ("operator", "anna", ANNA["reason"])
        assert {v["name"]: v["passed"] for v in last["verdicts"]} | {"by_workflow": False} == {
            "by_workflow": False, "has_reason": True, "by_operator": True,
        }  # fmt: skip
        assert last["facts"]["state"] == "failed"
        assert (last["evidence"], last["at"]) == (None, "2026-03-02T12:00:00Z")

    play(story)


def test_a_job_in_full_shows_disks_polling_conditions_and_what_can_be_done(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.replicating()
        job = await on.until(job_id, lambda job: job["progress_percent"] == 40.0)
        assert (job["status"], job["version"], job["unreadable"]) == ("replicating", 5, None)
        assert (job["vm_name"], job["vcenter_host"], job["vm_path"]) == ("web-01", "vcenter.example", "/DC/vm/web-01")
        assert (job["vma_throughput_mbps"], job["bytes_transferred"], job["total_bytes"]) == (12.5, 400, SIZE)
        assert (job["vma_validated_at"], job["created_at"]) == ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z")
        (disk,) = job["disks"]
        assert (disk["disk_id"], disk["volume_id"]) == ("disk-2000", f"{job_id}-vol0")
        assert (disk["export_name"], disk["proven"]) == (f"migration-vol-{job_id}-vol0", False)
        assert (disk["bytes_synced"], disk["sync_status"]) == (400, "syncing")
        assert (job["polling"]["is_active"], job["polling"]["scheduled_in_this_process"]) == (True, True)
        assert [c["name"] for c in job["conditions"]] == CONDITIONS
        assert [c["name"] for c in job["conditions"] if not c["holds"]] == ["NeedsOperator"]
        assert [e["event"] for e in job["events"]] == [
            "attach", "configure", "ready", "start", "fail", "complete", "reopen",
        ]  # fmt: skip

    play(story)


def _event(job: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in job["events"] if e["event"] == name)
    return found


def test_the_events_of_a_job_say_who_may_and_what_stands_in_the_way_of_the_others(play: Play) -> None:
    async def story(on: Stage) -> None:
        job = await on.job(await on.create())
        both = ["workflow", "operator"]
        assert _event(job, "attach") == {
            "event": "attach", "possible": True, "asked_by": both, "needs_reason": False, "leads_to": "attaching",
            "message": "", "failed_guards": [], "possible_at": None,
        }  # fmt: skip
        assert _event(job, "fail") == {
            "event": "fail", "possible": True, "asked_by": both, "needs_reason": True, "leads_to": "failed",
            "message": "", "failed_guards": [], "possible_at": None,
        }  # fmt: skip
        assert (_event(job, "complete")["asked_by"], _event(job, "complete")["needs_reason"]) == (["operator"], True)
        reopen = _event(job, "reopen")
        assert (reopen["possible"], reopen["leads_to"]) == (False, None)
        assert reopen["message"] == "reopen is illegal for a job that is initializing"
        await on.fire(job["job_id"], "attach")
        job = await on.job(job["job_id"])
        assert _event(job, "ready") == {
            "event": "ready", "possible": False, "asked_by": [], "needs_reason": False, "leads_to": None,
            "message": "volumes_recorded: wants a volume for every disk, is no volume for disk-2000",
            "failed_guards": [
                {"name": "volumes_recorded", "observed": "no volume for disk-2000",
                 "limit": "a volume for every disk", "becomes_true_at": None},
            ],
            "possible_at": None,
        }  # fmt: skip
        assert "there or beyond already" in _event(job, "attach")["message"]

    play(story)


def test_that_an_operator_is_not_the_workflow_does_not_count_among_the_obstacles(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        await on.fire(job_id, "fail", {"reason": "gave up"})
        events = (await on.job(job_id))["events"]
        assert {e["event"]: [g["name"] for g in e["failed_guards"]] for e in events if not e["possible"]} == {
            "attach": ["inferred"],
            "configure": ["inferred"],
            "ready": ["inferred"],
            "start": ["inferred"],
            "fail": ["inferred"],
            "complete": ["inferred"],
            "reopen": ["revisable"],
        }

    play(story)


def test_what_is_said_to_be_possible_is_what_happens(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        for step in ("attach", "fail"):
            for event in (await on.job(job_id))["events"]:
                tried = await on.fire(job_id, event["event"], ANNA, dry_run=True)
                assert (tried["outcome"] in ("moved", "stayed")) is event["possible"], event
            await on.fire(job_id, step, ANNA)

    play(story)


def test_a_dry_run_says_what_would_be_decided_and_changes_nothing(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        would = await on.fire(job_id, "attach", dry_run=True)
        assert (would["outcome"], would["status"], would["dry_run"]) == ("moved", "attaching", True)
        refused = await on.fire(job_id, "complete", dry_run=True)
        assert (refused["outcome"], refused["edge"]) == ("refused", None)
        assert [g["name"] for g in refused["failed_guards"]] == ["by_operator", "has_reason"]
        job = await on.job(job_id)
        assert (job["status"], job["version"]) == ("initializing", 1)

    play(story)


def test_a_repeated_event_of_the_workflow_is_answered_and_has_one_effect(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        await on.fire(job_id, "attach")
        again = await on.fire(job_id, "attach")
        assert (again["outcome"], again["status"], again["version"]) == ("stayed", "attaching", 2)
        assert len((await on.get(f"{JOBS}/{job_id}/history"))["items"]) == 2

    play(story)


def test_the_list_filters_by_states_and_vm_and_counts_all_pages(play: Play) -> None:
    async def story(on: Stage) -> None:
        ids = []
        for n in range(3):
            on.clock.advance(1)
            ids.append(await on.create(f"vm-{n}"))
        await on.fire(ids[0], "attach")
        await on.fire(ids[2], "fail", ANNA)
        newest = await on.get(JOBS, limit=2)
        assert ([j["job_id"] for j in newest["items"]], newest["total"]) == ([ids[2], ids[1]], 3)
        rest = await on.get(JOBS, limit=2, offset=2)
        assert ([j["job_id"] for j in rest["items"]], rest["total"]) == ([ids[0]], 3)
        some = await on.get(JOBS, status=["attaching", "failed"])
        assert ([j["job_id"] for j in some["items"]], some["total"]) == ([ids[2], ids[0]], 2)
        one = await on.get(JOBS, vm_name="vm-1")
        assert ([j["job_id"] for j in one["items"]], one["total"]) == ([ids[1]], 1)
        assert await on.get(JOBS, vm_name="nobody") == {"items": [], "total": 0}

    play(story)


def test_the_id_of_a_new_job_may_be_given(play: Play) -> None:
    async def story(on: Stage) -> None:
        assert await on.create(job_id="job-20251003-140000.123-a1b2c3") == "job-20251003-140000.123-a1b2c3"

    play(story)


def test_a_row_that_makes_no_sense_is_shown_with_the_reason_and_without_actions(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        await on.fire(job_id, "fail", ANNA)
        with unguarded(on.service.engine), on.service.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            connection.exec_driver_sql("UPDATE replication_jobs SET ending = 'perhaps'")
            connection.commit()
        job = await on.job(job_id)
        assert "makes no sense" in job["unreadable"]
        assert (job["status"], job["conditions"], job["events"]) == ("failed", [], [])
        assert (await on.get(f"{API}/vma-polling/jobs/{job_id}"))["conditions"] == []

    play(story)


def test_openapi_describes_every_route_and_names_the_events_that_may_be_asked_for(play: Play) -> None:
    async def story(on: Stage) -> None:
        described = await on.get("/openapi.json")
        assert (described["info"]["title"], described["info"]["version"]) == ("OMA FSM", "0.1.0")
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                assert operation.get("description"), f"{method} {path} says nothing"
        fire = described["paths"][JOBS + "/{job_id}/events/{event}"]["post"]
        (event,) = (p["schema"] for p in fire["parameters"] if p["name"] == "event")
        asked_for = [e.value for e in Event if e is not Event.CREATE and not e.startswith("vma_")]
        assert event["enum"] == asked_for
        assert set(fire["responses"]) == {"200", "404", "409", "422", "503"}

    play(story)
