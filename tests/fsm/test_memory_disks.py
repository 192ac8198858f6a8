"""What is remembered of each disk: proof, the baseline of its key, and what was last seen."""

import pytest
from builders import NOW, Observer, disk, hear, span
from msgspec.structs import replace

from fsm.evidence import KeyEntry
from fsm.memory import DiskMemory, Memory
from fsm.states import Verdict

OTHER = Observer("run-2", NOW - span("1h"))
KNOWING = ("running", "completed", "failed", "unsettled")
SILENT = ("not_found", "unreachable", "unintelligible")
LAST_WEEK = KeyEntry(absent=False, start_time=NOW - span("7d"), word="completed", bytes_transferred=1000, percent=100.0)
ABSENT = KeyEntry()


def test_proof_is_never_taken_back() -> None:
    memory = hear(Memory(), "completed", disks=(disk(verdict=Verdict.COMPLETED, proven=True),))
    for said in Verdict:
        memory = hear(memory, said, disks=(disk(verdict=said, proven=False, bytes_transferred=1),))
        assert memory.disk("disk-2000").proven, said
    assert hear(memory, "not_found").disk("disk-2000").proven, "nor by an answer that does not name it"


def test_proof_from_elsewhere_is_stored_beside_what_was_seen() -> None:
    seen = DiskMemory("disk-2000", bytes_transferred=7, unfinished=True)
    memory = Memory(disks=(seen,)).prove("disk-2000").prove("disk-2001")
    assert memory.disk("disk-2000") == replace(seen, proven=True, unfinished=False)
    assert memory.disk("disk-2001") == DiskMemory("disk-2001", proven=True)
    assert len(memory.disks) == 2
    assert memory.prove("disk-2000") == memory


def test_a_disk_that_an_answer_lacks_keeps_what_was_seen() -> None:
    memory = hear(Memory(), "running", disks=(disk(bytes_transferred=300, total_bytes=900, unfinished=True),))
    kept = DiskMemory("disk-2000", bytes_transferred=300, total_bytes=900, unfinished=True)
    assert hear(memory, "running").disk("disk-2000") == kept
    assert hear(memory, "running", disks=(disk(unfinished=True),)).disk("disk-2000") == kept
    silent = hear(memory, "not_found", disks=(disk(verdict=Verdict.NOT_FOUND),))
    assert silent.disk("disk-2000") == kept, "a disk that was not found is as unfinished as before"
    assert not hear(memory, "running", disks=(disk(),)).disk("disk-2000").unfinished


def test_the_baseline_is_taken_once_and_only_in_set_up() -> None:
    first = hear(Memory(), "not_found", setup=True, disks=(disk(verdict=Verdict.NOT_FOUND, entry=LAST_WEEK),))
    assert (first.disk("disk-2000").baseline, first.disk("disk-2000").changed) == (LAST_WEEK, False)
    same = hear(first, "not_found", disks=(disk(verdict=Verdict.NOT_FOUND, entry=LAST_WEEK),))
    assert not same.disk("disk-2000").changed
    late = hear(Memory(), "running", disks=(disk(entry=LAST_WEEK),))
    assert (late.disk("disk-2000").baseline, late.disk("disk-2000").changed) == (None, False)


@pytest.mark.parametrize(
    "change",
    [ABSENT, replace(LAST_WEEK, start_time=NOW), replace(LAST_WEEK, word="Streaming"), replace(LAST_WEEK, percent=1.0)],
)
def test_a_key_that_changed_once_has_changed_for_good(change: KeyEntry) -> None:
    memory = hear(Memory(), "not_found", setup=True, disks=(disk(entry=LAST_WEEK),))
    changed = hear(memory, "running", disks=(disk(entry=change),))
    assert changed.disk("disk-2000").changed
    assert changed.disk("disk-2000").baseline == LAST_WEEK
    assert hear(changed, "running", disks=(disk(entry=LAST_WEEK),)).disk("disk-2000").changed
    assert hear(changed, "running", disks=(disk(entry=None),)).disk("disk-2000").changed


def test_a_key_that_was_not_asked_did_not_change() -> None:
    memory = hear(Memory(), "not_found", setup=True, disks=(disk(entry=LAST_WEEK),))
    assert not hear(memory, "running", disks=(disk(entry=None),)).disk("disk-2000").changed


def test_an_absent_key_is_a_baseline_too() -> None:
    memory = hear(Memory(), "not_found", setup=True, disks=(disk(entry=ABSENT),))
    assert hear(memory, "completed", disks=(disk(entry=LAST_WEEK),)).disk("disk-2000").changed


@pytest.mark.parametrize("verdict", SILENT)
def test_what_the_own_key_said_and_which_key_answered_survive_silence(verdict: str) -> None:
    memory = hear(Memory(), "unsettled", own_key_completed=True, answering_key="job")
    after = hear(memory, verdict)
    assert (after.own_key_completed, after.answering_key) == (True, "job")
    assert not hear(memory, "running").own_key_completed
