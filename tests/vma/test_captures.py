"""Every raw capture of a real appliance reads as a person read it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from capture_files import FOLDER, capture_names, reply_in

from fsm.evidence import KeyEntry
from fsm.states import Verdict
from vma.wire import read, read_health
from vma.wire_models import Kind
from vma.words import Meaning

R, C, F = Verdict.RUNNING, Verdict.COMPLETED, Verdict.FAILED
NOT_STARTED, SNAPSHOT, COPYING = Meaning.NOT_STARTED, Meaning.SNAPSHOT, Meaning.COPYING
FINISHING, DONE, BROKEN = Meaning.FINISHING, Meaning.DONE, Meaning.BROKEN
GIB = 2**30
VOLUME = "migration-vol-0b7a3c1e-1111-4222-8333-944455566677"
FULL, MULTI, CONST = "job-20251003-141500-a1b2c3", "job-20251003-150000-multi", "job-const"
OLD = "job-peer-old-1"


@dataclass(frozen=True)
class Reading:
    """What a person reads in a capture: bytes, percent 0-100, MiB/s; the rows' (bytes, total)."""

    key: str
    verdict: Verdict
    meaning: Meaning
    word: str
    phase: str
    percent: float = 0.0
    done: int = 0
    total: int = 0
    rate: float = 0.0
    eta: int | None = None
    sync: str | None = None
    rows: tuple[tuple[str, int, int], ...] = ()
    error: str | None = None


KNOWN = {
    "after-restart-progress-recreated.http": Reading(
        *(MULTI, R, COPYING, "in_progress", "Transfer", 80, 80 * GIB, 100 * GIB, 100, 204),
        rows=(("disk-2000", 80 * GIB, 100 * GIB),),
    ),
    "older-appliance/progress-completed.http": Reading(
        OLD, C, DONE, "completed", "completed", 100, 19939721216, 19939721216
    ),
    "older-appliance/progress-copying-data.http": Reading(
        OLD, R, COPYING, "running", "copying_data", 41.45, 7377696849, 19939721216
    ),
    "older-appliance/progress-failed-with-errors.http": Reading(
        *("job-peer-old-2", F, BROKEN, "failed", "copying_data", 20.2),
        error='level=error msg="nbdcopy: read: command failed: Input/output error"',
    ),
    "older-appliance/progress-snapshot-creation.http": Reading(OLD, R, COPYING, "running", "snapshot_creation", 4.5),
    "older-appliance/progress-starting.http": Reading(OLD, R, NOT_STARTED, "starting", "initializing"),
    "progress-16-disks-chunked.http": Reading(
        *("job-many-disks", R, COPYING, "Streaming", "Transfer", 26.5625),
        *(136 * GIB, 512 * GIB, 129.69970703125, 2968),
        rows=tuple((f"disk-{2000 + n}", (n + 1) * GIB, 32 * GIB) for n in range(16)),
    ),
    "progress-creating-snapshot.http": Reading(VOLUME, R, COPYING, "in_progress", "Creating Snapshot", 10),
    "progress-failed-lowercase.http": Reading(
        "migration-vol-err-lower", F, BROKEN, "failed", "Transfer", 10, GIB, 10 * GIB
    ),
    "progress-failed.http": Reading(
        "job-20251003-141500-dead00", F, BROKEN, "Failed", "Transfer", 25, 5 * GIB, 20 * GIB
    ),
    "progress-fresh-auto-initialized.http": Reading(VOLUME, R, COPYING, "in_progress", "Initializing", 5),
    "progress-incremental-start.http": Reading(
        "migration-vol-zero-change", R, COPYING, "in_progress", "Transfer", 5, sync="incremental"
    ),
    "progress-migratekit-completed.http": Reading(
        VOLUME, C, DONE, "completed", "Transfer", 100, 40 * GIB, 40 * GIB, sync="full"
    ),
    "progress-multi-disk-flapped-back.http": Reading(
        *(MULTI, R, COPYING, "in_progress", "Transfer", 75, 90 * GIB, 120 * GIB, 95.36743068695068, 322),
        sync="incremental",
        rows=(("disk-2000", 70 * GIB, 100 * GIB), ("disk-2001", 20 * GIB, 20 * GIB)),
    ),
    "progress-multi-disk-fresh.http": Reading(
        *(MULTI, R, COPYING, "Streaming", "Transfer", 0, 0, 100 * GIB),
        sync="incremental",
        rows=(("disk-2000", 0, 100 * GIB),),
    ),
    "progress-multi-disk-one-done.http": Reading(
        *(MULTI, C, DONE, "completed", "Transfer", 58.333333333333336, 70 * GIB, 120 * GIB, 100, 512),
        sync="incremental",
        rows=(("disk-2000", 50 * GIB, 100 * GIB), ("disk-2001", 20 * GIB, 20 * GIB)),
    ),
    "progress-multi-disk.http": Reading(
        *(MULTI, R, COPYING, "Streaming", "Transfer", 50, 60 * GIB, 120 * GIB, 150, 409),
        sync="incremental",
        rows=(("disk-2000", 50 * GIB, 100 * GIB), ("disk-2001", 10 * GIB, 20 * GIB)),
    ),
    "progress-over-100-percent.http": Reading(
        *("job-odd", R, COPYING, "in_progress", "Transfer", 100, 30 * GIB, 20 * GIB, 9.5367431640625e-7),
        rows=(("d0", 30 * GIB, 20 * GIB),),
    ),
    "progress-preparing-migration.http": Reading(VOLUME, R, COPYING, "in_progress", "Preparing Migration", 30),
    "progress-query-string.http": Reading("job-min", R, NOT_STARTED, "Queued", "Discover"),
    "progress-queued-discover.http": Reading("job-min", R, NOT_STARTED, "Queued", "Discover"),
    "progress-setting-up-nbd.http": Reading(VOLUME, R, COPYING, "in_progress", "Setting up NBD", 20),
    "progress-silent-migratekit-t0.http": Reading(
        "migration-vol-silent", R, COPYING, "in_progress", "Transfer", 50, GIB, 2 * GIB, 50, 20
    ),
    "progress-silent-migratekit-t5.http": Reading(
        "migration-vol-silent", R, COPYING, "in_progress", "Transfer", 50, GIB, 2 * GIB, 50, 20
    ),
    "progress-stage-Discover-Queued.http": Reading(CONST, R, NOT_STARTED, "Queued", "Discover"),
    "progress-stage-EnableCBT-Preparing.http": Reading(CONST, R, NOT_STARTED, "Preparing", "EnableCBT"),
    "progress-stage-PersistChangeIDs-Finalizing.http": Reading(CONST, R, FINISHING, "Finalizing", "PersistChangeIDs"),
    "progress-stage-PrepareVolumes-Preparing.http": Reading(CONST, R, NOT_STARTED, "Preparing", "PrepareVolumes"),
    "progress-stage-QueryCBT-Preparing.http": Reading(CONST, R, NOT_STARTED, "Preparing", "QueryCBT"),
    "progress-stage-Snapshot-Snapshotting.http": Reading(CONST, R, SNAPSHOT, "Snapshotting", "Snapshot"),
    "progress-stage-StartExports-Preparing.http": Reading(CONST, R, NOT_STARTED, "Preparing", "StartExports"),
    "progress-stage-Transfer-Streaming.http": Reading(CONST, R, COPYING, "Streaming", "Transfer"),
    "progress-streaming.http": Reading(
        FULL, R, COPYING, "Streaming", "Transfer", 25, 5 * GIB, 20 * GIB, 50, 307, "full"
    ),
    "progress-succeeded.http": Reading(
        FULL, C, DONE, "Succeeded", "PersistChangeIDs", 100, 20 * GIB, 20 * GIB, sync="full"
    ),
    "progress-transfer-start.http": Reading(VOLUME, R, COPYING, "in_progress", "Transfer", 30, sync="full"),
    "progress-transferring-97.http": Reading(
        *(VOLUME, R, COPYING, "in_progress", "Transfer", 97.52875),
        *(41875943481, 40 * GIB, 94.19005584716797, 10, "full"),
    ),
    "progress-transferring.http": Reading(
        VOLUME, R, COPYING, "in_progress", "Transfer", 25, 10 * GIB, 40 * GIB, 100, 307, "full"
    ),
    "progress-unknown-sync-type.http": Reading(
        "job-odd7", R, COPYING, "in_progress", "Transfer", 33.33333333333333, 1, 3, 9.5367431640625e-7, 2
    ),
}
ABSENT = {
    "after-restart-progress-known-before.http": MULTI,
    "older-appliance/progress-root-unknown-id.http": "job-nope",
    "older-appliance/progress-unknown-id.http": "job-nope",
    "progress-announced-but-never-updated.http": "job-20251003-160000-tracked",
    "progress-unknown-id.http": "job-20251003-140000-unknown",
}
# Progress asked in a way that the progress API does not know.
FOREIGN = {
    "progress-head.http": 405,
    "progress-trailing-slash.http": 404,
    "progress-without-prefix.http": 404,
    "progress-wrong-method-delete.http": 405,
}
HEALTH = {"health.http", "older-appliance/health.http"}
# Other endpoints. None of their answers may pass for progress.
OTHER = {
    *("after-restart-status-known-before.http", "after-restart-update.http", "root.http", "replicate.http"),
    *("older-appliance/replicate.http", "older-appliance/status-unknown-id.http"),
    *("older-appliance/update-api-v1.http", "older-appliance/update-unknown-root.http"),
    *("status-after-cleanup.http", "status-known-after-progress.http", "status-known.http"),
    *("status-of-progress-only-job.http", "status-unknown-id.http", "update-array.http"),
    *("update-auto-initialized.http", "update-empty-body.http", "update-empty-object.http"),
    *("update-failed-with-error-message.http", "update-float-bytes.http", "update-html.http"),
    *("update-int64-overflow.http", "update-known-job.http", "update-malformed-json.http"),
    *("update-multi-disk-first.http", "update-null.http", "update-trailing-garbage.http"),
    *("update-wrong-method-get.http", "update-wrong-type.http", "vm-spec-changes-200-error.http"),
}


def test_the_captures_are_there() -> None:
    assert FOLDER.is_dir(), f"no captures in {FOLDER}: set OMA_FSM_CAPTURES to the folder that holds them"


def test_no_capture_is_left_unread() -> None:
    assert capture_names() == {*KNOWN, *ABSENT, *FOREIGN, *HEALTH, *OTHER}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_known_key_reads_as_a_person_reads_it(name: str) -> None:
    expected = KNOWN[name]
    answer = read(expected.key, reply_in(name))
    assert answer.kind is Kind.KNOWN
    assert expected == Reading(
        *(answer.key, answer.verdict, answer.meaning, answer.word, answer.phase),  # type: ignore[arg-type]
        *(answer.percent, answer.bytes_transferred, answer.total_bytes, answer.rate_mib_s),  # type: ignore[arg-type]
        answer.eta_seconds,
        answer.sync_type,
        tuple((r.disk_id, r.bytes_transferred, r.total_bytes) for r in answer.disks),  # type: ignore[misc]
        answer.error,
    )


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_only_the_percentage_above_100_is_an_oddity(name: str) -> None:
    warned = {"progress-over-100-percent.http"}
    warnings = read(KNOWN[name].key, reply_in(name)).warnings
    assert bool(warnings) is (name in warned), warnings


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_known_answer_tells_its_age_by_the_clock_of_the_vma(name: str) -> None:
    answer = read(KNOWN[name].key, reply_in(name))
    assert answer.start_time is not None
    assert answer.server_date is not None
    assert -1 <= (answer.server_date - answer.start_time).total_seconds() < 10


def test_a_start_time_is_exact() -> None:
    answer = read("job-peer-old-2", reply_in("older-appliance/progress-failed-with-errors.http"))
    assert answer.start_time == datetime(2026, 11, 23, 19, 24, 33, 795427, UTC)


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_an_absent_key_is_not_found(name: str) -> None:
    answer = read(ABSENT[name], reply_in(name))
    assert (answer.kind, answer.entry) == (Kind.NOT_FOUND, KeyEntry(absent=True))


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_wrong_way_of_asking_is_unintelligible(name: str) -> None:
    answer = read("job-min", reply_in(name))
    assert (answer.kind, answer.http_status) == (Kind.UNINTELLIGIBLE, FOREIGN[name])


@pytest.mark.parametrize("name", sorted(HEALTH))
def test_a_healthy_appliance_is_healthy(name: str) -> None:
    assert read_health(reply_in(name)).healthy


@pytest.mark.parametrize("name", sorted(OTHER))
def test_the_answer_of_another_endpoint_says_nothing_about_a_job(name: str) -> None:
    answer = read("job-min", reply_in(name))
    assert answer.verdict is None
    assert answer.kind is (
        Kind.NOT_FOUND if name == "older-appliance/update-unknown-root.http" else Kind.UNINTELLIGIBLE
    )
