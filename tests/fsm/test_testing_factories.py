"""The jobs and answers of fsm.testing are such as there can be."""

from datetime import timedelta

import pytest

from fsm.facts import Disk
from fsm.machine import decide
from fsm.states import Event
from fsm.testing import NOW, Observer, make_evidence, make_job


def test_a_job_is_not_heard_of_before_it_was_created() -> None:
    job = make_job("failed", age="10m", heard="2h")
    assert (NOW - job.entered_at, NOW - job.created_at) == (timedelta(minutes=10), timedelta(hours=2))
    assert make_job(age="3h", heard="2h").created_at == NOW - timedelta(hours=3)


@pytest.mark.parametrize(("state", "percent"), [("completed", 100.0), ("failed", 0.0), ("replicating", 0.0)])
def test_a_job_that_has_completed_is_copied_unless_told_otherwise(state: str, percent: float) -> None:
    job = make_job(state)
    assert (job.percent, job.bytes_transferred) == (percent, round(job.total_bytes * percent / 100))
    assert make_job(state, percent=93).percent == 93


def test_only_a_job_that_has_ended_has_an_ending() -> None:
    with pytest.raises(ValueError, match="a job that is replicating has no ending"):
        make_job("replicating", ending="inferred")


def test_a_disk_that_was_seen_short_of_its_total_does_not_settle_by_the_words_of_its_key(observer: Observer) -> None:
    job = observer.hear(make_job(), "running", percent=95)[-1].after
    decisions = observer.hear(job, "unsettled", times=4, every="5m", own_key_completed=True)
    assert [d.edge for d in decisions] == ["settling", "settling", "settling", "cannot_settle"]
    full = observer.hear(decisions[-1].after, "unsettled", times=4, every="5m", percent=100)
    assert [d.edge for d in full] == ["settling", "settling", "settling", "settled"]


def test_a_completed_answer_proves_every_disk() -> None:
    job = make_job(disks=(Disk("disk-2000", "v-1", 1000), Disk("disk-2001", "v-2", 3000)))
    after = decide(job, Event.VMA_COMPLETED, make_evidence("completed", percent=100, job=job), NOW).after
    assert [d.proven for d in after.memory.disks] == [True, True]
