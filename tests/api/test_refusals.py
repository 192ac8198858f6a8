"""Refused events: 409, with every guard that failed."""

from collections.abc import Callable
from dataclasses import replace as altered
from datetime import timedelta
from typing import Any

import pytest
from api_stage import ANNA, API, JOBS, NOON, Stage, new_job
from msgspec.structs import replace

from api.errors import RefusedError
from api.possible import possible_events
from fsm.decision import Decision, Outcome
from fsm.facts import Asked
from fsm.guard import Guard, Sight
from fsm.machine import decide
from fsm.policy import DEFAULT_POLICY
from fsm.spec import EDGES
from fsm.states import Event
from fsm.testing import make_job

Play = Callable[..., None]
NO_REASON = {
    "name": "has_reason", "observed": "no reason given", "limit": "a reason is given", "becomes_true_at": None,
}  # fmt: skip


def _guards(refused: dict[str, Any]) -> list[str]:
    return [g["name"] for g in refused["failed_guards"]]


def test_a_refusal_is_a_409_that_names_every_failed_guard(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        assert await on.fire(job_id, "complete", code=409) == {
            "error": "refused",
            "message": "complete refused for a job that is initializing: by_operator: wants an operator, by name, is"
            " workflow (no name); has_reason: wants a reason is given, is no reason given",
            "event": "complete",
            "state": "initializing",
            "outcome": "refused",
            "failed_guards": [
                {
                    "name": "by_operator",
                    "observed": "workflow (no name)",
                    "limit": "an operator, by name",
                    "becomes_true_at": None,
                },
                NO_REASON,
            ],
            "possible_at": None,
            "last_move": {
                "event": "create",
                "to_state": "initializing",
                "ending": None,
                "asked_by": "workflow",
                "actor": None,
                "reason": None,
                "at": "2026-03-02T12:00:00Z",
            },
        }
        job = await on.job(job_id)
        assert (job["status"], job["version"]) == ("initializing", 1)

    play(story)


def test_an_event_that_the_table_does_not_have_is_illegal(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        refused = await on.fire(job_id, "start", code=409)
        assert refused | {"last_move": None} == {
            "error": "illegal",
            "message": "start is illegal for a job that is initializing",
            "event": "start",
            "state": "initializing",
            "outcome": "illegal",
            "failed_guards": [],
            "possible_at": None,
            "last_move": None,
        }

    play(story)


def test_attach_wants_disks(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create(disks=0)
        assert _guards(await on.fire(job_id, "attach", code=409)) == ["has_disks"]

    play(story)


@pytest.mark.parametrize("event", ["configure", "ready"])
def test_a_volume_for_every_disk_is_wanted_and_the_disks_without_are_named(play: Play, event: str) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create(disks=3)
        await on.fire(job_id, "attach")
        await on.put(f"{JOBS}/{job_id}/disks/disk-2001/volume", {"volume_id": "vol-1"})
        (guard,) = (await on.fire(job_id, event, code=409))["failed_guards"]
        assert (guard["name"], guard["observed"]) == ("volumes_recorded", "no volume for disk-2000, disk-2002")

    play(story)


def test_fail_wants_a_reason_and_names_that_guard_once(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        refused = await on.fire(job_id, "fail", {"asked_by": "operator", "actor": "anna"}, 409)
        assert _guards(refused) == ["by_workflow", "has_reason"]
        assert NO_REASON in refused["failed_guards"]
        blank = await on.fire(job_id, "fail", {"reason": "   "}, 409)
        assert _guards(blank) == ["has_reason", "by_operator"]

    play(story)


@pytest.mark.parametrize("actor", [None, "  "])
def test_an_operator_without_a_name_is_none(play: Play, actor: str | None) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        told = {"asked_by": "operator", "actor": actor, "reason": "it is done"}
        refused = await on.fire(job_id, "complete", told, 409)
        assert _guards(refused) == ["by_operator"]

    play(story)


def test_who_comes_too_late_is_told_who_was_first_and_by_what(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.running()
        on.vma.say(job_id, "completed", 100.0)
        on.service.polling.wake(job_id)
        await on.until(job_id, lambda job: job["status"] == "completed")
        refused = await on.fire(job_id, "fail", ANNA, 409)
        assert _guards(refused) == ["inferred", "by_workflow"]
        last = refused["last_move"]
        assert (last["event"], last["to_state"], last["ending"]) == ("vma_completed", "completed", "confirmed")
        assert last["asked_by"] == "poll"
        assert (await on.job(job_id))["status"] == "completed"

    play(story)


def test_a_confirmed_end_is_not_reopened_and_a_manual_one_is(play: Play) -> None:
    async def story(on: Stage) -> None:
        confirmed = await on.create("vm-1")
        await on.fire(confirmed, "fail", {"reason": "gave up"})
        assert _guards(await on.fire(confirmed, "reopen", ANNA, 409)) == ["revisable"]
        manual = await on.create("vm-2")
        await on.fire(manual, "fail", ANNA)
        assert (await on.fire(manual, "reopen", ANNA))["status"] == "replicating"

    play(story)


def test_a_job_whose_vm_has_a_newer_one_is_not_reopened(play: Play) -> None:
    async def story(on: Stage) -> None:
        older = await on.create()
        await on.fire(older, "fail", ANNA)
        on.clock.advance(1)
        await on.create()
        assert _guards(await on.fire(older, "reopen", ANNA, 409)) == ["vm_not_taken"]

    play(story)


def test_a_second_job_of_a_vm_is_refused_while_the_first_is_unfinished(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        assert await on.post(JOBS, new_job(), 409) == {
            "error": "refused",
            "message": "create refused for a job that is (new): vm_idle: wants no unfinished job of the VM, is "
            + job_id,
            "event": "create",
            "state": None,
            "outcome": "refused",
            "failed_guards": [
                {"name": "vm_idle", "observed": job_id, "limit": "no unfinished job of the VM", "becomes_true_at": None}
            ],
            "possible_at": None,
            "last_move": None,
        }
        assert (await on.get(JOBS))["total"] == 1

    play(story)


def test_a_refusal_that_time_alone_will_lift_says_when(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        decision = await on.service.dry_run(job_id, Event.START, Asked())
        seen = Sight("5s", ">= 60s", NOON + timedelta(seconds=55))
        early = Guard("ripe", "ripe", lambda _: False, lambda _: seen)
        rule = altered(EDGES[0], guards=(early,))
        refusal = RefusedError(replace(decision, outcome=Outcome.REFUSED, tried=(rule,)))

        async def refuse(*_args: object) -> None:
            raise refusal

        on.service.fire = refuse  # type: ignore[method-assign,assignment]
        refused = await on.fire(job_id, "start", code=409)
        assert refused["possible_at"] == "2026-03-02T12:00:55Z"
        assert refused["failed_guards"] == [
            {"name": "ripe", "observed": "5s", "limit": ">= 60s", "becomes_true_at": "2026-03-02T12:00:55Z"}
        ]
        assert refused["message"].endswith("from 2026-03-02 12:00:55Z on")

    play(story)


def test_an_event_is_possible_when_the_first_of_those_who_may_ask_can_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(minutes: int | None) -> Decision:
        at = None if minutes is None else NOON + timedelta(minutes=minutes)
        rule = altered(EDGES[0], guards=(Guard("ripe", "ripe", lambda _: False, lambda _: Sight("x", "y", at)),))
        decided = decide(make_job("failed", ending="confirmed"), Event.REOPEN, None, NOON)
        return replace(decided, tried=(rule,))

    asked: tuple[Decision, ...] = ()
    monkeypatch.setattr("api.possible.explain", lambda *_, **__: {Event.REOPEN: asked})
    for minutes, possible in (((None, 3), 3), ((7, 3), 3), ((None, None), None)):
        asked = tuple(map(refused, minutes))
        (event,) = possible_events(make_job(), NOON, DEFAULT_POLICY)
        assert event.possible_at == (None if possible is None else NOON + timedelta(minutes=possible))


def test_an_id_that_exists_already_is_a_conflict(play: Play) -> None:
    async def story(on: Stage) -> None:
        await on.create("vm-1", job_id="job-1")
        assert await on.post(JOBS, new_job("vm-2") | {"job_id": "job-1"}, 409) == {
            "error": "conflict",
            "message": "a job job-1 exists already",
        }

    play(story)


def test_a_volume_of_another_disk_or_vm_is_a_conflict(play: Play) -> None:
    async def story(on: Stage) -> None:
        first, second = await on.create("vm-1", disks=2), await on.create("vm-2")
        await on.put(f"{JOBS}/{first}/disks/disk-2000/volume", {"volume_id": "vol-1"})
        same = await on.put(f"{JOBS}/{first}/disks/disk-2001/volume", {"volume_id": "vol-1"}, 409)
        assert same == {"error": "conflict", "message": "volume vol-1 is already that of disk disk-2000"}
        other = await on.put(f"{JOBS}/{second}/disks/disk-2000/volume", {"volume_id": "vol-1"}, 409)
        assert "belongs to another VM" in other["message"]
        assert (await on.job(second))["disks"][0]["volume_id"] is None

    play(story)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{JOBS}/job-none", None),
        ("GET", f"{JOBS}/job-none/history", None),
        ("GET", f"{API}/vma-polling/jobs/job-none", None),
        ("POST", f"{JOBS}/job-none/events/attach", None),
        ("POST", f"{JOBS}/job-none/events/attach?dry_run=true", None),
        ("PUT", f"{JOBS}/job-none/disks/disk-2000/volume", {"volume_id": "v"}),
        ("POST", f"{JOBS}/job-none/changeid", {"disk_id": "disk-2000", "change_id": "52/1"}),
        ("GET", f"{API}/contexts/ctx-none", None),
    ],
)
def test_an_unknown_id_is_a_404_that_names_it(play: Play, method: str, path: str, body: Any) -> None:
    async def story(on: Stage) -> None:
        answer = on.body(await on.http.request(method, path, json=body), 404)
        assert answer["error"] == "not_found"
        assert "'ctx-none'" in answer["message"] or "job-none" in answer["message"]

    play(story)
