"""The two calls of the copy process."""

from collections.abc import Callable
from typing import Any

import pytest
from api_stage import JOBS, Stage
from sqlalchemy import select

from db.engine import read
from db.tables import CBT

Play = Callable[..., None]
QUESTION = {"vm_path": "/DC/vm/web-01", "disk_id": "disk-2000"}


def _proofs(on: Stage) -> list[dict[str, Any]]:
    with read(on.service.engine) as connection:
        return [dict(row) for row in connection.execute(select(CBT).order_by(CBT.c.id)).mappings()]


def test_the_change_id_is_empty_for_a_disk_never_copied_and_then_that_of_the_last_good_copy(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        assert await on.get(f"{JOBS}/changeid", **QUESTION) == QUESTION | {"change_id": ""}
        told = {"change_id": "52 d0 eb/4", "disk_id": "disk-2000"}
        known = {"job_id": job_id, "disk_id": "disk-2000", "change_id": "52 d0 eb/4"}
        assert await on.post(f"{JOBS}/{job_id}/changeid", told) == known | {"recorded": True}
        assert await on.get(f"{JOBS}/changeid", **QUESTION) == QUESTION | {"change_id": "52 d0 eb/4"}

    play(story)


def test_a_change_id_is_the_proof_of_a_copy_and_told_twice_it_is_one(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        told = {"change_id": "52/4", "disk_id": "disk-2000", "previous_change_id": "52/3"}
        await on.post(f"{JOBS}/{job_id}/changeid", told)
        assert (await on.post(f"{JOBS}/{job_id}/changeid", told))["recorded"] is False
        (proof,) = _proofs(on)
        assert (proof["job_id"], proof["disk_id"], proof["sync_success"]) == (job_id, "disk-2000", True)
        assert (proof["change_id"], proof["previous_change_id"], proof["sync_type"]) == ("52/4", "52/3", "incremental")
        assert (await on.job(job_id))["disks"][0]["proven"] is True

    play(story)


@pytest.mark.parametrize("previous", ["", None])
def test_an_empty_previous_change_id_means_a_full_copy(play: Play, previous: str | None) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        told = {"change_id": "52/4", "disk_id": "disk-2000", "previous_change_id": previous}
        await on.post(f"{JOBS}/{job_id}/changeid", told)
        (proof,) = _proofs(on)
        assert (proof["previous_change_id"], proof["sync_type"]) == (None, "full")

    play(story)


def test_fields_that_a_newer_copy_process_adds_do_not_make_it_abort(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        told = {"change_id": "52/4", "disk_id": "disk-2000", "blocks_changed": 17}
        assert (await on.post(f"{JOBS}/{job_id}/changeid", told))["recorded"] is True

    play(story)


def test_the_next_job_of_a_vm_sees_the_change_id_of_the_one_before(play: Play) -> None:
    async def story(on: Stage) -> None:
        first = await on.create()
        await on.post(f"{JOBS}/{first}/changeid", {"change_id": "52/4", "disk_id": "disk-2000"})
        await on.until(first, lambda job: job["status"] == "completed")
        on.clock.advance(1)
        await on.create()
        assert (await on.get(f"{JOBS}/changeid", **QUESTION))["change_id"] == "52/4"

    play(story)


def test_unknown_vms_and_disks_are_404(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        unknown = await on.get(f"{JOBS}/changeid", 404, vm_path="/DC/vm/nobody", disk_id="disk-2000")
        assert unknown == {"error": "not_found", "message": "no VM with path '/DC/vm/nobody'"}
        told = {"change_id": "52/4", "disk_id": "disk-9"}
        refused = await on.post(f"{JOBS}/{job_id}/changeid", told, 404)
        assert refused == {"error": "not_found", "message": f"no disk of job {job_id} 'disk-9'"}
        assert _proofs(on) == []

    play(story)


def test_a_change_id_without_its_id_is_a_422(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        for told in ({"disk_id": "disk-2000"}, {"disk_id": "disk-2000", "change_id": ""}):
            assert (await on.post(f"{JOBS}/{job_id}/changeid", told, 422))["error"] == "invalid"

    play(story)
