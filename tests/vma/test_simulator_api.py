"""Over a real socket: the data API answers as the appliance does, the control API does what it is told."""

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from simulator_support import until

from vma.simulator.control_client import Control, ControlError
from vma.simulator.plans import Plan
from vma.simulator.process import SimulatorProcess

pytestmark = pytest.mark.process

MIB = 2**20
SPEED = 50.0
TARGETS = [
    {
        "disk_id": f"disk-200{n}",
        "nbd_url": f"nbd://127.0.0.1:10809/migration-vol-{n}",
        "size_bytes": 600 * MIB,
        "extra": True,
    }
    for n in (0, 1)
]
QUICK = Plan(rate_mib_s=100, first_post_after_s=0, setup_s=0, gap_s=1, post_every_s=1)
SLOW = QUICK.model_copy(update={"rate_mib_s": 0.1})


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(speed=SPEED) as running:
        yield running


@pytest.fixture
def control(simulator: SimulatorProcess) -> Control:
    simulator.control.forget(copies_survive=False)
    simulator.control.clear_requests()
    return simulator.control


@pytest.fixture
def data(simulator: SimulatorProcess, control: Control) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{simulator.url}/api/v1", trust_env=False, timeout=5) as client:
        yield client


def start(data: httpx.Client, job_id: str, targets: list[dict[str, Any]] = TARGETS) -> httpx.Response:
    body = {
        "job_id": job_id,
        "vcenter": "vc",
        "username": "u",
        "password": "p",
        "vm_paths": ["/DC/vm/x"],
        "oma_url": "",
        "nbd_targets": targets,
    }
    return data.post("/replicate", json=body)


# --- data API


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/progress/job-unknown", "job not found\n"),
        ("/status/job-unknown", "Job not found: job-unknown\n"),
        ("/progress/job-unknown/", "404 page not found\n"),
        ("/", "404 page not found\n"),
        ("/docs", "404 page not found\n"),
    ],
)
def test_what_is_not_there_is_a_plain_text_404(data: httpx.Client, path: str, text: str) -> None:
    answer = data.get(path)
    assert (answer.status_code, answer.text) == (404, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path"),
    [("HEAD", "/progress/x"), ("DELETE", "/progress/x"), ("GET", "/progress/x/update"), ("POST", "/health")],
)
def test_a_wrong_method_is_a_405_without_a_body(data: httpx.Client, method: str, path: str) -> None:
    answer = data.request(method, path)
    assert (answer.status_code, answer.content) == (405, b"")
    assert "Content-Type" not in answer.headers


def test_health_says_healthy_and_dates_itself(data: httpx.Client) -> None:
    answer = data.get("/health")
    assert list(answer.json()) == ["status", "timestamp", "uptime"]
    assert answer.json()["status"] == "healthy"
    assert abs((parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)).total_seconds()) < 10


def test_an_update_makes_an_unknown_key_and_is_read_back(data: httpx.Client) -> None:
    first = data.post("/progress/migration-vol-x/update", content=b'{"stage":"Initializing","percent":5}')
    assert first.text == '{"auto_initialized":true,"job_id":"migration-vol-x","status":"success"}\n'
    second = data.post("/progress/migration-vol-x/update", content=b"null")
    assert second.text == '{"job_id":"migration-vol-x","status":"success"}\n'
    answer = data.get("/progress/migration-vol-x?x=1")
    assert answer.json()["percentage"] == 5
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.content.endswith(b"}\n")


def test_a_bad_update_is_a_400_and_makes_no_entry(data: httpx.Client) -> None:
    answer = data.post("/progress/job-bad/update", content=b"[]")
    assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (400, "nosniff")
    assert answer.text.startswith("invalid request body: json: cannot unmarshal array")
    assert answer.text.endswith("\n")
    assert data.get("/progress/job-bad").status_code == 404


def test_a_long_answer_comes_chunked(data: httpx.Client, control: Control) -> None:
    disks = [{"disk_id": f"disk-20{n}", "bytes_transferred": n, "total_bytes": 99} for n in range(10, 26)]
    control.put_entry("job-many", disks)
    answer = data.get("/progress/job-many")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.json()["disk_progresses"]) == 16


def test_a_path_with_dots_in_it_is_redirected(simulator: SimulatorProcess) -> None:
    # not with httpx, which tidies the path itself
    host, port = simulator.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.request("GET", "/api/v1/progress/../health")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "/api/v1/health")
    connection.close()


def test_replicate_answers_started_and_status_never_gets_further(data: httpx.Client, control: Control) -> None:
    control.plan("job-r", SLOW.model_copy(update={"first_post_after_s": 1e6}))
    answer = start(data, "job-r")
    assert list(answer.json()) == ["job_id", "status", "vm_count", "started_at"]
    assert (answer.json()["status"], answer.json()["vm_count"]) == ("started", 1)
    assert data.get("/progress/job-r").status_code == 404
    status = data.get("/status/job-r").json()
    assert (status["status"], status["progress_percent"], status["current_operation"]) == (
        "running",
        0,
        "initializing",
    )
    data.post("/cleanup", json={"job_id": "job-r", "action": "cleanup_all"})
    assert data.get("/status/job-r").json()["current_operation"] == "cleanup_completed"


def test_replicate_without_a_job_id_is_a_400(data: httpx.Client) -> None:
    answer = data.post("/replicate", json={"vm_paths": []})
    assert (answer.status_code, answer.text) == (400, "invalid request body: job_id: Field required\n")


def test_a_copy_of_two_disks_reads_completed_too_early_and_then_at_its_end(
    data: httpx.Client, control: Control
) -> None:
    control.plan("job-two", QUICK.model_copy(update={"gap_s": 1e6}))
    start(data, "job-two")

    def completed() -> dict[str, Any] | None:
        answer = data.get("/progress/job-two")
        body: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return body if body.get("status") == "completed" else None

    early = until(completed)
    assert (early["percentage"], len(early["disk_progresses"])) == (100, 1)
    copy = control.finish("job-two")
    assert (copy.state, copy.disks_done) == ("finished", 2)
    late = until(lambda: body if (body := completed()) and len(body["disk_progresses"]) == 2 else None)
    assert (late["bytes_transferred"], late["phase"]) == (1200 * MIB, "Transfer")
    assert {disk["status"] for disk in late["disk_progresses"]} == {"Streaming"}


# --- control API


def test_a_survivor_posts_again_after_the_map_is_lost(data: httpx.Client, control: Control) -> None:
    control.plan("job-s", SLOW.model_copy(update={"sync_type": "full"}))
    start(data, "job-s")
    before = until(lambda: data.get("/progress/job-s").json() if "job-s" in control.entries() else None)
    until(lambda: data.get("/progress/job-s").json()["bytes_transferred"])
    control.forget()
    assert control.copies()[-1].state == "running"
    after = until(lambda: data.get("/progress/job-s").json() if "job-s" in control.entries() else None)
    assert after["sync_type"] == ""
    assert after["timing"]["start_time"] >= before["timing"]["start_time"]
    assert after["phase"] == "Transfer"


def test_a_survivor_on_its_second_disk_has_lost_the_first(data: httpx.Client, control: Control) -> None:
    control.plan("job-l", QUICK)
    small = [{**TARGETS[0], "size_bytes": MIB}, {**TARGETS[1], "size_bytes": 10**13}]
    start(data, "job-l", small)
    until(lambda: (copy := control.copy("job-l")) and copy.disk == "disk-2001")
    control.forget(["job-l"])
    body = until(lambda: data.get("/progress/job-l").json() if "job-l" in control.entries() else None)
    assert [disk["disk_id"] for disk in body["disk_progresses"]] == ["disk-2001"]


def test_copies_that_do_not_survive_stay_forgotten(data: httpx.Client, control: Control) -> None:
    control.plan("job-d", SLOW)
    start(data, "job-d")
    until(lambda: "job-d" in control.entries())
    control.forget(["job-d"], copies_survive=False)
    copy = control.copy("job-d")
    assert copy is not None
    assert (copy.state, copy.why) == ("killed", "died with the appliance")
    assert control.entries() == []
    assert data.get("/status/job-d").text == "Job not found: job-d\n"


def test_a_failed_copy_shows_its_reason_only_in_the_listing(data: httpx.Client, control: Control) -> None:
    control.plan("job-f", SLOW)
    start(data, "job-f")
    until(lambda: "job-f" in control.entries())
    assert control.fail("job-f", "datastore lost").why == "datastore lost"
    body = data.get("/progress/job-f").json()
    assert (body["status"], body["errors"], body["last_error"]) == ("failed", [], None)


def test_a_hung_copy_can_be_resumed_but_a_running_one_cannot(data: httpx.Client, control: Control) -> None:
    control.plan("job-h", SLOW)
    start(data, "job-h")
    assert control.hang("job-h").state == "hung"
    assert control.resume("job-h").state == "running"
    with pytest.raises(ControlError, match=r"409 .*is running"):
        control.resume("job-h")
    assert control.kill("job-h").state == "killed"
    with pytest.raises(ControlError, match=r"404 .*no copy of job-none"):
        control.kill("job-none")


def test_an_entry_can_be_left_over_from_last_week(data: httpx.Client, control: Control) -> None:
    week_ago = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
    control.put_entry("migration-vol-9", [{"stage": "Transfer", "status": "completed", "percent": 100}], week_ago)
    body = data.get("/progress/migration-vol-9").json()
    assert (body["status"], body["timing"]["start_time"]) == ("completed", "2026-11-16T12:00:00Z")


def test_an_entry_of_another_dialect_is_answered_word_for_word(data: httpx.Client, control: Control) -> None:
    control.put_raw("job-old", {"job_id": "job-old", "stage": "Transfer", "disks": []})
    assert data.get("/progress/job-old").json() == {"job_id": "job-old", "stage": "Transfer", "disks": []}


def test_an_entry_of_nonsense_is_refused(control: Control) -> None:
    with pytest.raises(ControlError, match=r"422 .*bytes_transferred of type int64"):
        control.put_entry("job-x", [{"bytes_transferred": "lots"}])


def test_requests_are_counted_per_key_and_can_be_cleared(data: httpx.Client, control: Control) -> None:
    for key in ("job-a", "migration-vol-1", "job-a"):
        data.get(f"/progress/{key}")
    data.post("/progress/job-a/update", content=b"{}")
    seen = control.requests()
    assert (seen.total, seen.paths["GET /api/v1/progress/job-a"]) == (4, 2)
    assert {key: asked.count for key, asked in seen.keys.items()} == {"job-a": 2, "migration-vol-1": 1}
    assert seen.keys["job-a"].last[0] <= seen.keys["job-a"].last[1] <= datetime.now(UTC)
    control.clear_requests()
    assert control.requests().total == 0


def test_a_plan_with_an_unknown_word_is_refused(simulator: SimulatorProcess) -> None:
    url = f"{simulator.control_url}/control/plans/job-p"
    answer = httpx.put(url, json={"rate": 3}, trust_env=False)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "rate"]
