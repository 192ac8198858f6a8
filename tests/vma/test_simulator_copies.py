"""A simulated copy does its disks one after another and tells the OMA."""

import asyncio
import time

import pytest
from simulator_support import DISKS, MIB, PLAN, SPEED, Posts, TinyOma, serving, words

from vma.simulator.copies import CopyProcess, Surroundings
from vma.simulator.oma import Oma
from vma.simulator.plans import Disk, NbdTarget, Plan
from vma.simulator.records import CopyRecord
from vma.simulator.timeline import Timeline


def record_of(plan: Plan = PLAN, disks: list[Disk] = DISKS, oma_url: str = "") -> CopyRecord:
    return CopyRecord(
        job_id="job-a", plan=plan, disks=disks, vm_path="/DC/vm/pg 1", oma_url=oma_url, started_at=time.time()
    )


class VirtualTime:
    """A clock that only sleeping moves: a busy machine changes nothing."""

    def __init__(self) -> None:
        self.now = time.time()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + 1e-6  # a float of this size does not hold less
        await asyncio.sleep(0)


def run(record: CopyRecord, *, orphan: bool = False) -> Posts:
    posts: Posts = []
    virtual = VirtualTime()

    async def whole_run() -> None:
        oma = Oma()
        around = Surroundings(
            lambda key, update: posts.append((key, update)), oma, virtual.clock, SPEED, lambda: None, virtual.sleep
        )
        await CopyProcess(record, around, orphan=orphan).run()
        await oma.close()

    asyncio.run(whole_run())
    return posts


# --- the arithmetic


def test_the_milestones_lie_where_the_plan_puts_them() -> None:
    timeline = Timeline(PLAN, DISKS)
    assert [(m.kind, m.number, m.at) for m in timeline.milestones] == [
        ("setup", 0, 1),
        ("setup", 1, 2),
        ("setup", 2, 3),
        ("setup", 3, 4),
        ("disk_start", 0, 5),
        ("disk_end", 0, 11),
        ("disk_start", 1, 14),
        ("disk_end", 1, 16),
    ]
    assert timeline.end == 16


@pytest.mark.parametrize(("elapsed", "passed"), [(0.99, 0), (1, 1), (5, 5), (10.9, 5), (13, 6), (99, 8)])
def test_what_is_passed_at_an_instant(elapsed: float, passed: int) -> None:
    assert Timeline(PLAN, DISKS).passed(elapsed) == passed


@pytest.mark.parametrize(("elapsed", "mib"), [(5, 0), (4, 0), (8, 300), (11, 600), (50, 600)])
def test_bytes_grow_with_the_rate_and_stay_within_the_disk(elapsed: float, mib: int) -> None:
    assert Timeline(PLAN, DISKS).copied(0, elapsed) == mib * MIB


def test_sizes_of_the_plan_win_over_those_of_the_request() -> None:
    plan = Plan(disks=[Disk(disk_id="disk-2001", size_bytes=7)])
    targets = [
        NbdTarget(disk_id="disk-2000", nbd_url="nbd://127.0.0.1:10809/migration-vol-1", size_bytes=5),
        NbdTarget(disk_id="disk-2001", nbd_url="nbd://127.0.0.1:10809/migration-vol-2", size_bytes=6),
    ]
    found = [(disk.disk_id, disk.export, disk.size_bytes) for disk in plan.disks_for(targets)]
    assert found == [("disk-2000", "migration-vol-1", 5), ("disk-2001", "migration-vol-2", 7)]


# --- what is posted


def test_disks_are_copied_one_after_another_under_the_job_id() -> None:
    record = record_of()
    posts = run(record)
    assert words(posts) == [
        "job-a Initializing in_progress",
        "job-a Creating Snapshot in_progress",
        "job-a Setting up NBD in_progress",
        "job-a Preparing Migration in_progress",
        "disk-2000 Transfer in_progress",
        "disk-2000 Transfer completed",
        "disk-2001 Transfer in_progress",
        "disk-2001 Transfer completed",
    ]
    assert (record.state, record.disks_done) == ("finished", 2)


def test_bytes_never_fall_while_a_disk_is_copied_and_end_at_its_size() -> None:
    copied = [update.bytes_transferred for _, update in run(record_of(disks=DISKS[:1]))]
    assert copied == sorted(copied)
    assert copied[-1] == 600 * MIB
    assert any(0 < some < 600 * MIB for some in copied)


def test_a_plain_key_names_no_disk() -> None:
    posts = run(record_of(PLAN.model_copy(update={"key": "job_id_plain"})))
    assert {key for key, _ in posts} == {"job-a"}
    assert {update.disk_id for _, update in posts} == {""}


def test_a_single_disk_is_not_named_under_the_job_id() -> None:
    assert {update.disk_id for _, update in run(record_of(disks=DISKS[:1]))} == {""}


def test_export_keys_get_a_disk_each() -> None:
    posts = run(record_of(PLAN.model_copy(update={"key": "export"})))
    assert words(posts)[-4:] == [
        "migration-vol-1 Transfer in_progress",
        "migration-vol-1 Transfer completed",
        "migration-vol-2 Transfer in_progress",
        "migration-vol-2 Transfer completed",
    ]


def test_only_the_announcement_of_a_disk_carries_the_sync_type() -> None:
    posts = run(record_of(PLAN.model_copy(update={"sync_type": "incremental"})))
    announced = [update for _, update in posts if update.sync_type]
    assert [(update.sync_type, update.bytes_transferred) for update in announced] == [("incremental", 0)] * 2


def test_a_disk_without_changes_completes_with_zero_of_zero_bytes() -> None:
    last = run(record_of(disks=[Disk(disk_id="disk-2000", size_bytes=0)]))[-1][1]
    assert (last.status, last.bytes_transferred, last.total_bytes) == ("completed", 0, 0)


# --- the OMA


def test_the_oma_is_asked_at_the_start_of_a_disk_and_told_at_its_end() -> None:
    with serving(TinyOma(known="52 aa/7")) as oma:
        posts = run(record_of(oma_url=f"{oma.url}/"))
    store = "store /api/v1/replications/job-a/changeid"
    assert oma.calls == [
        "ask {'vm_path': ['/DC/vm/pg 1'], 'disk_id': ['disk-2000']}",
        store,
        "ask {'vm_path': ['/DC/vm/pg 1'], 'disk_id': ['disk-2001']}",
        store,
    ]
    assert [(body["disk_id"], body["previous_change_id"]) for body in oma.stored] == [
        ("disk-2000", "52 aa/7"),
        ("disk-2001", "52 aa/7"),
    ]
    assert len({body["change_id"] for body in oma.stored}) == 2
    assert {update.sync_type for _, update in posts if update.sync_type} == {"incremental"}


def test_without_a_known_change_id_the_copy_is_full_and_no_previous_one_is_sent() -> None:
    with serving(TinyOma()) as oma:
        posts = run(record_of(oma_url=oma.url, disks=DISKS[:1]))
    assert "previous_change_id" not in oma.stored[0]
    assert {update.sync_type for _, update in posts if update.sync_type} == {"full"}


def test_a_refused_change_id_ends_the_run_without_another_word() -> None:
    record = record_of()
    with serving(TinyOma(status_of_post=500)) as oma:
        record.oma_url = oma.url
        posts = run(record)
    assert words(posts)[-1] == "disk-2000 Transfer completed"
    assert record.state == "aborted"
    assert "disk-2000 was not stored" in str(record.why)
    assert "500" in str(record.why)


def test_an_oma_that_is_away_ends_the_run_too() -> None:
    record = record_of(oma_url="http://127.0.0.1:1")
    run(record)
    assert (record.state, record.disks_done) == ("aborted", 0)


def test_what_an_orphan_did_while_nobody_listened_is_stored_but_not_posted() -> None:
    with serving(TinyOma()) as oma:
        record = record_of(PLAN.model_copy(update={"gap_s": 100}), oma_url=oma.url)
        record.started_at -= 12 / SPEED  # within the gap after the first disk
        posts = run(record, orphan=True)
    assert words(posts) == ["disk-2001 Transfer in_progress", "disk-2001 Transfer completed"]
    assert [body["disk_id"] for body in oma.stored] == ["disk-2000", "disk-2001"]
