"""What answers quickly answers the same: bytes, headers, counters; and lazy copies post what busy ones would."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from scenario_stage import Stage, on_stage
from simulator_support import DISKS, PLAN, Posts, words

from vma.simulator.app import data_app
from vma.simulator.copies import CopyProcess, Surroundings
from vma.simulator.entries import Entry
from vma.simulator.envelope import envelope
from vma.simulator.lazy import LazyCopy
from vma.simulator.oma import Oma
from vma.simulator.pages import ELAPSED, encode
from vma.simulator.plans import End, Plan
from vma.simulator.process import SimulatorProcess
from vma.simulator.progress import ProgressMap
from vma.simulator.records import CopyRecord
from vma.simulator.wire import ProgressUpdate
from vma.wire import read
from vma.wire_models import Reply

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
GIB = 2**30


@pytest.mark.parametrize(
    "update",
    [
        ProgressUpdate(),
        ProgressUpdate("Transfer", "in_progress", 7, 12, 999, 100 / 3, "disk-2000", "full"),
        ProgressUpdate('100% "sure" \\ %b %d', "é\u2028\x01</b>", percent=1e-7, throughput_bps=1),
        ProgressUpdate(stage=ELAPSED, status="\x00moment"),  # as if somebody knew our marks
    ],
)
@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-3))])
def test_a_page_is_byte_for_byte_the_envelope_whenever_it_is_asked(update: ProgressUpdate, zone: timezone) -> None:
    entries = ProgressMap(lambda: NOON.astimezone(zone))
    entries.update("job-%d", update)
    entry = Entry(NOON.astimezone(zone))
    entry.absorb(update)
    for seconds in (0, 0.9994, 3601.0005, -5):
        now = (NOON + timedelta(seconds=seconds)).astimezone(zone)
        assert entries.body("job-%d", now) == encode(envelope("job-%d", entry, now))


def test_the_json_is_that_of_the_standard_library_but_for_exponents() -> None:
    entry = Entry(NOON, 'a"\\\x1f\x7fé\u2028', "p", percentage=58.333333333333336, throughput_bps=12345)
    body = envelope("job", entry, NOON)
    assert encode(body) == json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    assert encode({"x": 9.5367431640625e-07}) == b'{"x":9.5367431640625e-7}\n'  # as captured


def test_a_post_makes_the_next_answer_new() -> None:
    entries = ProgressMap(lambda: NOON)
    entries.update("job", ProgressUpdate(status="in_progress"))
    assert b'"in_progress"' in (entries.body("job", NOON) or b"")
    entries.update("job", ProgressUpdate(status="completed"))
    assert b'"completed"' in (entries.body("job", NOON) or b"")
    entries.put("job", [], NOON - timedelta(days=7), fresh=False)
    assert b'"start_time":"2026-11-19T12:00:00Z"' in (entries.body("job", NOON) or b"")
    entries.put_raw("job", {"job_id": "job"})
    assert entries.body("job", NOON) == b'{"job_id":"job"}\n'
    entries.forget(["job"])
    assert entries.body("job", NOON) is None


@pytest.mark.process
def test_both_ways_to_an_answer_give_the_same_and_both_are_counted() -> None:
    with SimulatorProcess() as simulator, httpx.Client(base_url=f"{simulator.url}/api/v1", trust_env=False) as data:
        control = simulator.control
        long = [{"disk_id": f"disk-{n}", "total_bytes": n} for n in range(16)]
        control.put_entry("job-long", long)
        control.put_entry("job-short", long[:1])
        paths = ("/progress/job-short", "/progress/job-long", "/health", "/progress/none", "/progress/job-short?x=1")
        quick = [_seen(data.get(path)) for path in paths]
        control.fault("503", keys=["job-other"])  # any fault sends all questions the slow way
        assert [_seen(data.get(path)) for path in paths] == quick
        assert [status for status, _, _ in quick] == [200, 200, 200, 404, 200]
        seen = control.requests()
        assert {key: asked.count for key, asked in seen.keys.items()} == {"job-short": 4, "job-long": 2, "none": 2}
        assert (seen.total, seen.paths["GET /api/v1/health"]) == (10, 2)


def _seen(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    assert "date" in answer.headers
    assert int(answer.headers.get("content-length", len(answer.content))) == len(answer.content)
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
    return answer.status_code, headers, re.sub(r'("\d{4}-[^"]+"|_ms":\d+)', "", answer.text)


# --- lazy copies


class Jumping:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + 1e-6  # a float of this size does not hold less
        await asyncio.sleep(0)


def record_of(plan: Plan) -> CopyRecord:
    return CopyRecord(job_id="job-a", plan=plan, disks=DISKS, vm_path="", oma_url="", started_at=1_795_000_000.0)


def by_a_busy_copy(record: CopyRecord) -> Posts:
    posts: Posts = []

    async def run() -> None:
        clock, oma = Jumping(), Oma()
        around = Surroundings(lambda *post: posts.append(post), oma, lambda: clock.now, 1.0, lambda: None, clock.sleep)
        await CopyProcess(record, around).run()
        await oma.close()

    asyncio.run(run())
    return posts


def by_a_lazy_copy(record: CopyRecord, every: float) -> Posts:
    posts: Posts = []
    copy = LazyCopy(record, lambda key, update, _at: posts.append((key, update)), lambda _key: True, 1.0, 0.0)
    at = record.started_at
    while record.state == "running":
        at += every
        copy.catch_up(at)
    return posts


@pytest.mark.parametrize("key", ["job_id", "job_id_plain", "export"])
@pytest.mark.parametrize("end", [None, End(state="failed", at_percent=50), End(state="hung", at_percent=90)])
@pytest.mark.parametrize("every", [0.5, 7.0, 1000.0])
def test_a_lazy_copy_says_what_a_busy_one_says(key: str, end: End | None, every: float) -> None:
    plan = PLAN.model_copy(update={"key": key, "end": end})
    busy, lazy = record_of(plan), record_of(plan)
    theirs, ours = by_a_busy_copy(busy), by_a_lazy_copy(lazy, every)
    assert words(ours) == words(theirs)
    assert (lazy.state, lazy.disks_done, lazy.why) == (busy.state, busy.disks_done, busy.why)
    assert lazy.stopped_at == pytest.approx(busy.stopped_at, abs=0.01)
    if every == 0.5:  # asked oftener than it posts, it posts as often
        assert len(ours) == len(theirs)


def test_a_copy_told_to_finish_posts_now_and_not_in_the_past() -> None:
    async def story(stage: Stage) -> None:
        await stage.to(1)
        await stage.appliance.copies.finish("job-a")
        answer = stage.ask("job-a")
        assert (stage.word("job-a"), answer.start_time) == ("completed", stage.appliance.now())

    on_stage("{scenario: s, copies: [{job: job-a, disks: [{size: 1 GiB}]}]}", story)


# --- the raw model, of which there is no capture: as its keys are known, and as a client reads it


def test_the_raw_model_has_its_keys_in_order_and_is_read_by_a_client() -> None:
    text = """
scenario: s
generation: raw_model
defaults: {rate: 64 MiB/s, first_post: 0s, setup: 40s, gap: 10s}
copies: [{job: job-a, sync: full, disks: [{size: 10 GiB}, {size: 10 GiB}]}, {job: job-b, disks: [{size: 10 GiB}],
  ending: {failed: {at: 50%}}}]
"""

    async def story(stage: Stage) -> None:
        stage.now += 0.5
        seen = []
        for at in (1, 15, 120, 205, 300, 400):
            await stage.to(at + 0.5)
            body = stage.appliance.progress.body("job-a", stage.appliance.now()) or b""
            answer = read("job-a", Reply(200, {}, body))
            seen.append((stage.word("job-a"), answer.phase, round((answer.bytes_transferred or 0) / GIB, 1)))
        assert seen == [
            ("running", "Discover", 0),
            ("running", "Snapshot", 0),
            ("running", "Transfer", 5),
            ("running", "Transfer", 10),  # between the disks: no "completed" in between
            ("running", "Transfer", 15.6),
            ("completed", "PersistChangeIDs", 20),
        ]
        said = json.loads(body)
        assert " ".join(said) == "job_id stage status started_at updated_at aggregate cbt nbd disks"
        assert list(said["aggregate"]) == ["total_bytes", "bytes_transferred", "throughput_bps", "percent"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z", said["started_at"])
        assert stage.word("job-b") == "failed"

    on_stage(text, story)


@pytest.mark.parametrize(
    ("generation", "unknown", "cached"),
    [("errors_as_objects", "Job not found: none\n", None), ("raw_model", "job not found\n", "no-cache")],
)
def test_an_older_appliance_takes_no_posts(generation: str, unknown: str, cached: str | None) -> None:
    async def story(stage: Stage) -> None:
        transport = httpx.ASGITransport(data_app(stage.appliance))
        async with httpx.AsyncClient(transport=transport, base_url="http://vma/api/v1", trust_env=False) as data:
            post = await data.post("/progress/a/update", content=b"{}")
            assert (post.status_code, post.text) == (404, "404 page not found\n")
            assert (await data.get("/progress/none")).text == unknown
            known = await data.get("/progress/a")
            assert (known.status_code, known.headers.get("cache-control")) == (200, cached)

    on_stage(
        f"{{scenario: s, generation: {generation}, copies: [{{job: a, start: -1m, disks: [{{size: 1 GiB}}]}}]}}", story
    )
