"""What all answers about one job amount to: the table, and what is remembered from it."""

from datetime import timedelta

import pytest
import vma_answers as v
from composite_rows import ROWS, Row, amounts, expected
from vma_answers import EXPORT_A, EXPORT_B, GIB, JOB, NOW, A, B, absent, copying, done, down, failed, odd, question, row

from fsm.evidence import DiskEvidence, Evidence, KeyEntry
from fsm.facts import JobFacts
from fsm.memory import Memory
from fsm.progress import absorb
from fsm.states import State, Verdict
from vma.composite import Hearing, Question, compose
from vma.wire import read
from vma.wire_models import Answer


def evidence(asked: Question, *answers: Answer) -> Evidence:
    return compose(Hearing(asked, v.by_key(*answers), NOW), observer="us", uptime=60.0)


@pytest.mark.parametrize("entry", ROWS, ids=[r.name for r in ROWS])
def test_the_answers_amount_to(entry: Row) -> None:
    found = evidence(entry.question, *entry.answers)
    assert amounts(found, entry) == expected(entry)
    assert (found.observed_at, found.observer, found.uptime, found.appliance) == (NOW, "us", 60.0, "default")


def test_the_names_of_the_rows_are_distinct() -> None:
    assert len({r.name for r in ROWS}) == len(ROWS)


def test_evidence_on_a_disk_carries_what_its_key_said() -> None:
    found = evidence(question(A, B), copying(EXPORT_A, 5, 9, percentage=55), absent(EXPORT_B), absent(JOB))
    start = NOW - timedelta(minutes=30)
    assert found.disks == (
        DiskEvidence(
            "disk-2000",
            Verdict.RUNNING,
            bytes_transferred=5,
            total_bytes=9,
            percent=pytest.approx(500 / 9),
            unfinished=True,
            entry=KeyEntry(False, start, "in_progress", 5, 55.0),
        ),
        DiskEvidence("disk-2001", Verdict.NOT_FOUND, entry=KeyEntry(absent=True)),
    )


@pytest.mark.parametrize("answer", [down(EXPORT_A), odd(EXPORT_A)])
def test_a_key_that_was_not_understood_is_no_entry(answer: Answer) -> None:
    assert evidence(question(A), answer, absent(JOB)).disks[0].entry is None


def test_a_stale_entry_is_still_the_baseline() -> None:
    found = evidence(question(A), done(EXPORT_A, 9, start=NOW - timedelta(days=7)), absent(JOB))
    assert found.verdict is Verdict.NOT_FOUND
    assert found.disks[0].entry == KeyEntry(False, NOW - timedelta(days=7), "completed", 9, 100.0)


def test_a_disk_seen_short_of_its_total_is_unfinished_until_it_is_proven() -> None:
    short = done(JOB, 9, disk_progresses=[row("disk-2000", 5, 9, "Odd"), row("disk-2001", 9, 9)])
    assert [(d.unfinished, d.proven) for d in evidence(question(A, B), short).disks] == [(True, False), (False, True)]


def test_an_unreachable_vma_is_described_for_an_operator() -> None:
    error = evidence(question(A), down(EXPORT_A)).error
    assert error == "asked about migration-vol-a: HTTP 503: a proxy finds no VMA behind it"


def test_an_odd_answer_is_described_with_status_and_body() -> None:
    found = evidence(question(A), absent(EXPORT_A), read(JOB, v.http(500, b"boom\x1b" + b"x" * 9999)))
    assert found.error is not None
    start = f"asked about {JOB}: HTTP 500: the VMA has an error of its own; the body begins: boom\\x1bxxx"
    assert found.error.startswith(start)
    assert len(found.error) < 500


def test_warnings_of_all_answers_are_collected_once_and_bounded() -> None:
    rows = [row(f"d{n}", 1, 2) | {"percent": -n - 1} for n in range(30)]
    found = evidence(question(A, B), copying(EXPORT_A, 5, 9, percentage=-1), copying(JOB, 1, 2, disk_progresses=rows))
    assert found.warnings[:2] == ("percentage is -1: taken for 0", "percent is -1: taken for 0")
    assert len(found.warnings) <= 20


def test_the_question_about_stored_facts() -> None:
    facts = JobFacts(
        JOB, State.ATTACHING, v.CREATED, v.CREATED, disks=(A, B), memory=Memory(answering_key="job"), appliance="vma-2"
    )
    assert Question.of(facts) == Question(
        JOB, v.CREATED, (A, B), Memory(answering_key="job"), own_id_only=False, setup=True, appliance="vma-2"
    )


@pytest.mark.parametrize(("disks", "taken", "own"), [((A,), False, False), ((A,), True, True), ((), False, True)])
def test_only_the_own_id_is_asked_of_a_job_without_disks_or_with_its_vm_taken(
    disks: tuple[v.Disk, ...], taken: bool, own: bool
) -> None:
    facts = JobFacts(JOB, State.REPLICATING, v.CREATED, v.CREATED, disks=disks, vm_taken=taken)
    assert (Question.of(facts).own_id_only, Question.of(facts).setup) == (own, False)


# --- poll after poll --------------------------------------------------------------------------------


def polls(facts: JobFacts, *answered: tuple[Answer, ...]) -> tuple[list[Verdict], JobFacts]:
    """The verdicts of one poll after another, each remembering the ones before."""
    verdicts = []
    for answers in answered:
        found = evidence(Question.of(facts), *answers)
        verdicts.append(found.verdict)
        facts = absorb(facts, found)
    return verdicts, facts


REPLICATING = JobFacts(JOB, State.REPLICATING, v.CREATED, v.CREATED, disks=(A, B))


def test_a_job_whose_word_flaps_with_every_disk_completes_only_when_all_have() -> None:
    def both(status: str, a: int, b: int) -> tuple[Answer, ...]:
        rows = [row("disk-2000", a * GIB, 100 * GIB), row("disk-2001", b * GIB, 20 * GIB)]
        return (read(JOB, v.ok(v.envelope(JOB, status, disk_progresses=rows))),)

    verdicts, facts = polls(
        REPLICATING,
        both("Streaming", 50, 10),
        both("completed", 50, 20),
        both("in_progress", 70, 20),
        both("completed", 100, 20),
    )
    assert verdicts == [Verdict.RUNNING, Verdict.RUNNING, Verdict.RUNNING, Verdict.COMPLETED]
    assert facts.bytes_transferred == facts.total_bytes == 120 * GIB


def test_disks_one_after_another_by_export_names_never_read_as_done_before_the_last() -> None:
    a_done = done(EXPORT_A, 100 * GIB)
    verdicts, facts = polls(
        REPLICATING,
        (copying(EXPORT_A, GIB, 100 * GIB), absent(EXPORT_B), absent(JOB)),
        (a_done, absent(EXPORT_B), absent(JOB)),
        (copying(EXPORT_B, GIB, 20 * GIB),),
        (absent(EXPORT_B), absent(JOB)),  # the VMA forgets
        (done(EXPORT_B, 20 * GIB),),
    )
    assert verdicts == [Verdict.RUNNING, Verdict.UNSETTLED, Verdict.RUNNING, Verdict.UNSETTLED, Verdict.COMPLETED]
    assert facts.percent == 100.0


def test_an_old_end_is_not_believed_until_the_key_was_seen_to_change() -> None:
    old = done(EXPORT_A, 9, start=NOW - timedelta(days=7))
    setup = JobFacts(JOB, State.READY_FOR_SYNC, v.CREATED, v.CREATED, disks=(A,))
    verdicts, facts = polls(setup, (old, absent(JOB)), (old, absent(JOB)), (copying(EXPORT_A, 1, 9),), (old,))
    assert verdicts == [Verdict.NOT_FOUND, Verdict.NOT_FOUND, Verdict.RUNNING, Verdict.COMPLETED]
    assert facts.memory.disk("disk-2000").changed


def test_an_outage_wipes_no_progress() -> None:
    _, facts = polls(REPLICATING, (copying(EXPORT_A, 50 * GIB, 100 * GIB), absent(EXPORT_B)))
    _, after = polls(facts, (down(EXPORT_A), down(EXPORT_B)), (odd(EXPORT_A), odd(EXPORT_B), odd(JOB)))
    assert (after.bytes_transferred, after.percent) == (50 * GIB, pytest.approx(100 * 50 / 120))


def test_a_failure_beside_a_running_disk_ends_the_job_only_when_nothing_runs() -> None:
    broken = failed(EXPORT_A, 5 * GIB, 100 * GIB)
    verdicts, _ = polls(
        REPLICATING, (broken, copying(EXPORT_B, GIB, 20 * GIB)), (broken, done(EXPORT_B, 20 * GIB)), (broken,)
    )
    assert verdicts == [Verdict.RUNNING, Verdict.FAILED, Verdict.FAILED]


@pytest.mark.parametrize("verdict", [Verdict.UNINTELLIGIBLE, Verdict.UNREACHABLE, Verdict.FAILED])
def test_the_body_of_the_answer_that_went_wrong_is_kept(verdict: Verdict) -> None:
    bodies = {
        Verdict.UNINTELLIGIBLE: read(JOB, v.http(500, b"panic: \x1b[31m" + b"x" * 900)),
        Verdict.UNREACHABLE: read(JOB, v.http(502, b"bad gateway " + b"x" * 900)),
        Verdict.FAILED: failed(JOB),
    }
    found = evidence(question(), bodies[verdict])
    assert found.verdict is verdict
    assert found.body is not None
    assert found.body.isprintable()
    assert len(found.body) > 500, "the whole body, not an excerpt"


def test_no_body_is_kept_of_an_answer_that_is_fine() -> None:
    assert evidence(question(A), copying(JOB, 1, 2)).body is None


def test_an_endless_body_is_kept_up_to_a_bound() -> None:
    found = evidence(question(), read(JOB, v.http(500, b"x" * 10**6)))
    assert found.body is not None
    assert len(found.body) == 15_000
