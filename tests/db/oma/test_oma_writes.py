"""An OMA goes on writing to its database after adoption: its statements work, and what they did becomes history."""

from datetime import timedelta
from typing import Any

import pytest
from oma_world import CREATED, ENDED_AT, NOW, job, local, seen, sql
from sqlalchemy import RowMapping
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from unguarded import unguarded

from db import views
from db.adopted import learn
from db.engine import read
from db.jobs import NewDisk, NewJob
from db.store import Answer, Store
from fsm.evidence import Evidence
from fsm.facts import Asked
from fsm.states import Asker, Event, Verdict

LATER = NOW + timedelta(minutes=1)
SET_UP = (
    "UPDATE replication_jobs SET status = :status, setup_progress_percent = :percent, updated_at = :at WHERE id = :id"
)
FAILS = "UPDATE replication_jobs SET status = :status, error_message = :why, completed_at = :at WHERE id = :id"


def oma_writes(store: Store, job_id: str, status: str, why: str | None = None) -> None:
    """The OMA's own UPDATE of a status."""
    at = local(store.engine, LATER)
    if why is None:
        assert sql(store.engine, SET_UP, status=status, percent=40.0, at=at, id=job_id) == 1
    else:
        assert sql(store.engine, FAILS, status=status, why=why, at=at, id=job_id) == 1


def history(store: Store, job_id: str) -> list[RowMapping]:
    """The moves of a job since its adoption."""
    with read(store.engine) as connection:
        return list(views.history(connection, job_id))[1:]


def edges(store: Store, job_id: str) -> list[str]:
    return [row["edge"] for row in history(store, job_id)]


def status(store: Store, job_id: str) -> str:
    return str(seen(store.engine, "SELECT status FROM replication_jobs WHERE id = :id", id=job_id)[0][0])


def require_folded(store: Store) -> None:
    """Every job that has history stands where it ends."""
    odd = seen(
        store.engine,
        "SELECT j.id FROM replication_jobs j JOIN job_history h ON h.job_id = j.id AND h.seq = j.version"
        " WHERE h.to_state <> j.status",
    )
    last = seen(
        store.engine,
        "SELECT j.id FROM replication_jobs j JOIN (SELECT job_id, MAX(seq) AS top, COUNT(*) AS many FROM job_history"
        " GROUP BY job_id) h ON h.job_id = j.id WHERE h.top <> j.version OR h.many <> j.version",
    )
    assert (odd, last) == ([], [])


# --- the statements themselves -----------------------------------------------------------------------


def test_the_omas_own_statements_work_on_an_adopted_database(store: Store) -> None:
    engine = store.engine
    job(engine, "fresh", "pending")
    for step, percent in (("analyzing", 5), ("provisioning", 20), ("attaching", 40), ("ready_for_sync", 90)):
        at = local(engine, LATER)
        assert sql(engine, SET_UP, status=step, percent=percent, at=at, id="job-fresh") == 1
    progress = (
        "UPDATE replication_jobs SET progress_percent = 12.5, bytes_transferred = 5000000000 WHERE id = 'job-fresh'"
    )
    assert sql(engine, progress) == 1
    assert seen(engine, "SELECT id FROM replication_jobs WHERE status = 'ready_for_sync' ORDER BY id") == [
        ("job-fresh",),
        ("job-ready_for_sync",),
    ]
    store.heed_oma(LATER)
    assert sql(engine, "DELETE FROM replication_jobs WHERE id = 'job-fresh'") == 1
    for table in ("vm_disks", "job_history", "vma_polling_state"):
        assert seen(engine, f"SELECT 1 FROM {table} WHERE job_id = 'job-fresh'") == []  # noqa: S608
    sql(engine, "DELETE FROM ossea_volumes WHERE vm_context_id = 'completed'")
    assert sql(engine, "DELETE FROM vm_replication_contexts WHERE context_id = 'completed'") == 1
    assert seen(engine, "SELECT 1 FROM job_history WHERE job_id = 'job-completed'") == []


# --- jobs that the OMA makes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "becomes"), [("pending", "initializing"), ("attaching", "attaching"), ("snapshotting", "replicating")]
)
def test_a_job_that_the_oma_inserts_gets_its_first_row_and_is_polled(store: Store, written: str, becomes: str) -> None:
    job(store.engine, "fresh", written)
    assert store.heed_oma(LATER).born == {"job-fresh": becomes}
    with read(store.engine) as connection:
        [row] = views.history(connection, "job-fresh")
    assert (row["event"], row["to_state"], row["at"]) == ("adopt", becomes, LATER)
    assert store.facts("job-fresh").created_at == CREATED
    assert "job-fresh" in {j.job_id for j in store.polled_jobs()}
    require_folded(store)


def test_no_second_job_is_made_beside_one_that_the_oma_only_just_inserted(store: Store) -> None:
    job(store.engine, "fresh", "pending")
    new = NewJob("fresh", "vm-fresh", "/dc/vm/fresh", "vc.example", disks=(NewDisk("disk-2000", 1),))
    decision = store.create(new, LATER, asked=Asked(), asked_about={})
    assert not decision.moved
    assert "job-fresh" in decision.says


# --- statuses that the OMA writes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wrote", "after", "taken"),
    [
        ("initializing", "attaching", "attaching", ["attach"]),
        ("initializing", "ready_for_sync", "ready_for_sync", ["attach", "ready"]),
        ("attaching", "configuring", "configuring", ["configure"]),
        ("configuring", "replicating", "replicating", ["ready", "start"]),
        ("pending", "snapshotting", "replicating", ["attach", "ready", "start"]),
        ("initializing", "analyzing", "initializing", []),
        ("replicating", "finalizing", "replicating", []),
        ("replicating", "attaching", "replicating", []),
        ("ready_for_sync", "pending", "ready_for_sync", []),
        ("replicating", "completed", "completed", ["oma_write"]),
        ("attaching", "cancelled", "failed", ["workflow_fails"]),
    ],
)
def test_what_the_oma_writes_becomes_the_events_that_lead_there(
    store: Store, before: str, wrote: str, after: str, taken: list[str]
) -> None:
    job_id = f"job-{before}"
    oma_writes(store, job_id, wrote)
    store.heed_oma(LATER)
    assert (status(store, job_id), edges(store, job_id)) == (after, taken)
    assert {(row["asked_by"], row["actor"]) for row in history(store, job_id)} <= {("workflow", "oma")}
    assert {row["reason"] for row in history(store, job_id)} <= {f"the OMA wrote {wrote!r}"}
    require_folded(store)
    assert store.heed_oma(LATER).applied == [], "once"


def test_a_failure_that_the_oma_writes_keeps_its_reason_and_frees_the_vm(store: Store) -> None:
    sql(store.engine, "UPDATE vm_replication_contexts SET current_job_id = 'job-replicating', current_status ="
        " 'replicating' WHERE context_id = 'replicating'")  # fmt: skip
    oma_writes(store, "job-replicating", "replication_failed", "snapshot went away")
    store.heed_oma(LATER)
    facts, [row] = store.facts("job-replicating"), history(store, "job-replicating")
    assert (facts.state, facts.ending, facts.watched, row["reason"]) == (
        "failed",
        "confirmed",
        False,
        "snapshot went away",
    )
    with read(store.engine) as connection:
        context = views.context_row(connection, "replicating")
        told = views.job_row(connection, "job-replicating")
    assert (context["current_job_id"], context["current_status"]) == (None, "failed")
    assert (told["error_message"], told["completed_at"]) == ("snapshot went away", LATER)


def test_an_end_that_the_oma_writes_is_its_word_and_says_what_the_guards_would_have_said(store: Store) -> None:
    oma_writes(store, "job-replicating", "completed")
    store.heed_oma(LATER)
    facts, [row] = store.facts("job-replicating"), history(store, "job-replicating")
    assert (facts.ending, facts.percent) == ("confirmed", 100.0)
    assert row["event"] == "oma_write"
    assert [v["name"] for v in row["verdicts"] if not v["passed"]] == ["by_operator"]
    with read(store.engine) as connection:
        assert views.context_row(connection, "replicating")["current_status"] == "ready_for_failover"


def test_a_step_that_a_guard_refuses_is_recorded_as_the_omas_own(store: Store) -> None:
    sql(store.engine, "UPDATE vm_disks SET ossea_volume_id = NULL WHERE job_id = 'job-attaching'")
    oma_writes(store, "job-attaching", "replicating")
    store.heed_oma(LATER)
    [row] = history(store, "job-attaching")
    assert (row["edge"], row["from_state"], row["to_state"]) == ("oma_write", "attaching", "replicating")
    assert [v["name"] for v in row["verdicts"] if not v["passed"]] == ["volumes_recorded"]
    require_folded(store)


@pytest.mark.parametrize(
    ("before", "wrote"),
    [("completed", "replicating"), ("failed", "pending"), ("cancelled", "attaching"), ("completed", "failed")],
)
def test_a_write_over_a_confirmed_end_is_refused_by_the_database(store: Store, before: str, wrote: str) -> None:
    job_id, stood = f"job-{before}", status(store, f"job-{before}")
    with pytest.raises(DBAPIError, match="oma-fsm: "):
        oma_writes(store, job_id, wrote)
    assert (status(store, job_id), store.heed_oma(LATER).put_right) == (stood, [])


@pytest.mark.parametrize(
    ("before", "wrote"), [("completed", "replicating"), ("failed", "pending"), ("cancelled", "attaching")]
)
def test_what_was_written_over_a_confirmed_end_while_the_guards_were_down_is_put_back_aloud(
    store: Store, before: str, wrote: str
) -> None:
    job_id, stood = f"job-{before}", status(store, f"job-{before}")
    with unguarded(store.engine):
        oma_writes(store, job_id, wrote)
    with capture_logs() as logs:
        heeded = store.heed_oma(LATER)
    assert (status(store, job_id), edges(store, job_id), heeded.put_right) == (stood, [], [job_id])
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert (line["job_id"], line["wrote"], line["state"]) == (job_id, wrote, stood)


def infer_failure(store: Store, job_id: str) -> None:
    """The VMA does not know a job of the set-up for long after its grace."""
    for n in range(3):
        at = NOW + timedelta(minutes=10, seconds=40 * n)
        told = Evidence(Verdict.NOT_FOUND, at, "run-1", 5000.0 + 40 * n)
        store.answer([Answer(job_id, store.facts(job_id).version, told, Asked(Asker.POLL))], at)
    assert store.facts(job_id).ending == "inferred"


def test_a_set_up_that_was_taken_for_dead_lives_when_the_oma_goes_on_with_it(store: Store) -> None:
    infer_failure(store, "job-initializing")
    oma_writes(store, "job-initializing", "attaching")
    store.heed_oma(NOW + timedelta(minutes=20))
    assert (status(store, "job-initializing"), edges(store, "job-initializing")) == (
        "attaching",
        ["setup_lost", "attach_revives"],
    )
    require_folded(store)


def test_an_inferred_failure_that_the_oma_confirms_is_confirmed(store: Store) -> None:
    infer_failure(store, "job-initializing")
    oma_writes(store, "job-initializing", "cancelled", "cancelled by anna")
    store.heed_oma(NOW + timedelta(minutes=20))
    assert edges(store, "job-initializing") == ["setup_lost", "workflow_confirms_failure"]
    assert store.facts("job-initializing").ending == "confirmed"


# --- between two looks of the monitor ---------------------------------------------------------------------


def test_an_answer_of_the_vma_finds_the_job_where_the_oma_has_put_it(store: Store) -> None:
    asked_for = store.facts("job-ready_for_sync").version
    oma_writes(store, "job-ready_for_sync", "snapshotting")
    running = Evidence(Verdict.RUNNING, LATER, "run-1", 100.0, percent=10.0)
    assert store.answer([Answer("job-ready_for_sync", asked_for, running, Asked(Asker.POLL))], LATER) == []
    assert edges(store, "job-ready_for_sync") == ["start"]
    require_folded(store)


def test_an_event_finds_the_job_where_the_oma_has_put_it(store: Store) -> None:
    oma_writes(store, "job-attaching", "ready_for_sync")
    store.fire("job-attaching", Event.START, LATER, asked=Asked())
    assert edges(store, "job-attaching") == ["ready", "start"]
    require_folded(store)


def test_a_foreign_status_can_be_read_before_anybody_has_looked(store: Store) -> None:
    oma_writes(store, "job-initializing", "provisioning")
    assert store.facts("job-initializing").state == "initializing"


# --- what is left alone ------------------------------------------------------------------------------------


def test_a_status_that_nobody_has_heard_of_is_left_alone_and_named(store: Store) -> None:
    oma_writes(store, "job-replicating", "defragmenting")
    assert ("job-replicating", "defragmenting") in store.heed_oma(LATER).unknown
    assert (status(store, "job-replicating"), edges(store, "job-replicating")) == ("defragmenting", [])
    oma_writes(store, "job-replicating", "finalizing")
    store.heed_oma(LATER)
    assert status(store, "job-replicating") == "replicating", "and is taken up again when it makes sense"


def test_capitals_make_another_status_whatever_the_omas_collation_says(store: Store) -> None:
    oma_writes(store, "job-replicating", "REPLICATING")
    assert ("job-replicating", "REPLICATING") in store.heed_oma(LATER).unknown


def test_one_job_that_cannot_be_taken_over_does_not_hide_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import db.foreign_writes as module  # noqa: PLC0415

    heed = module._heed

    def poisoned(connection: Any, row: Any, *rest: Any) -> None:
        if row.id == "job-attaching":
            raise ValueError("poison")
        heed(connection, row, *rest)

    monkeypatch.setattr(module, "_heed", poisoned)
    for job_id in ("job-attaching", "job-configuring"):
        oma_writes(store, job_id, "ready_for_sync")
    with capture_logs() as logs:
        store.heed_oma(LATER)
    assert (edges(store, "job-attaching"), edges(store, "job-configuring")) == ([], ["ready"])
    assert [line["job_id"] for line in logs if line["log_level"] == "error"] == ["job-attaching"]


def test_a_database_of_our_own_is_not_looked_through(own_store: Store) -> None:
    learn(own_store.engine)
    with unguarded(own_store.engine):
        job(own_store.engine, "fresh", "replicating", created_at=CREATED, updated_at=ENDED_AT, started_at=None)
    assert own_store.heed_oma(LATER).born == {}


# --- a dry run beside it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wrote", "event"),
    [
        ("replicating", "completed", Event.FAIL),
        ("replicating", "attaching", Event.START),
        ("initializing", "ready_for_sync", Event.START),
        ("attaching", "cancelled", Event.START),
        ("replicating", "replicating", Event.FAIL),
    ],
)
def test_a_dry_run_says_what_will_be_decided_of_what_the_oma_only_just_wrote(
    store: Store, before: str, wrote: str, event: Event
) -> None:
    job_id, asked = f"job-{before}", Asked(Asker.OPERATOR, "anna", "looked at it")
    oma_writes(store, job_id, wrote)
    stood = history(store, job_id)
    told = store.dry_run(job_id, event, LATER, asked=asked)
    assert (history(store, job_id), status(store, job_id)) == (stood, wrote), "nothing is written"
    assert store.fire(job_id, event, LATER, asked=asked).decision == told
