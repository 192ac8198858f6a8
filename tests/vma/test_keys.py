"""Which keys a job is asked under, and when that is enough."""

import pytest
import vma_answers as v
from vma_answers import CREATED, EXPORT_A, EXPORT_B, JOB, NOW, A, B, absent, copying, done, down, failed, odd, question

from fsm.memory import DiskMemory, Memory, remember
from fsm.states import Verdict
from vma.composite import compose
from vma.hearing import Hearing
from vma.keys import next_keys
from vma.question import Question
from vma.wire import read
from vma.wire_models import Answer

EXPORTS, OWN = (EXPORT_A, EXPORT_B), (JOB,)
JOB_FIRST = Memory(answering_key="job")
TWO = question(A, B)
TWO_JOB_FIRST = question(A, B, memory=JOB_FIRST)
ONE_JOB_FIRST = question(A, memory=JOB_FIRST)
A_PROVEN = question(A, B, memory=v.remembering(v.proven(A)))
BOTH_PROVEN = question(A, B, memory=v.remembering(v.proven(A), v.proven(B)))
AT_5 = DiskMemory(A.disk_id, bytes_transferred=5)
A_AT_5 = question(A, B, memory=v.remembering(AT_5))
B_FAILED = question(A, B, memory=v.remembering(AT_5, failed_disks=(B.disk_id,)))
OLD = CREATED.replace(year=2025)
REFUSED = read(EXPORT_A, v.http(403))
BUSY = read(EXPORT_A, v.http(429, b"", **{"Retry-After": "5"}))

ROWS: dict[str, tuple[Question, tuple[Answer, ...], tuple[str, ...]]] = {
    "export names first": (TWO, (), EXPORTS),
    "the job id if an export is absent": (TWO, (copying(EXPORT_A, 1, 2), absent(EXPORT_B)), OWN),
    "the job id if an export is odd": (TWO, (copying(EXPORT_A, 1, 2), odd(EXPORT_B)), OWN),
    "the job id if an export's end is stale": (question(A), (done(EXPORT_A, 9, start=OLD),), OWN),
    "nothing more if an export is seen to move": (A_AT_5, (copying(EXPORT_A, 6, 9), absent(EXPORT_B)), ()),
    "nor if another one is odd then": (A_AT_5, (copying(EXPORT_A, 6, 9), odd(EXPORT_B)), ()),
    "the job id if the export that runs stands still": (A_AT_5, (copying(EXPORT_A, 5, 9), absent(EXPORT_B)), OWN),
    "or has gone back": (A_AT_5, (copying(EXPORT_A, 4, 9), absent(EXPORT_B)), OWN),
    "or does not say how far it is": (A_AT_5, (copying(EXPORT_A, None, 9), absent(EXPORT_B)), OWN),
    "an end with more bytes is no move": (A_AT_5, (failed(EXPORT_A, 6, 9), absent(EXPORT_B)), OWN),
    "the job id if a disk has failed beside the one that moves": (
        B_FAILED,
        (copying(EXPORT_A, 6, 9), absent(EXPORT_B)),
        OWN,
    ),
    "but not if its own export says so": (B_FAILED, (copying(EXPORT_A, 6, 9), failed(EXPORT_B)), ()),
    "nothing more if every export knew its disk": (TWO, (copying(EXPORT_A, 1, 2), failed(EXPORT_B)), ()),
    "nothing more if the exports prove every disk": (TWO, (done(EXPORT_A, 1), done(EXPORT_B, 1)), ()),
    "nothing more after all keys": (TWO, (absent(EXPORT_A), absent(EXPORT_B), absent(JOB)), ()),
    "nothing more of an unreachable VMA": (TWO, (down(EXPORT_A), absent(EXPORT_B)), ()),
    "nothing more of a VMA that turns us away": (TWO, (REFUSED, absent(EXPORT_B)), ()),
    "nothing more of a VMA that asks for a pause": (TWO, (BUSY, absent(EXPORT_B)), ()),
    "proven disks are not asked": (A_PROVEN, (), (EXPORT_B,)),
    "with every disk proven the job id is still asked": (BOTH_PROVEN, (), OWN),
    "and nothing after it": (BOTH_PROVEN, (absent(JOB),), ()),
    "the job id first if it answered last": (TWO_JOB_FIRST, (), OWN),
    "running by job id is enough": (TWO_JOB_FIRST, (copying(JOB, 1, 2),), ()),
    "exports if the job id is absent": (TWO_JOB_FIRST, (absent(JOB),), EXPORTS),
    "exports if the job id is odd": (TWO_JOB_FIRST, (odd(JOB),), EXPORTS),
    "exports before a failure is believed": (TWO_JOB_FIRST, (failed(JOB),), EXPORTS),
    "exports if completed proves not every disk": (TWO_JOB_FIRST, (done(JOB, 9),), EXPORTS),
    "none if completed proves the one disk": (ONE_JOB_FIRST, (done(JOB, 9),), ()),
    "none if the job id is unreachable": (TWO_JOB_FIRST, (down(JOB),), ()),
    "the own id alone without disks": (question(), (), OWN),
    "and nothing else": (question(), (absent(JOB),), ()),
    "the own id alone if the VM is taken": (question(A, B, own_id_only=True), (), OWN),
    "and no exports if it is absent": (question(A, B, own_id_only=True, memory=JOB_FIRST), (absent(JOB),), ()),
    "in set-up exports for the baseline": (
        question(A, B, memory=JOB_FIRST, setup=True),
        (copying(JOB, 1, 2),),
        EXPORTS,
    ),
    "a disk without a volume has no export": (question(v.Disk("d", None)), (), OWN),
    "two disks on one export ask once": (question(A, v.Disk("other", "a")), (), (EXPORT_A,)),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_keys_to_ask_next(name: str) -> None:
    asked, answers, keys = ROWS[name]
    assert next_keys(Hearing(asked, v.by_key(*answers), NOW)) == keys


def test_a_disk_that_failed_by_the_job_id_does_not_recover_because_the_other_moves() -> None:
    """It is a condition of the job until nothing says so any more, not one that comes and goes with each poll."""
    memory, failures = Memory(), []
    for done_by_now in (1, 2, 2, 3, 4):
        vma = v.by_key(
            copying(EXPORT_A, done_by_now, 9), failed(JOB, disk_progresses=[v.row(B.disk_id, 0, 9, "failed")])
        )
        asked, answers = question(A, B, memory=memory), dict[str, Answer]()
        while keys := next_keys(Hearing(asked, answers, NOW)):
            answers |= {key: vma.get(key) or absent(key) for key in keys}
        evidence = compose(Hearing(asked, answers, NOW), observer="us", uptime=1.0)
        memory = remember(memory, evidence, setup=False)
        failures.append((evidence.verdict, memory.failed_disks))
    assert failures == [(Verdict.RUNNING, (B.disk_id,))] * 5
