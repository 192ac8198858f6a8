"""How a program that embeds oma-fsm may test what it makes of the machine's decisions."""

import pytest

from fsm.decision import Decision
from fsm.facts import Asked, Disk
from fsm.machine import decide
from fsm.states import Asker, Event
from fsm.testing import (
    Case,
    FrozenClock,
    Observer,
    assert_moved,
    assert_refused,
    make_evidence,
    make_job,
    transition_cases,
)


def mail(decision: Decision) -> str | None:
    """The program's own code: whom it tells what."""
    ending = decision.after.ending
    if not decision.moved or ending is None:
        return None
    doubt = " (not certain)" if ending == "inferred" else ""
    return f"{decision.after.job_id} has {decision.after.state}{doubt}: {decision.reason or 'all is well'}"


def test_an_outage_ends_a_job_after_half_an_hour_and_not_before(frozen_clock: FrozenClock, observer: Observer) -> None:
    job = make_job("replicating", heard="0s", now=frozen_clock.now)
    *patient, last = observer.hear(job, "unreachable", times=61, every="30s")
    assert not any(decision.moved for decision in patient)
    assert_moved(last, to="failed", ending="inferred")
    assert mail(last) == f"{job.job_id} has failed (not certain): VMA unreachable after restart"


def test_a_copy_that_comes_back_revives_its_job(frozen_clock: FrozenClock, observer: Observer) -> None:
    job = make_job("failed", ending="inferred", age="10m", now=frozen_clock.now)
    frozen_clock.advance("1h")
    (decision,) = observer.hear(job, "running", percent=60)
    assert_moved(decision, to="replicating")
    assert mail(decision) is None


def test_a_disk_without_volume_holds_up_its_job(frozen_clock: FrozenClock) -> None:
    job = make_job("attaching", disks=(Disk("disk-2000"), Disk("disk-2001", "volume-1")))
    decision = decide(job, Event.CONFIGURE, None, frozen_clock.now, asked=Asked(Asker.WORKFLOW))
    assert_refused(decision, because="volumes_recorded")


def test_a_confirmed_end_is_told_without_doubt() -> None:
    job = make_job("replicating", percent=99)
    decision = decide(job, Event.VMA_COMPLETED, make_evidence("completed", percent=100, job=job), job.created_at)
    assert mail(decision) == f"{job.job_id} has completed: all is well"


@pytest.mark.parametrize("case", transition_cases(), ids=str)
def test_a_mail_is_sent_exactly_when_a_job_ends(case: Case) -> None:
    told = mail(case.decide())
    assert (told is not None) == (case.outcome == "moved" and case.target in ("completed", "failed"))
