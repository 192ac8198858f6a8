"""Progress: bytes over all disks, never wiped by what lacks it, clamped, and free to fall when the VMA says so."""

from typing import Any

import pytest
from builders import NOW, TWO_DISKS, Story, answer, disk, job
from msgspec.structs import replace

from fsm.evidence import Evidence
from fsm.facts import Disk, JobFacts
from fsm.memory import DiskMemory, Memory
from fsm.progress import absorb
from fsm.states import Verdict


def progress(facts: JobFacts) -> tuple[float, int, int]:
    return facts.percent, facts.bytes_transferred, facts.total_bytes


def told(verdict: str = "running", **more: Any) -> Evidence:
    return answer(verdict, NOW, **more)


def heard(facts: JobFacts, *disks: Any, **more: Any) -> JobFacts:
    return absorb(facts, told(disks=disks, **more))


def test_progress_is_bytes_over_all_disks() -> None:
    facts = job(disks=(Disk("disk-2000", "a", 100), Disk("disk-2001", "b", 300)))
    both = heard(
        facts, disk(bytes_transferred=50, total_bytes=100), disk("disk-2001", bytes_transferred=30, total_bytes=300)
    )
    assert progress(both) == (20.0, 80, 400)


def test_a_disk_never_seen_counts_nothing_of_its_capacity() -> None:
    facts = job(disks=TWO_DISKS)
    assert progress(heard(facts, disk(bytes_transferred=1000, total_bytes=1000))) == (50.0, 1000, 2000)


@pytest.mark.parametrize("done", [500, 1000])
def test_a_disk_never_seen_whose_size_nobody_knows_counts_nothing_all_the_same(done: int) -> None:
    """Else a job whose first disk is done would look nearly done, and be completed when the VMA forgets it."""
    facts = job(disks=(Disk("disk-2000", "a", 1000), Disk("disk-2001", "b", 0)))
    assert progress(heard(facts, disk(bytes_transferred=done, total_bytes=1000))) == (done / 20, done, 1000)


def test_a_proven_disk_without_bytes_does_not_hold_the_others_down() -> None:
    facts = job(disks=(Disk("disk-2000", "a", 0), Disk("disk-2001", "b", 1000)))
    proven = disk(verdict=Verdict.COMPLETED, proven=True, bytes_transferred=0, total_bytes=0)
    assert progress(heard(facts, proven, disk("disk-2001", bytes_transferred=400))) == (40.0, 400, 1000)


def test_a_proven_disk_counts_all_of_its_total() -> None:
    facts = job(disks=TWO_DISKS, memory=Memory().prove("disk-2000"))
    assert progress(heard(facts, disk("disk-2001", bytes_transferred=500, total_bytes=1000))) == (75.0, 1500, 2000)


def test_what_the_vma_says_of_a_size_goes_before_the_capacity() -> None:
    assert progress(heard(job(), disk(bytes_transferred=100, total_bytes=200))) == (50.0, 100, 200)


def test_the_other_disks_count_as_they_were_last_seen() -> None:
    memory = Memory(disks=(DiskMemory("disk-2000", bytes_transferred=600, total_bytes=1000),))
    facts = job(disks=TWO_DISKS, memory=memory)
    assert progress(heard(facts, disk("disk-2001", bytes_transferred=200))) == (40.0, 800, 2000)


@pytest.mark.parametrize("disks", [(), TWO_DISKS[:1]])
def test_an_answer_of_a_percentage_alone_leaves_the_bytes_as_they_were(disks: tuple[Disk, ...]) -> None:
    facts = replace(job(disks=disks), percent=30.0, bytes_transferred=300, total_bytes=1000)
    assert progress(absorb(facts, told(percent=None))) == (30.0, 300, 1000)
    assert progress(absorb(facts, replace(told(), percent=42.0))) == (42.0, 300, 1000)


def test_progress_may_fall_when_the_vma_says_so() -> None:
    story = Story(job())
    story.hear("running", percent=80.0)
    assert story.wait(5).hear("running", percent=30.0).after.percent == 30.0


def test_a_new_disk_lets_it_fall() -> None:
    one = heard(job(), disk(bytes_transferred=900, total_bytes=1000))
    two = heard(replace(one, disks=TWO_DISKS), disk(bytes_transferred=900))
    assert (one.percent, two.percent) == (90.0, 45.0)


@pytest.mark.parametrize("verdict", ["not_found", "unreachable", "unintelligible"])
def test_an_answer_that_does_not_know_the_job_never_changes_progress(verdict: str) -> None:
    facts = job(percent=42.0)
    garbage = answer(verdict, percent=0.0)
    assert progress(absorb(facts, garbage)) == (42.0, 420, 1000)
    assert progress(absorb(replace(facts, disks=()), garbage)) == (42.0, 420, 1000)


@pytest.mark.parametrize("disks", [(), TWO_DISKS, TWO_DISKS[:1]], ids=["none known", "two", "one"])
@pytest.mark.parametrize("verdict", ["running", "unsettled", "failed"])
def test_an_answer_that_lacks_progress_leaves_it_alone(verdict: str, disks: tuple[Disk, ...]) -> None:
    """A job of an old OMA has progress in its row and nothing in our memory yet."""
    facts = job(disks=disks, percent=42.0)
    assert progress(absorb(facts, told(verdict))) == (42.0, 420, 1000)
    assert progress(absorb(facts, told(verdict, disks=(disk(),), total_bytes=1000))) == (42.0, 420, 1000)


def test_without_known_disks_the_answer_speaks_for_the_whole() -> None:
    facts = job(disks=())
    assert progress(absorb(facts, told(bytes_transferred=300, total_bytes=600))) == (50.0, 300, 600)
    assert progress(absorb(facts, told(bytes_transferred=300))) == (30.0, 300, 1000)
    assert progress(absorb(facts, told(bytes_transferred=0))) == (0.0, 0, 1000)


def test_a_percentage_helps_where_there_are_no_bytes() -> None:
    assert absorb(job(disks=(), total_bytes=0), told(percent=None, bytes_transferred=5)).percent == 0.0
    assert absorb(job(disks=()), Evidence(Verdict.RUNNING, NOW, "run-1", 9.0, percent=37.0)).percent == 37.0
    assert absorb(job(), Evidence(Verdict.RUNNING, NOW, "run-1", 9.0, percent=37.0)).percent == 37.0


def test_a_percentage_does_not_speak_for_several_disks() -> None:
    facts = job(disks=TWO_DISKS, percent=42.0)
    assert absorb(facts, Evidence(Verdict.UNSETTLED, NOW, "run-1", 9.0, percent=100.0)).percent == 42.0
    unsized = job(disks=(Disk("disk-2000", "a"), Disk("disk-2001", "b")), percent=42.0)
    for one in ((), (disk(bytes_transferred=0),)):
        told_100 = Evidence(Verdict.UNSETTLED, NOW, "run-1", 9.0, percent=100.0, disks=one)
        assert absorb(unsized, told_100).percent == 42.0


def test_proof_alone_is_progress() -> None:
    assert progress(heard(job(disks=TWO_DISKS), disk(verdict=Verdict.COMPLETED, proven=True))) == (50.0, 1000, 2000)


def test_an_incremental_run_without_changes_is_at_the_percentage_that_it_says() -> None:
    nothing = disk(verdict=Verdict.COMPLETED, bytes_transferred=0, total_bytes=0)
    facts = job(disks=(Disk("disk-2000", "a", 0),), total_bytes=0)
    assert heard(facts, nothing, percent=None, bytes_transferred=0).percent == 0.0
    assert (
        absorb(facts, Evidence(Verdict.UNSETTLED, NOW, "run-1", 9.0, percent=100.0, disks=(nothing,))).percent == 100.0
    )


@pytest.mark.parametrize(("said", "kept"), [(250.0, 100.0), (-1.0, 0.0), (float("inf"), 100.0), (float("nan"), 42.0)])
@pytest.mark.parametrize("disks", [(), TWO_DISKS[:1]], ids=["none known", "one"])
def test_a_percentage_is_clamped_and_nonsense_ignored(said: float, kept: float, disks: tuple[Disk, ...]) -> None:
    facts = job(disks=disks, percent=42.0)
    assert absorb(facts, Evidence(Verdict.RUNNING, NOW, "run-1", 9.0, percent=said)).percent == kept


@pytest.mark.parametrize(("said", "kept"), [(-5, (0.0, 0)), (5000, (100.0, 1000))])
@pytest.mark.parametrize("disks", [(), TWO_DISKS[:1]], ids=["none known", "one"])
def test_bytes_are_clamped(said: int, kept: tuple[float, int], disks: tuple[Disk, ...]) -> None:
    one = (disk(bytes_transferred=said, total_bytes=1000),) if disks else ()
    after = absorb(job(disks=disks, percent=42.0), told(bytes_transferred=said, total_bytes=1000, disks=one))
    assert progress(after)[:2] == kept


def test_exactly_nine_tenths_are_exactly_90_percent() -> None:
    size = 3 * (1 << 40)
    facts = job(disks=(Disk("disk-2000", "a", size * 10),))
    assert heard(facts, disk(bytes_transferred=size * 9)).percent == 90.0


@pytest.mark.parametrize(("verdict", "is_sign"), [(v, v.knows_the_job) for v in Verdict])
def test_only_an_answer_that_knows_the_job_is_a_sign_of_life(verdict: Verdict, is_sign: bool) -> None:
    facts = job(heard="10m")
    after = absorb(facts, told(verdict))
    assert after.heard_at == (NOW if is_sign else facts.heard_at)
    assert (after.version, after.state, after.entered_at) == (facts.version, facts.state, facts.entered_at)
    assert max(after.signs_of_life) == after.heard_at
