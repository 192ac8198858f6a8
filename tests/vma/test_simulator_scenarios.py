"""Scenarios are played as they are written: on a clock that jumps, and one over real sockets."""

import asyncio
import time
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from scenario_stage import SCENARIOS, Stage, on_stage
from simulator_support import until

from vma.simulator.plans import ReplicateRequest
from vma.simulator.process import SimulatorProcess
from vma.simulator.scenario_file import read_scenario
from vma.simulator.script import timetable
from vma.simulator.wire import ProgressUpdate

GIB = 2**30
DAY = 86400.0
# What a client reads under each key when all is over; None: the VMA does not know it.
ENDS: dict[str, dict[str, str | None]] = {
    "quiet-day": {
        "job-20261126-010000.000-a1b2c3": "completed",
        "job-20261126-013000.000-b2c3d4": "completed",
        "job-20261126-014500.000-c3d4e5": "completed",
    },
    "one-disk-fails": {"job-fails": "failed", "job-hangs": "running", "job-dies": "running"},
    "restart-copies-survive": {"job-two-disks": "completed", "job-done-before": None},
    "restart-copies-lost": {"job-nearly-done": None, "job-just-begun": None, "job-afterwards": "completed"},
    "flapping-tunnel": {f"job-flap-{n}": "completed" for n in range(1, 6)},
    "ten-thousand-jobs": {"job-load-00001": "completed", "job-load-10000": "completed", "job-load-10001": None},
    "older-appliance": {"job-old-1": "completed", "job-old-2": "failed"},
    "the-oma-starts-copies": {"migration-vol-web-01": "completed", "job-left-over": None},
}
ONE = """
scenario: one
defaults: {rate: 64 MiB/s, first_post: 10s, setup: 40s, gap: 30s, post_every: 10s}
copies:
  - job: job-a
    disks:
      - {size: 10 GiB}
      - {size: 10 GiB, rate: 128 MiB/s, gap: 5m}
"""
# first disk 50 s to 210 s, second from 510 s to 590 s


def test_every_example_is_tried_here() -> None:
    assert {path.stem for path in SCENARIOS.glob("*.yaml")} == set(ENDS)


@pytest.mark.parametrize("name", ENDS)
def test_an_example_ends_as_its_timetable_says(name: str) -> None:
    path = SCENARIOS / f"{name}.yaml"
    lines = [line for line in timetable(read_scenario(path)) if line.at is not None]
    ends = defaultdict(list)
    for line in lines:
        if (line.at or 0.0) > 0 and line.what.startswith("copy ") and not line.what.startswith("copy starts"):
            ends[line.at or 0.0].append(line.whom)

    async def story(stage: Stage) -> None:
        for at, jobs in ends.items():
            for moment, running in ((at - 1, {True}), (at + 1, {False})):
                await stage.to(moment)
                assert {stage.appliance.copies.view(job).state == "running" for job in jobs} == running
        await stage.to((lines[-1].at or 0.0) + 60)
        assert {key: stage.word(key) for key in ENDS[name]} == ENDS[name]

    on_stage(path.read_text(), story)


def test_disks_come_in_sequence_each_at_its_own_rate_after_its_own_gap() -> None:
    async def story(stage: Stage) -> None:
        seen = []
        for at in (9, 11, 130, 209, 211, 509, 511, 550, 589, 591):
            await stage.to(at)
            answer = stage.ask("job-a")
            seen.append((stage.word("job-a"), len(answer.disks), (answer.bytes_transferred or 0) / GIB))
        assert seen == [
            (None, 0, 0),
            ("running", 0, 0),
            ("running", 1, 5),
            ("running", 1, 9.375),
            ("completed", 1, 10),  # one disk done reads as if all were
            ("completed", 1, 10),
            ("running", 2, 10),
            ("running", 2, 15),
            ("running", 2, 18.75),
            ("completed", 2, 20),
        ]

    on_stage(ONE, story)


def test_an_incremental_copy_moves_what_has_changed_and_says_so() -> None:
    async def story(stage: Stage) -> None:
        await stage.to(90)
        answer = stage.ask("job-a")
        assert (answer.sync_type, answer.total_bytes) == ("incremental", 3 * GIB)
        await stage.to(DAY)
        assert stage.ask("job-a").bytes_transferred == 3 * GIB

    on_stage("{scenario: s, copies: [{job: job-a, sync: incremental, disks: [{size: 60 GiB, changed: 3 GiB}]}]}", story)


def test_a_day_with_a_post_every_second_is_played_at_once() -> None:
    text = ONE.replace("post_every: 10s", "post_every: 1s").replace("10 GiB}", "5000 GiB}")

    async def story(stage: Stage) -> None:
        began = time.process_time()
        for hour in range(25):
            await stage.to(hour * 3600.0)
            stage.ask("job-a")
        assert 5000 * GIB < (stage.ask("job-a").bytes_transferred or 0) < 6000 * GIB
        assert time.process_time() - began < 0.5

    on_stage(text, story)


def test_a_survivor_of_a_restart_is_unknown_until_its_next_post_and_dated_by_it() -> None:
    text = ONE + "restarts: [{at: 100s, down_for: 25s, copies_survive: true}]"

    async def story(stage: Stage) -> None:
        await stage.to(99)
        assert stage.word("job-a") == "running"
        await stage.to(110)
        assert not stage.port.is_open
        await stage.to(126)
        assert (stage.port.is_open, stage.word("job-a")) == (True, None)  # posts at 100, 110, 120 were lost
        await stage.to(205)  # asked long after: the entry is of the first post that was heard
        answer = stage.ask("job-a")
        assert (stage.word("job-a"), answer.sync_type) == ("running", None)
        assert answer.start_time is not None
        assert answer.start_time.timestamp() == stage.now - 205 + 130

    on_stage(text, story)


def test_what_any_copy_process_posts_to_a_server_that_is_away_is_lost() -> None:
    text = ONE + "restarts: [{at: 100s, down_for: 25s, copies_survive: true}]"

    async def story(stage: Stage) -> None:
        await stage.to(110)
        stage.appliance.post("job-with-an-oma", ProgressUpdate("Transfer", "in_progress"))
        assert stage.word("job-with-an-oma") is None
        await stage.to(126)
        stage.appliance.post("job-with-an-oma", ProgressUpdate("Transfer", "in_progress"))
        assert stage.word("job-with-an-oma") == "running"

    on_stage(text, story)


def test_a_second_start_without_an_oma_ends_the_first_run_that_has_one() -> None:
    async def story(stage: Stage) -> None:
        stage.appliance.copies.start(ReplicateRequest(job_id="job-r", oma_url="http://127.0.0.1:1"))
        task = next(task for task in asyncio.all_tasks() if task.get_name() == "copy job-r")
        stage.appliance.copies.start(ReplicateRequest(job_id="job-r"))
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await stage.to(DAY)
        assert stage.word("job-r") == "completed"

    on_stage(ONE, story)


def test_copies_lost_in_a_restart_stay_unknown_and_those_to_come_are_spared() -> None:
    text = ONE + "  - {job: job-b, start: 5m, disks: [{size: 1 GiB}]}\nrestarts: [{at: 100s, copies_survive: false}]"

    async def story(stage: Stage) -> None:
        await stage.to(DAY)
        assert (stage.word("job-a"), stage.word("job-b")) == (None, "completed")
        view = stage.appliance.copies.view("job-a")
        assert (view.state, view.bytes_transferred) == ("killed", 50 * 64 * 2**20)

    on_stage(text, story)


@pytest.mark.parametrize(
    ("ending", "word", "state", "done"),
    [
        ("failed: {at: 50%, error: lost}", "failed", "failed", 10),
        ("hangs: {at: 75%}", "running", "hung", 15),
        ("dies: {at: 25%, disk: disk-2001}", "running", "killed", 12.5),
    ],
)
def test_a_copy_ends_badly_where_it_says(ending: str, word: str, state: str, done: float) -> None:
    async def story(stage: Stage) -> None:
        await stage.to(DAY)
        view = stage.appliance.copies.view("job-a")
        assert (stage.word("job-a"), view.state) == (word, state)
        assert view.bytes_transferred / GIB == pytest.approx(done, abs=0.7)  # hung and dead ones between two posts

    on_stage(f"{ONE}    ending: {{{ending}}}\n", story)


def test_a_hung_copy_can_be_resumed_by_hand_and_completes() -> None:
    async def story(stage: Stage) -> None:
        await stage.to(3600)
        await stage.appliance.copies.resume("job-a")
        await stage.to(2 * 3600)
        assert stage.word("job-a") == "completed"

    on_stage(f"{ONE}    ending: {{hangs: {{at: 75%}}}}\n", story)


def test_faults_overlap_and_the_youngest_that_is_meant_strikes() -> None:
    text = f"""{ONE}
faults:
  - {{at: 10s, for: 60s, kind: 503}}
  - {{at: 20s, for: 10s, kind: reset, keys: [job-a]}}
  - {{at: 100s, kind: 429, times: 2}}
  - {{at: 200s, for: 5s, kind: refuse, every: 1m, repeat: 2}}
"""

    async def story(stage: Stage) -> None:
        seen = []
        for at in (9, 10, 20, 30, 70):
            await stage.to(at)
            seen.append((stage.fault("job-a"), stage.fault("job-b")))
        assert seen == [(None, None), ("503", "503"), ("reset", "503"), ("503", "503"), (None, None)]
        await stage.to(100)
        assert [stage.fault() for _ in range(3)] == ["429", "429", None]
        doors = []
        for at in (199, 200, 205, 260, 265, 320):
            await stage.to(at)
            doors.append(stage.port.is_open)
        assert doors == [True, False, True, False, True, True]

    on_stage(text, story)


def test_a_restart_ending_within_a_refusing_fault_leaves_the_port_shut() -> None:
    text = f"{ONE}\nfaults: [{{at: 10s, for: 60s, kind: refuse}}]\nrestarts: [{{at: 20s, copies_survive: true}}]"

    async def story(stage: Stage) -> None:
        await stage.to(45)
        assert not stage.port.is_open
        await stage.to(70)
        assert stage.port.is_open

    on_stage(text, story)


def test_a_waiting_copy_is_found_by_its_vm_and_takes_the_requests_disks() -> None:
    text = """
scenario: s
copies:
  - {vm: web-01, start: replicate, disks: [{size: 6 GiB}], ending: {failed: {at: 50%}}}
  - {job: job-named, start: replicate, disks: [{size: 1 GiB}]}
"""

    async def story(stage: Stage) -> None:
        await stage.to(60)
        stage.replicate("job-of-the-oma", "web-01", "disk-7")
        stage.replicate("job-named", "other", "disk-8")
        stage.replicate("job-nobody-wrote", "other", "disk-9")
        await stage.to(DAY)
        jobs = ("job-of-the-oma", "job-named", "job-nobody-wrote")
        assert [stage.word(job) for job in jobs] == ["failed", "completed", "completed"]
        assert [stage.ask(job).total_bytes for job in jobs] == [6 * GIB, GIB, 2 * GIB]

    on_stage(text, story)


def test_runs_that_share_an_export_name_follow_each_other_under_it() -> None:
    text = """
scenario: s
copies:
  - {job: job-new, key: export, start: 1h, sync: incremental,
     disks: [{export: migration-vol-1, size: 60 GiB, changed: 30 GiB}]}
  - {job: job-old, key: export, start: -7d, disks: [{export: migration-vol-1, size: 60 GiB}]}
"""

    async def story(stage: Stage) -> None:
        await stage.to(3000)
        old = stage.ask("migration-vol-1")
        assert (stage.word("migration-vol-1"), old.total_bytes) == ("completed", 60 * GIB)
        assert old.start_time is not None
        assert stage.now - old.start_time.timestamp() > 6.9 * DAY
        await stage.to(3800)
        new = stage.ask("migration-vol-1")
        assert (stage.word("migration-vol-1"), new.total_bytes) == ("running", 30 * GIB)
        assert new.start_time == old.start_time  # an entry is never made anew

    on_stage(text, story)


@pytest.mark.process
def test_a_scenario_is_played_over_real_sockets_in_accelerated_time(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(ONE.replace("copies:", "time: {accelerate: 240}\ncopies:") + "faults: [{at: 10m, kind: 503}]\n")
    with SimulatorProcess(scenario=file) as simulator:
        url = f"{simulator.url}/api/v1/progress/job-a"
        statuses = set()

        def over() -> bool:
            statuses.add(httpx.get(url, trust_env=False).status_code)
            return 503 in statuses

        until(over)
        assert 200 in statuses
        simulator.control.fault("html_200")  # by hand, over the scenario's own
        assert httpx.get(url, trust_env=False).text.startswith("<!doctype html>")
        simulator.control.no_fault()
        assert httpx.get(url, trust_env=False).status_code == 503
        assert [(copy.state, copy.disks_done) for copy in simulator.control.copies()] == [("finished", 2)]
