"""The hand-written table of what answers amount to. "F8" is number 8 in the list of what can go wrong."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import vma_answers as v
from vma_answers import EXPORT_A, EXPORT_B, GIB, JOB, NOW, A, B, absent, copying, done, down, failed, odd, question, row

from fsm.evidence import Evidence, KeyEntry
from fsm.states import Verdict
from vma.question import Question
from vma.wire import read
from vma.wire_models import Answer

COMPLETED, FAILED, RUNNING = Verdict.COMPLETED, Verdict.FAILED, Verdict.RUNNING
UNSETTLED, NOT_FOUND = Verdict.UNSETTLED, Verdict.NOT_FOUND
UNREACHABLE, UNINTELLIGIBLE = Verdict.UNREACHABLE, Verdict.UNINTELLIGIBLE

ONE = question(A)
TWO = question(A, B)
THREE = question(A, B, v.C)
NO_DISKS = question()
OWN_ID = question(A, B, own_id_only=True)
A_PROVEN = question(A, B, memory=v.remembering(v.proven(A)))
BOTH_PROVEN = question(A, B, memory=v.remembering(v.proven(A), v.proven(B)))
LONG_AGO = NOW - timedelta(days=7)
OLD_END = KeyEntry(False, LONG_AGO, "completed", 100 * GIB, 100.0)
GONE = KeyEntry(absent=True)


def before(entry: KeyEntry, *, changed: bool = False) -> Question:
    """A one-disk job whose export said this when it was set up."""
    return question(A, memory=v.remembering(v.baseline(A, entry, changed=changed)))


def by_clock(hours: float, run_age: timedelta) -> Answer:
    """A completed export entry of a VMA whose clock is this many hours off."""
    date = NOW + timedelta(hours=hours)
    body = v.envelope(EXPORT_A, "completed", start=date - run_age, bytes_transferred=9, total_bytes=9, percentage=100)
    return read(EXPORT_A, v.ok(json.dumps(body).encode(), Date=date.strftime("%a, %d %b %Y %H:%M:%S GMT")))


@dataclass(frozen=True)
class Row:
    """What is asked and answered, and what it amounts to; only what is named is compared."""

    name: str
    question: Question
    answers: Iterable[Answer]
    verdict: Verdict
    done: int | None = None
    total: int | None = None
    disks: tuple[Verdict, ...] | None = None
    more: dict[str, object] = field(default_factory=dict)


def rows_of(*disks: tuple[str, int, int], status: str = "Streaming") -> list[dict[str, object]]:
    return [row(disk_id, at * GIB, total * GIB, status) for disk_id, at, total in disks]


ONE_DISK = [
    Row("F1 an absent job is not found", ONE, [absent(EXPORT_A), absent(JOB)], NOT_FOUND, disks=(NOT_FOUND,)),
    Row(
        "F2 not found with status 200 is not found",
        *(ONE, [read(EXPORT_A, v.ok(b"job not found")), read(JOB, v.ok({"error": "job not found"}))]),
        NOT_FOUND,
    ),
    Row(
        "F3 a VM named not found runs",
        ONE,
        [absent(EXPORT_A), copying(JOB, 1, 2, vm_info={"name": "not found"})],
        *(RUNNING, 1, 2),
    ),
    Row("F4 a wrong URL is no verdict", ONE, [read(k, v.WRONG_URL) for k in (EXPORT_A, JOB)], UNINTELLIGIBLE),
    Row("F5 garbage is no verdict", ONE, [read(k, v.ok(b"null")) for k in (EXPORT_A, JOB)], UNINTELLIGIBLE),
    Row(
        "F7 Succeeded under the export name completes",
        ONE,
        [read(EXPORT_A, v.ok(v.envelope(EXPORT_A, "Succeeded", total_bytes=9, bytes_transferred=9)))],
        *(COMPLETED, 9, 9, (COMPLETED,)),
        {"answering_key": "export", "words": ("Succeeded",), "percent": 100.0},
    ),
    Row(
        "F8 an unknown word is unintelligible if nothing else speaks",
        ONE,
        [absent(EXPORT_A), read(JOB, v.ok(v.envelope(JOB, "Odd", phase="Odd")))],
        UNINTELLIGIBLE,
        more={"words": ("Odd",)},
    ),
    Row(
        "F8 an unknown word under one key does not hide a running one under the other",
        ONE,
        [read(EXPORT_A, v.ok(v.envelope(EXPORT_A, "Odd", phase="Odd"))), copying(JOB, 5, 9)],
        *(RUNNING, 5, 9),
    ),
    Row(
        "F9 recoverable errors are warnings",
        ONE,
        [copying(EXPORT_A, 5, 9, errors=[{"message": "retry", "recoverable": True}])],
        *(RUNNING, 5, 9),
        more={"warnings": ("recoverable error: retry",), "error": None},
    ),
    Row(
        "F11 a hundred percent and running is running",
        *(ONE, [copying(EXPORT_A, 9, 9, percentage=100)]),
        *(RUNNING, 9, 9, (RUNNING,)),
    ),
    Row(
        "F12 the body of another job is unintelligible",
        *(ONE, [read(EXPORT_A, v.ok(v.envelope("other", "completed"))), absent(JOB)]),
        UNINTELLIGIBLE,
    ),
    Row("F13 500 is unintelligible", ONE, [odd(EXPORT_A), absent(JOB)], UNINTELLIGIBLE),
    Row("F14 503 is unreachable", ONE, [down(EXPORT_A)], UNREACHABLE, disks=(UNREACHABLE,)),
    Row(
        "F15 429 carries how long to wait",
        *(ONE, [read(EXPORT_A, v.http(429, b"", **{"Retry-After": "7"}))]),
        *(UNINTELLIGIBLE, None, None, None, {"retry_after": 7.0}),
    ),
    Row(
        "F16 401 is a refusal, not a verdict",
        *(ONE, [read(EXPORT_A, v.http(401))]),
        *(UNINTELLIGIBLE, None, None, None, {"refused": True}),
    ),
    Row(
        "F25 exports absent, the job id answers",
        *(ONE, [absent(EXPORT_A), copying(JOB, 40 * GIB, 100 * GIB, rate=12.5, eta=60)]),
        *(RUNNING, 40 * GIB, 100 * GIB, (RUNNING,)),
        {"answering_key": "job", "percent": 40.0, "throughput_mib_s": 12.5, "eta_seconds": 60, "sync_type": "full"},
    ),
    Row(
        "completed under the job id of a one-disk job is proof",
        *(ONE, [absent(EXPORT_A), done(JOB, 100 * GIB)]),
        *(COMPLETED, 100 * GIB, 100 * GIB, (COMPLETED,), {"own_key_completed": True}),
    ),
    Row(
        "completed at 0 of 0 bytes is the whole disk",
        *(ONE, [absent(EXPORT_A), done(JOB, 0)]),
        *(COMPLETED, 100 * GIB, 100 * GIB),
    ),
    Row(
        "Succeeded at 25 % by the job id of a one-disk job is its word",
        *(ONE, [absent(EXPORT_A), done(JOB, 9, percentage=25, disk_progresses=rows_of(("disk-2000", 25, 100)))]),
        COMPLETED,
    ),
    Row(
        "a row under another name is still the one disk's",
        *(ONE, [absent(EXPORT_A), copying(JOB, 3, 9, disk_progresses=[row("d0", 3, 9)])]),
        *(RUNNING, 3, 9, (RUNNING,)),
    ),
    Row(
        "completed does not prove the one disk we know if the VMA copies another",
        *(ONE, [absent(EXPORT_A), done(JOB, 9, disk_progresses=rows_of(("disk-9", 9, 9), ("disk-2000", 5, 100)))]),
        *(RUNNING, 5 * GIB, 100 * GIB, (RUNNING,)),
    ),
    Row(
        "a failure names the disk, the phase and the reason",
        *(ONE, [absent(EXPORT_A), failed(JOB, 5 * GIB, 20 * GIB, last_error="read error")]),
        *(FAILED, 5 * GIB, 20 * GIB, (FAILED,)),
        {"failed_disks": ("disk-2000",), "error": "disk disk-2000 failed in phase Transfer: read error"},
    ),
    Row(
        "a failure without a reason says so",
        *(ONE, [failed(EXPORT_A)]),
        FAILED,
        more={"error": "disk disk-2000 failed in phase Transfer: the VMA gave no reason"},
    ),
    Row(
        "a disk without a volume is asked by the job id alone",
        *(question(v.Disk("disk-2000", None, GIB)), [done(JOB, GIB)]),
        *(COMPLETED, GIB, GIB),
    ),
    Row("nobody was asked: no verdict", ONE, [], UNINTELLIGIBLE, more={"error": "the VMA was not asked"}),
]

PROGRESS = [
    Row(
        "a percentage without bytes is a share of the capacity while copying",
        *(ONE, [copying(EXPORT_A, 0, 0, percentage=41.5, phase="copying_data")]),
        *(RUNNING, round(41.5 * GIB), 100 * GIB, None, {"percent": 41.5}),
    ),
    Row(
        "a set-up percentage counts nothing",
        *(ONE, [copying(EXPORT_A, 0, 0, percentage=30, phase="Preparing Migration")]),
        *(RUNNING, 0, None, None, {"percent": None, "phase": "Preparing Migration"}),
    ),
    Row(
        "a set-up percentage left standing at the start of the transfer counts nothing",
        *(ONE, [copying(EXPORT_A, 0, 0, percentage=30)]),
        *(RUNNING, 0, None, None, {"percent": None}),
    ),
    Row(
        "an answer without numbers has none",
        *(ONE, [read(EXPORT_A, v.ok({"job_id": EXPORT_A, "status": "running"}))]),
        *(RUNNING, None, None, None, {"percent": None, "throughput_mib_s": None, "eta_seconds": None}),
    ),
    Row(
        "150 % is shown as 100 %",
        *(ONE, [copying(EXPORT_A, 30, 20, percentage=150)]),
        *(RUNNING, 30, 20, (RUNNING,), {"percent": 100.0}),
    ),
    Row(
        "rates add up over running disks, the longest remaining time counts",
        *(TWO, [copying(EXPORT_A, 1, 4, rate=10, eta=30), copying(EXPORT_B, 1, 4, rate=5, eta=90)]),
        *(RUNNING, 2, 8, (RUNNING, RUNNING), {"throughput_mib_s": 15.0, "eta_seconds": 90, "percent": 25.0}),
    ),
    Row(
        "F26 a further disk appears and the percentage falls",
        *(TWO, [done(EXPORT_A, 100 * GIB), copying(EXPORT_B, 0, 20 * GIB)]),
        *(RUNNING, 100 * GIB, 120 * GIB, (COMPLETED, RUNNING)),
    ),
    Row(
        "running by job id without rows is about the first disk that is not proven",
        *(A_PROVEN, [absent(EXPORT_B), copying(JOB, 5 * GIB, 20 * GIB)]),
        *(RUNNING, 105 * GIB, 120 * GIB, (COMPLETED, RUNNING)),
    ),
]

SEVERAL_DISKS = [
    Row(
        "F22 one done, one at 40 %, by export names",
        *(TWO, [done(EXPORT_A, 100 * GIB), copying(EXPORT_B, 8 * GIB, 20 * GIB)]),
        *(RUNNING, 108 * GIB, 120 * GIB, (COMPLETED, RUNNING)),
    ),
    Row(
        "F22 one done, one at half, by job id (the answer says completed)",
        *(TWO, [done(JOB, 70 * GIB, disk_progresses=rows_of(("disk-2000", 50, 100), ("disk-2001", 20, 20)), rate=7)]),
        *(RUNNING, 70 * GIB, 120 * GIB, (RUNNING, COMPLETED)),
        {"own_key_completed": True, "throughput_mib_s": 7.0},
    ),
    Row(
        "flapped back: the rows of a running answer prove nothing",
        *(TWO, [copying(JOB, 9, 9, disk_progresses=rows_of(("disk-2000", 70, 100), ("disk-2001", 20, 20)))]),
        *(RUNNING, 90 * GIB, 120 * GIB, (RUNNING, RUNNING)),
    ),
    Row(
        "flapped back: the proof of a disk stays",
        *(A_PROVEN, [copying(JOB, 9, 9, disk_progresses=rows_of(("disk-2000", 70, 100), ("disk-2001", 10, 20)))]),
        *(RUNNING, 110 * GIB, 120 * GIB, (COMPLETED, RUNNING)),
    ),
    Row(
        "the short row of a disk already proven keeps nothing running",
        *(A_PROVEN, [done(JOB, 9, disk_progresses=rows_of(("disk-2000", 50, 100), ("disk-2001", 20, 20)))]),
        *(COMPLETED, 120 * GIB, 120 * GIB, (COMPLETED, COMPLETED)),
    ),
    Row(
        "all rows full in a completed answer: completed",
        *(TWO, [done(JOB, 9, disk_progresses=rows_of(("disk-2000", 100, 100), ("disk-2001", 20, 20)))]),
        *(COMPLETED, 120 * GIB, 120 * GIB, (COMPLETED, COMPLETED)),
    ),
    Row(
        "a short row with an unknown word is unfinished, and nothing settles by it",
        *(TWO, [done(JOB, 9, disk_progresses=rows_of(("disk-2000", 50, 100), status="Odd"))]),
        *(UNSETTLED, 50 * GIB, 100 * GIB, (UNSETTLED, NOT_FOUND)),
    ),
    Row(
        "rows of disks we do not know run too",
        *(TWO, [absent(EXPORT_A), absent(EXPORT_B), done(JOB, 9, disk_progresses=rows_of(("x", 5, 9), ("y", 9, 9)))]),
        RUNNING,
    ),
    Row(
        "F23 one failed, one running: stays, the disk is named",
        *(TWO, [failed(EXPORT_A, 9, 100), copying(EXPORT_B, 8, 20)]),
        *(RUNNING, 17, 120, (FAILED, RUNNING), {"failed_disks": ("disk-2000",), "error": None}),
    ),
    Row(
        "F23 one failed, the other done: failed, the disk is named",
        *(TWO, [failed(EXPORT_A, 9, 100, last_error="gone"), done(EXPORT_B, 20)]),
        *(FAILED, 29, 120, (FAILED, COMPLETED)),
        {"failed_disks": ("disk-2000",), "error": "disk disk-2000 failed in phase Transfer: gone"},
    ),
    Row(
        "F23 by rows: one failed, one running",
        TWO,
        [
            failed(
                JOB, 1, 9, disk_progresses=[*rows_of(("disk-2000", 5, 100), status="failed"), row("disk-2001", 2, 20)]
            )
        ],
        *(RUNNING, 5 * GIB + 2, 100 * GIB + 20, (FAILED, RUNNING), {"failed_disks": ("disk-2000",)}),
    ),
    Row(
        "failed by job id: rows keep their copying words, the short one failed",
        *(TWO, [failed(JOB, 1, 9, disk_progresses=rows_of(("disk-2000", 100, 100), ("disk-2001", 5, 20)))]),
        *(FAILED, 105 * GIB, 120 * GIB, (UNSETTLED, FAILED), {"failed_disks": ("disk-2001",)}),
    ),
    Row(
        "failed by job id beside a proven disk: the other one failed",
        *(A_PROVEN, [absent(EXPORT_B), failed(JOB, 5, 20)]),
        *(FAILED, 100 * GIB + 5, 100 * GIB + 20, (COMPLETED, FAILED), {"failed_disks": ("disk-2001",)}),
    ),
    Row(
        "F24 one done, one absent: unsettled",
        *(TWO, [done(EXPORT_A, 100 * GIB), absent(EXPORT_B), absent(JOB)]),
        *(UNSETTLED, 100 * GIB, 100 * GIB, (COMPLETED, NOT_FOUND), {"own_key_completed": False}),
    ),
    Row(
        "F24 the proof of the first disk survives a forgetful VMA",
        *(A_PROVEN, [absent(EXPORT_B), absent(JOB)]),
        *(UNSETTLED, 100 * GIB, 100 * GIB, (COMPLETED, NOT_FOUND)),
    ),
    Row(
        "F27 completed by job id after disk one of three: never completed",
        *(THREE, [absent(EXPORT_A), absent(EXPORT_B), absent(v.EXPORT_C), done(JOB, 100 * GIB)]),
        *(UNSETTLED, 100 * GIB, 100 * GIB, (UNSETTLED, NOT_FOUND, NOT_FOUND), {"own_key_completed": True}),
    ),
    Row(
        "completed by job id may be about the disk already proven: credited to no other",
        *(A_PROVEN, [absent(EXPORT_B), done(JOB, 20 * GIB)]),
        *(UNSETTLED, 100 * GIB, 100 * GIB, (COMPLETED, NOT_FOUND)),
    ),
    Row(
        "all proven, but the job id says running: running",
        *(BOTH_PROVEN, [copying(JOB, 9, 9, phase="Cleanup")]),
        *(RUNNING, 120 * GIB, 120 * GIB, (COMPLETED, COMPLETED)),
    ),
    Row(
        "all proven while the VMA is unreachable: completed", BOTH_PROVEN, [down(JOB)], COMPLETED, 120 * GIB, 120 * GIB
    ),
    Row("all proven while the VMA talks garbage: completed", BOTH_PROVEN, [odd(JOB)], COMPLETED),
    Row("all proven and a VMA that has forgotten: completed", BOTH_PROVEN, [absent(JOB)], COMPLETED),
    Row("all proven needs no answer", BOTH_PROVEN, [], COMPLETED),
    Row("a proven disk does not mind its own key", BOTH_PROVEN, [down(EXPORT_A), failed(EXPORT_B)], COMPLETED),
    Row("one proven, one unreachable: unreachable", TWO, [done(EXPORT_A, 9), down(EXPORT_B)], UNREACHABLE),
    Row("one proven, one odd: unintelligible", TWO, [done(EXPORT_A, 9), odd(EXPORT_B), absent(JOB)], UNINTELLIGIBLE),
    Row("unreachable goes before unintelligible", TWO, [odd(EXPORT_A), down(EXPORT_B)], UNREACHABLE),
    Row("unintelligible goes before failed", TWO, [failed(EXPORT_A), odd(EXPORT_B), absent(JOB)], UNINTELLIGIBLE),
    Row("running goes before unreachable", TWO, [copying(EXPORT_A, 1, 9), down(EXPORT_B)], RUNNING),
    Row("failed goes before unsettled", TWO, [failed(EXPORT_A), absent(EXPORT_B), done(JOB, 9)], FAILED),
]

KEYS = [
    Row("F28a without known disks completed is unsettled", NO_DISKS, [done(JOB, 9)], UNSETTLED, 9, 9, ()),
    Row(
        "F28a not even if every disk the VMA names is full",
        *(NO_DISKS, [done(JOB, 9, disk_progresses=[row("x", 9, 9)])]),
        *(UNSETTLED, 9, 9, (COMPLETED,)),
    ),
    Row(
        "without known disks a copying row still runs",
        *(NO_DISKS, [done(JOB, 14, disk_progresses=[row("x", 9, 9), row("y", 5, 9)])]),
        *(RUNNING, 14, 14, (COMPLETED, RUNNING)),
    ),
    Row("without known disks failed is failed", NO_DISKS, [failed(JOB)], FAILED, more={"failed_disks": ()}),
    Row("without known disks running is running", NO_DISKS, [copying(JOB, 4, 8)], RUNNING, 4, 8),
    Row("without known disks not found is not found", NO_DISKS, [absent(JOB)], NOT_FOUND),
    Row(
        "without known disks and bytes the percentage is kept",
        *(NO_DISKS, [copying(JOB, 0, 0, percentage=66)]),
        *(RUNNING, 0, None, (), {"percent": 66.0}),
    ),
    Row(
        "with the VM taken, export names say nothing of this job",
        *(OWN_ID, [copying(EXPORT_A, 1, 2), done(EXPORT_B, 9), absent(JOB)]),
        *(NOT_FOUND, None, None, (NOT_FOUND, NOT_FOUND), {"answering_key": None}),
    ),
    Row(
        "several disks that share no export: both keys known, the export is remembered",
        *(TWO, [copying(EXPORT_A, 1, 2), absent(EXPORT_B), copying(JOB, 1, 2)]),
        RUNNING,
        more={"answering_key": "export"},
    ),
]

STALE = [
    Row(
        "F28 completed a week ago, seen at set-up and unchanged: not for this job",
        *(before(OLD_END), [done(EXPORT_A, 100 * GIB, start=LONG_AGO), absent(JOB)]),
        *(NOT_FOUND, None, None, (NOT_FOUND,), {"answering_key": None}),
    ),
    Row("failed a week ago: not for this job", ONE, [failed(EXPORT_A, start=LONG_AGO), absent(JOB)], NOT_FOUND),
    Row("F28 a live new run on the old key", before(OLD_END), [copying(EXPORT_A, 1, 9)], RUNNING, 1, 9),
    Row("a running entry is never stale", before(OLD_END), [copying(EXPORT_A, 1, 9, start=LONG_AGO)], RUNNING),
    Row(
        "an end that differs from the baseline counts", before(OLD_END), [done(EXPORT_A, 9, start=LONG_AGO)], COMPLETED
    ),
    Row("an end where nothing was counts", before(GONE), [done(EXPORT_A, 9, start=LONG_AGO)], COMPLETED),
    Row("a failure where nothing was counts", before(GONE), [failed(EXPORT_A, start=LONG_AGO)], FAILED),
    Row(
        "a key seen to change counts, even if it looks as before",
        *(before(OLD_END, changed=True), [done(EXPORT_A, 100 * GIB, start=LONG_AGO)]),
        COMPLETED,
    ),
    Row(
        "without a baseline, a run younger than the job counts",
        *(ONE, [done(EXPORT_A, 9, start=NOW - timedelta(minutes=59))]),
        COMPLETED,
    ),
    Row(
        "without a baseline, a run as old as the job does not count",
        *(ONE, [done(EXPORT_A, 9, start=NOW - timedelta(minutes=60)), absent(JOB)]),
        NOT_FOUND,
    ),
    Row("F39 VMA clock an hour ahead, young run", ONE, [by_clock(1, timedelta(minutes=50))], COMPLETED),
    Row("F39 VMA clock an hour behind, young run", ONE, [by_clock(-1, timedelta(minutes=50))], COMPLETED),
    Row("F39 VMA clock an hour ahead, old run", ONE, [by_clock(1, timedelta(minutes=70)), absent(JOB)], NOT_FOUND),
    Row("F39 VMA clock an hour behind, old run", ONE, [by_clock(-1, timedelta(minutes=70)), absent(JOB)], NOT_FOUND),
    Row(
        "an end of unknown age and no change seen is stale",
        *(ONE, [done(EXPORT_A, 9, timing={"start_time": "0001-01-01T00:00:00Z"}), absent(JOB)]),
        NOT_FOUND,
    ),
    Row(
        "a stale end leaves the word to the job id",
        *(before(OLD_END), [done(EXPORT_A, 100 * GIB, start=LONG_AGO), copying(JOB, 5, 9)]),
        *(RUNNING, 5, 9, (RUNNING,), {"answering_key": "job"}),
    ),
    Row(
        "the job's own id is never stale", before(OLD_END), [absent(EXPORT_A), done(JOB, 9, start=LONG_AGO)], COMPLETED
    ),
    Row(
        "a stale end beside a running disk proves nothing",
        *(TWO, [done(EXPORT_A, 100 * GIB, start=LONG_AGO), copying(EXPORT_B, 8, 20), absent(JOB)]),
        *(RUNNING, 8, 20, (NOT_FOUND, RUNNING)),
    ),
]

ROWS = [*ONE_DISK, *PROGRESS, *SEVERAL_DISKS, *KEYS, *STALE]


def amounts(evidence: Evidence, row: Row) -> dict[str, object]:
    """What the evidence says of all that the row names."""
    seen: dict[str, object] = {name: getattr(evidence, name) for name in row.more}
    if row.done is not None or row.total is not None:
        seen |= {"done": evidence.bytes_transferred, "total": evidence.total_bytes}
    if row.disks is not None:
        seen["disks"] = tuple(d.verdict for d in evidence.disks)
    return seen | {"verdict": evidence.verdict}


def expected(row: Row) -> dict[str, object]:
    """What the row names."""
    named: dict[str, object] = dict(row.more)
    if row.done is not None or row.total is not None:
        named |= {"done": row.done, "total": row.total}
    if row.disks is not None:
        named["disks"] = row.disks
    return named | {"verdict": row.verdict}
