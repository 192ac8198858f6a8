"""Requests that make no sense, and texts that mean harm."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from api_stage import API, JOBS, Stage, new_job

Play = Callable[..., None]
MIB = 1 << 20
HARM = "<script>alert('x')</script>\r\nSet-Cookie: a=b\x1b[31m\x01\u2028=cmd|'/c calc'!A1"


def _disk(**fields: Any) -> dict[str, Any]:
    return new_job() | {"disks": [{"disk_id": "disk-2000", "capacity_bytes": 1} | fields]}


BAD_JOBS = {
    "an empty body": {},
    "an unknown field": new_job() | {"vm_nmae": "x"},
    "no name": new_job() | {"vm_name": ""},
    "a name longer than its column": new_job() | {"vm_name": "x" * 256},
    "a path longer than its column": new_job() | {"vm_path": "x" * 501},
    "a number for a name": new_job() | {"vm_name": 7},
    "an unknown type": new_job() | {"replication_type": "sideways"},
    "an id with a slash": new_job() | {"job_id": "../etc/passwd"},
    "an id with a dot in front": new_job() | {"job_id": ".hidden"},
    "an id with a line feed": new_job() | {"job_id": "job-1\n"},
    "an id of 192 characters": new_job() | {"job_id": "j" * 192},
    "a disk twice": new_job() | {"disks": new_job(disks=1)["disks"] * 2},
    "257 disks": new_job(disks=257),
    "a negative capacity": _disk(capacity_bytes=-1),
    "a capacity beyond all disks": _disk(capacity_bytes=2**63),
    "half a byte": _disk(capacity_bytes=0.5),
    "an unknown field of a disk": _disk(size=3),
    "a disk id with a question mark": _disk(disk_id="disk?x=1"),
    "a negative unit": _disk(unit_number=-1),
    "NUL in a text": new_job() | {"vm_name": "web\x00-01"},
    "half a surrogate pair": new_job() | {"target_network": "\ud800"},
    "the poller as asker": new_job() | {"asked_by": "poll"},
}


@pytest.mark.parametrize("body", BAD_JOBS.values(), ids=BAD_JOBS.keys())
def test_a_job_with_nonsense_in_it_is_a_422_and_not_made(play: Play, body: dict[str, Any]) -> None:
    async def story(on: Stage) -> None:
        content = json.dumps(body).encode()
        answer = await on.http.post(JOBS, content=content, headers={"content-type": "application/json"})
        refused = on.body(answer, 422)
        assert refused["error"] == "invalid"
        assert refused["fields"]
        assert refused["fields"][0]["field"] in refused["message"]
        assert (await on.get(JOBS))["total"] == 0

    play(story)


def test_a_422_names_the_field_and_does_not_repeat_what_was_sent(play: Play) -> None:
    async def story(on: Stage) -> None:
        refused = await on.post(JOBS, _disk(capacity_bytes=-12345), 422)
        assert refused == {
            "error": "invalid",
            "message": "body.disks.0.capacity_bytes: Input should be greater than or equal to 0",
            "fields": [
                {"field": "body.disks.0.capacity_bytes", "message": "Input should be greater than or equal to 0"}
            ],
        }

    play(story)


def test_a_field_whose_name_is_no_text_is_a_422_too(play: Play) -> None:
    async def story(on: Stage) -> None:
        content = json.dumps(new_job() | {"\ud800": 1}).encode()
        answer = await on.http.post(JOBS, content=content, headers={"content-type": "application/json"})
        assert on.body(answer, 422)["fields"][0]["field"] == "body"

    play(story)


@pytest.mark.parametrize("event", ["create", "vma_running", "vma_not_found", "explode", "ATTACH", "x" * 500])
def test_only_events_of_people_may_be_asked_for_and_the_refusal_lists_them(play: Play, event: str) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        refused = await on.fire(job_id, event, code=422)
        assert refused["fields"][0]["field"] == "path.event"
        if len(event) < 32:
            assert "attach, configure, ready, start, fail, complete, reopen" in refused["message"]
        assert (await on.job(job_id))["version"] == 1

    play(story)


@pytest.mark.parametrize(
    "body",
    [{"asked_by": "startup"}, {"actor": ""}, {"actor": "x" * 256}, {"reason": "x" * 4001}, {"force": True}, [], 7],
)
def test_an_event_with_nonsense_in_its_body_is_a_422(play: Play, body: Any) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        assert (await on.fire(job_id, "attach", body, 422))["error"] == "invalid"
        assert (await on.job(job_id))["version"] == 1

    play(story)


@pytest.mark.parametrize(
    "path",
    [
        f"{JOBS}?limit=0", f"{JOBS}?limit=1001", f"{JOBS}?offset=-1", f"{JOBS}?offset=99999999999999999999",
        f"{JOBS}?status=sleeping", f"{JOBS}?vm_name=a%00b", f"{JOBS}/.hidden", f"{JOBS}/a%20b", f"{JOBS}/{'j' * 192}",
        f"{JOBS}/job-1%0A/history", f"{API}/contexts/{'c' * 65}", f"{API}/vma-polling/jobs/a;b",
        f"{API}/vma-polling/status?limit=0", f"{JOBS}/changeid", f"{JOBS}/changeid?vm_path=/DC/x",
        f"{JOBS}/changeid?vm_path=/DC/x&disk_id=a%2Fb",
    ],
)  # fmt: skip
def test_a_question_with_nonsense_in_it_is_a_422(play: Play, path: str) -> None:
    async def story(on: Stage) -> None:
        assert (await on.get(path, 422))["error"] == "invalid"

    play(story)


@pytest.mark.parametrize(
    "body",
    [{}, {"volume_id": "a/b"}, {"volume_id": "v", "status": "lost"}, {"volume_id": "v", "size_gb": -1}],
)
def test_a_volume_with_nonsense_in_it_is_a_422(play: Play, body: dict[str, Any]) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        assert (await on.put(f"{JOBS}/{job_id}/disks/disk-2000/volume", body, 422))["error"] == "invalid"

    play(story)


def test_a_volume_of_a_disk_that_the_job_does_not_have_is_a_404(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        refused = await on.put(f"{JOBS}/{job_id}/disks/disk-9/volume", {"volume_id": "v"}, 404)
        assert refused == {"error": "not_found", "message": f"no disk of job {job_id} 'disk-9'"}

    play(story)


@pytest.mark.parametrize(
    ("content", "code", "error"),
    [
        (b'{"vm_name": ', 422, "invalid"),
        (b"", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b'{"vm_name": NaN}', 422, "invalid"),
        (b"\xff\xfe", 422, "invalid"),
        (b"[" * 100_000, 400, "bad_request"),
    ],
)
def test_a_body_that_is_no_json_is_refused_as_json(play: Play, content: bytes, code: int, error: str) -> None:
    async def story(on: Stage) -> None:
        answer = await on.http.post(JOBS, content=content, headers={"content-type": "application/json"})
        assert on.body(answer, code)["error"] == error

    play(story)


def test_a_body_that_does_not_say_that_it_is_json_is_refused_with_that_advice(play: Play) -> None:
    async def story(on: Stage) -> None:
        answer = await on.http.post(JOBS, content=json.dumps(new_job()).encode())
        assert "content-type: application/json" in on.body(answer, 422)["message"]
        assert "content-type" not in (await on.post(JOBS, {}, 422))["message"]

    play(story)


async def _chunks(length: int) -> AsyncIterator[bytes]:
    for _ in range(length // 1024):
        yield b" " * 1024
    yield b" " * (length % 1024)


def test_a_body_of_more_than_one_mebibyte_is_a_413_whether_its_length_is_announced_or_not(play: Play) -> None:
    async def story(on: Stage) -> None:
        headers = {"content-type": "application/json"}
        for content in (b" " * (MIB + 1), _chunks(MIB + 1)):
            answer = await on.http.post(JOBS, content=content, headers=headers)
            assert on.body(answer, 413) == {"error": "too_large", "message": "the body is longer than 1048576 bytes"}
            assert answer.headers["connection"] == "close"
        lied = await on.http.post(JOBS, content=b"{}", headers=headers | {"content-length": "9" * 30})
        assert lied.status_code == 413

    play(story)


def test_a_body_of_exactly_one_mebibyte_is_read(play: Play) -> None:
    async def story(on: Stage) -> None:
        job = json.dumps(new_job()).encode()
        content = job + b" " * (MIB - len(job))
        answer = await on.http.post(JOBS, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 201

    play(story)


def test_unknown_paths_and_methods_are_refused_as_json(play: Play) -> None:
    async def story(on: Stage) -> None:
        assert await on.get("/nowhere", 404) == {"error": "not_found", "message": "Not Found"}
        answer = await on.http.delete(JOBS)
        assert on.body(answer, 405) == {"error": "method_not_allowed", "message": "Method Not Allowed"}
        assert answer.headers["allow"]

    play(story)


def test_markup_and_control_characters_come_back_as_data_in_json(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create(HARM)
        answer = await on.http.get(f"{JOBS}/{job_id}")
        assert on.body(answer, 200)["vm_name"] == HARM
        assert not any(c in answer.text for c in "\r\n\x1b\x01")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        found = await on.get(JOBS, vm_name=HARM)
        assert [j["job_id"] for j in found["items"]] == [job_id]
        await on.fire(job_id, "fail", {"asked_by": "operator", "actor": HARM, "reason": HARM})
        refused = await on.fire(job_id, "attach", code=409)
        assert (refused["last_move"]["actor"], refused["last_move"]["reason"]) == (HARM, HARM)

    play(story)


def test_markup_and_control_characters_of_the_vma_come_back_as_data_in_json(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.replicating()
        on.vma.say(job_id, "failed")
        on.vma.entries[job_id]["last_error"] = HARM
        on.service.polling.wake(job_id)
        job = await on.until(job_id, lambda job: job["status"] == "failed")
        assert "<script>" in job["error_message"]
        answer = await on.http.get(f"{API}/vma-polling/jobs/{job_id}")
        assert on.body(answer, 200)["history"][0]["error"] == job["error_message"]
        assert not any(c in answer.text for c in "\r\n\x1b\x01")

    play(story)
