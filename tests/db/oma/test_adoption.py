"""An OMA's database is taken over: what is missing is added, nothing else changes, and it can be undone."""

from collections import Counter
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest
from oma_world import (
    CREATED,
    ENDED_AT,
    LONG,
    NOW,
    ODD,
    STARTED,
    ZONE,
    births,
    local,
    seen,
    statuses,
)
from rows import oma_columns, oma_rows, tables
from sqlalchemy import Engine, select

import db.adoption
from api.facade import OmaFsm
from api.settings import Settings
from db import past, views
from db.engine import make_engine, read
from db.foreign import FOREIGN
from db.models import METADATA
from db.store import Store
from db.tables import ADOPTION, JOBS
from fsm.facts import Asked
from fsm.states import Asker, Event
from migrations import runner
from migrations.adopt import adopt
from migrations.errors import NotAdoptedError, NotForAdoptionError

BASELINE, *_ = runner.revisions()


# --- what it does ----------------------------------------------------------------------------------


def test_adoption_changes_nothing_of_the_omas_but_the_statuses_that_are_none_of_ours(oma: Engine) -> None:
    columns = oma_columns(oma)
    before = oma_rows(oma, columns)
    adopt(oma, ZONE, NOW)
    after = oma_rows(oma, columns)
    for row in before["replication_jobs"]:
        if row["status"] in FOREIGN:
            if row["status"] in ("cancelled", "replication_failed"):
                row["error_message"] = row["status"]
            row["status"] = FOREIGN[row["status"]].value
    assert after == before
    assert runner.current(oma) == runner.head()
    assert tables(oma) == set(METADATA.tables)


def test_every_job_of_a_known_status_has_one_row_of_history_from_birth_on(store: Store) -> None:
    rows, now = births(store.engine), statuses(store.engine)
    assert set(now) - set(rows) == {"job-paused", "job-void"}
    for job_id, row in rows.items():
        assert (row.seq, row.to_state, row.event) == (store.facts(job_id).version, now[job_id], "adopt")
    assert {s: rows[f"job-{s}"].from_state for s in FOREIGN} == {s: s for s in FOREIGN}
    assert rows["job-replicating"].from_state is None
    assert rows["job-pending"].reason == "found as 'pending' in the OMA's table"
    assert (rows["job-pending"].asked_by, rows["job-pending"].actor) == ("workflow", "oma")


def test_odd_jobs_are_taken_over_too_and_only_unknown_statuses_are_left_alone(store: Store) -> None:
    rows, now = births(store.engine), statuses(store.engine)
    assert {j: now[j] if j in rows else None for j in ODD} == ODD
    assert (now["job-paused"], now["job-void"]) == ("paused", None)


def test_an_end_in_the_omas_table_is_confirmed_and_keeps_its_reason(store: Store) -> None:
    ends = {s: store.facts(f"job-{s}") for s in ("completed", "failed", "replication_failed", "cancelled")}
    assert {(f.ending, f.watched) for f in ends.values()} == {("confirmed", False)}
    told = dict(seen(store.engine, "SELECT id, error_message FROM replication_jobs"))
    assert (told["job-cancelled"], told["job-failed"], told["job-long"]) == ("cancelled", None, LONG)
    assert store.facts("job-replicating").ending is None


def test_local_times_are_read_in_the_zone_and_written_back_in_it(store: Store) -> None:
    facts = store.facts("job-replicating")
    assert (facts.created_at, facts.entered_at) == (CREATED, STARTED)
    assert store.facts("job-completed").entered_at == ENDED_AT
    assert store.facts("job-open-end").entered_at == ENDED_AT, "by its last update"
    late = NOW + timedelta(minutes=5)
    store.fire("job-replicating", Event.FAIL, late, asked=Asked(Asker.OPERATOR, "anna", "no copy"))
    raw = make_engine(store.engine.url.render_as_string(hide_password=False))  # knows of no zone
    with read(raw) as connection:
        written = connection.execute(select(JOBS).where(JOBS.c.id == "job-replicating")).one()
    raw.dispose()
    assert written.completed_at == local(store.engine, late).replace(tzinfo=UTC)
    assert written.entered_at == late, "our own columns stay UTC"


def test_jobs_without_a_time_are_dated_by_what_there_is(store: Store, kind: str) -> None:
    assert store.facts("job-timeless").created_at == NOW
    if kind == "mariadb":
        assert store.facts("job-zero").created_at == STARTED


def test_a_disk_that_was_given_to_the_newer_job_stays_there(store: Store) -> None:
    assert store.facts("job-older").disks == ()
    assert store.facts("job-older").vm_taken
    assert [d.disk_id for d in store.facts("job-newer").disks] == ["disk-2000"]
    assert not store.facts("job-newer").vm_taken


def test_what_must_be_polled_after_adoption_is_every_unfinished_job(store: Store) -> None:
    unfinished = {"initializing", "attaching", "configuring", "ready_for_sync", "replicating"}
    assert {j.job_id for j in store.polled_jobs()} == {j for j, s in statuses(store.engine).items() if s in unfinished}


def test_views_and_replay_cope_with_rows_that_no_rule_decided(store: Store) -> None:
    store.fire("job-ready_for_sync", Event.START, NOW, asked=Asked())
    with read(store.engine) as connection:
        assert [m.edge for m in past.moves(connection)] == ["start"]
        assert list(past.silences(connection)) == []
        assert [row["edge"] for row in views.history(connection, "job-ready_for_sync")] == ["adopt", "start"]
        assert views.inference_counts(connection) == (0, 0)


def test_the_adoption_is_written_down(store: Store) -> None:
    with read(store.engine) as connection:
        row = connection.execute(select(ADOPTION)).one()
    assert (row.zone, row.adopted_at, row.finished_at) == ("Europe/Berlin", NOW, NOW)
    assert {s: row.counts[s] for s in FOREIGN} == dict.fromkeys(FOREIGN, 1)


# --- again, and half-way -----------------------------------------------------------------------------


class KilledError(Exception):
    """A kill, as far as a test can."""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches for a few jobs."""
    monkeypatch.setattr(db.adoption, "BATCH", 5)


@pytest.mark.usefixtures("small_batches")
def test_an_adoption_that_was_killed_half_way_goes_on_where_it_was(oma: Engine) -> None:
    def kill(done: int, _total: int) -> None:
        if done >= 10:
            raise KilledError

    with pytest.raises(KilledError):
        adopt(oma, ZONE, NOW, progress=kill)
    half = births(oma)
    assert len(half) in range(8, 11)
    service = OmaFsm(Settings(database_url=oma.url.render_as_string(hide_password=False)))
    with pytest.raises(NotAdoptedError, match="begun to be adopted, and that was not finished"):
        service.prepare()
    service.close()

    report = adopt(oma, ZONE, NOW + timedelta(minutes=1))
    assert set(births(oma)) == set(statuses(oma)) - {"job-paused", "job-void"}
    assert report.given.total() == len(births(oma)) - len(half)
    assert {births(oma)[j].at for j in half} == {NOW}


def test_a_second_adoption_changes_nothing(store: Store) -> None:
    before = [births(store.engine), oma_rows(store.engine, oma_columns(store.engine))]
    report = adopt(store.engine, ZONE, NOW + timedelta(hours=1))
    assert report.given == Counter()
    assert sorted(report.left) == ["job-paused", "job-void"]
    assert [births(store.engine), oma_rows(store.engine, oma_columns(store.engine))] == before


def test_another_zone_than_that_of_the_first_time_is_refused(store: Store) -> None:
    with pytest.raises(NotForAdoptionError, match=r"adopted with zone Europe/Berlin on 2026-11-24, not UTC"):
        adopt(store.engine, ZoneInfo("UTC"), NOW)


# --- back --------------------------------------------------------------------------------------------


def test_the_downgrade_takes_everything_of_ours_away_and_gives_the_statuses_back(oma: Engine) -> None:
    columns = oma_columns(oma)
    before = oma_rows(oma, columns)
    adopt(oma, ZONE, NOW)
    runner.downgrade(oma, BASELINE)
    assert oma_columns(oma) == columns
    assert oma_rows(oma, columns) == before

    adopt(oma, ZONE, NOW)
    assert statuses(oma)["job-pending"] == "initializing", "and it can be adopted once more"


def test_the_downgrade_leaves_a_job_that_has_moved_since_where_it_is(store: Store) -> None:
    anna = Asked(Asker.OPERATOR, "anna", "looked at it")
    store.fire("job-pending", Event.FAIL, NOW, asked=anna)
    for event in (Event.FAIL, Event.REOPEN):
        store.fire("job-finalizing", event, NOW, asked=anna)
    runner.downgrade(store.engine, BASELINE)
    left = statuses(store.engine)
    assert (left["job-pending"], left["job-analyzing"], left["job-cancelled"]) == ("failed", "analyzing", "cancelled")
    assert left["job-finalizing"] == "replicating", "there and back again is a move too"
