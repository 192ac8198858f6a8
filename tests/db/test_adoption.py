"""An OMA's database is taken over: what is missing is added, nothing else changes, and it can be undone."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from oma_world import (
    CREATED,
    ENDED_AT,
    LONG,
    NOW,
    ODD,
    STARTED,
    STATUSES,
    ZONE,
    job,
    local,
    make_oma,
    only,
    seen,
    sql,
)
from rows import column_names, oma_columns, oma_rows, tables
from sqlalchemy import Engine, select

import db.adoption
from api.facade import OmaFsm
from api.settings import Settings
from db import past, views
from db.adopted import UnknownZoneError, zone_named
from db.engine import make_engine, read
from db.errors import UnknownStatesError
from db.foreign import FOREIGN
from db.models import METADATA
from db.store import Store
from db.tables import ADOPTION, HISTORY, JOBS
from fsm.facts import Asked
from fsm.policy import DEFAULT_POLICY
from fsm.states import Asker, Event
from migrations import runner
from migrations.adopt import adopt, plan
from migrations.errors import NotAdoptedError, NotForAdoptionError

BASELINE, *_ = runner.revisions()
MARIADB_COLLATIONS = ("utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "utf8mb4_uca1400_ai_ci")


@pytest.fixture
def oma(engine: Engine) -> Engine:
    """An OMA's database that nobody has looked at yet."""
    make_oma(engine)
    return engine


@pytest.fixture
def store(oma: Engine) -> Store:
    """The same, adopted."""
    adopt(oma, ZONE, NOW)
    return Store(oma, DEFAULT_POLICY)


def statuses(engine: Engine) -> dict[str, str | None]:
    return dict(seen(engine, "SELECT id, status FROM replication_jobs"))


def everything(engine: Engine) -> dict[str, Any]:
    names = sorted(tables(engine))
    return {name: (column_names(engine, name), seen(engine, f"SELECT * FROM {name}")) for name in names}  # noqa: S608


def births(engine: Engine) -> dict[str, Any]:
    with read(engine) as connection:
        found = connection.execute(select(HISTORY).order_by(HISTORY.c.id)).all()
    assert len({row.job_id for row in found}) == len(found), "one row each"
    return {row.job_id: row for row in found}


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


# --- looking first ---------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_counts_everything(oma: Engine) -> None:
    before = everything(oma)
    found = plan(oma, ZONE, NOW).found
    assert everything(oma) == before
    assert {s: found.statuses[s] for s in STATUSES if s not in ("completed", "failed", "replicating")} == {
        s: 1 for s in STATUSES if s not in ("completed", "failed", "replicating")
    }
    assert (found.statuses["paused"], found.statuses[None]) == (1, 1)
    assert found.obstacles == []
    ids = {oddity.what: oddity.ids for oddity in found.oddities}
    assert ids["jobs in a status that nobody here has heard of"] == ["job-paused", "job-void"]
    assert ids["VM contexts that point at an ended job"] == ["completed"]
    assert set(ids["unfinished jobs without disks"]) == {"job-bare", "job-older"}
    assert set(ids["unfinished jobs beside another of the same VM"]) == {"job-newer", "job-older"}
    assert set(ids["ended jobs without completed_at"]) == {"job-open-end", "job-timeless"}
    assert "job-timeless" in ids["jobs without a time of creation"]


def test_a_dry_run_says_how_the_newest_time_reads(oma: Engine) -> None:
    newest = plan(oma, ZONE, NOW).found.clock.newest
    assert newest is not None
    assert newest[1] == ENDED_AT


@only("sqlite", "mariadb")  # PostgreSQL keeps the zone with the time
def test_a_zone_in_which_the_newest_time_is_still_to_come_is_refused(engine: Engine) -> None:
    make_oma(engine)
    with pytest.raises(NotForAdoptionError, match=r"01:00:00Z in America/New_York.*still to come"):
        adopt(engine, ZoneInfo("America/New_York"), NOW - timedelta(minutes=30))


@only("sqlite", "mariadb")  # PostgreSQL keeps the zone with the time
def test_hours_that_the_clock_has_twice_or_never_are_counted(engine: Engine) -> None:
    make_oma(engine)
    job(engine, "autumn", "failed", created_at=datetime(2026, 10, 25, 2, 30))  # noqa: DTZ001 - as the OMA writes it
    job(engine, "spring", "failed", created_at=datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001
    clock = plan(engine, ZONE, NOW).found.clock
    assert (clock.twice, clock.never) == (1, 1)
    adopt(engine, ZONE, NOW)
    assert Store(engine, DEFAULT_POLICY).facts("job-autumn").created_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


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


# --- what VM contexts point at -------------------------------------------------------------------------


def test_a_pointer_at_an_ended_job_is_the_omas_own_and_is_cleared_only_on_demand(oma: Engine) -> None:
    pointer = "SELECT current_job_id FROM vm_replication_contexts WHERE context_id = 'completed'"
    adopt(oma, ZONE, NOW)
    assert seen(oma, pointer) == [("job-completed",)]
    assert adopt(oma, ZONE, NOW, freeing=True).freed == 1
    assert seen(oma, pointer) == [(None,)]


@only("postgresql", "mariadb")  # the SQLite tables have the key already
def test_a_pointer_at_a_job_that_is_not_there_is_refused_before_anything_is_written(engine: Engine) -> None:
    make_oma(engine)
    sql(engine, "UPDATE vm_replication_contexts SET last_successful_job_id = 'job-gone' WHERE context_id = 'failed'")
    before = everything(engine)
    with pytest.raises(
        NotForAdoptionError, match=r"last_successful_job_id of 1 VM contexts .*\(failed\).*--free-contexts"
    ):
        adopt(engine, ZONE, NOW)
    assert everything(engine) == before
    assert plan(engine, ZONE, NOW).found.obstacles
    assert adopt(engine, ZONE, NOW, freeing=True).freed == 2


# --- collations and keys -----------------------------------------------------------------------------


@pytest.mark.parametrize("collation", MARIADB_COLLATIONS)
@only("mariadb")
def test_our_keys_join_tables_of_any_collation(engine: Engine, collation: str) -> None:
    make_oma(engine, collation)
    adopt(engine, ZONE, NOW)
    assert Store(engine, DEFAULT_POLICY).heed_oma(NOW).unknown == [("job-paused", "paused"), ("job-void", None)]
    sql(engine, "DELETE FROM replication_jobs WHERE id = 'job-replicating'")
    assert "job-replicating" not in births(engine)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE vm_replication_contexts MODIFY current_job_id varchar(191) COLLATE utf8mb4_bin",
         r"current_job_id is in utf8mb4_bin and replication_jobs.id in utf8mb4_general_ci.*MODIFY current_job_id"),
        ("ALTER TABLE replication_jobs DROP COLUMN vma_error_details",
         "table replication_jobs lacks vma_error_details: not as an OMA makes it"),
    ],
)  # fmt: skip
@only("mariadb")
def test_what_is_in_the_way_is_said_before_anything_is_written(engine: Engine, change: str, told: str) -> None:
    make_oma(engine)
    sql(engine, change)
    before = everything(engine)
    with pytest.raises(NotForAdoptionError, match=told):
        adopt(engine, ZONE, NOW)
    assert everything(engine) == before


# --- what is not adopted -----------------------------------------------------------------------------


def test_a_database_of_our_own_and_an_empty_one_are_not_adopted(engine: Engine) -> None:
    with pytest.raises(NotForAdoptionError, match=r"no table vm_replication_contexts, .*check the URL"):
        adopt(engine, ZONE, NOW)
    assert tables(engine) == set()
    runner.upgrade(engine)
    with pytest.raises(NotForAdoptionError, match="made by oma-fsm itself"):
        adopt(engine, ZONE, NOW)


def test_a_service_does_not_start_on_an_omas_database_that_nobody_adopted(oma: Engine) -> None:
    before = everything(oma)
    service = OmaFsm(Settings(database_url=oma.url.render_as_string(hide_password=False)))
    with pytest.raises(NotAdoptedError, match=r"oma-fsm db adopt URL --zone ZONE --dry-run"):
        service.prepare()
    service.close()
    assert everything(oma) == before


def test_a_service_starts_on_an_adopted_database_and_knows_its_zone(store: Store) -> None:
    service = OmaFsm(Settings(database_url=store.engine.url.render_as_string(hide_password=False)))
    sql(store.engine, "UPDATE replication_jobs SET status = 'snapshotting' WHERE id = 'job-replicating'")
    service.prepare()
    assert service.store.facts("job-replicating").created_at == CREATED
    service.close()


def test_a_state_of_another_release_of_ours_is_still_refused_on_an_adopted_database(store: Store) -> None:
    store.require_known_states()
    sql(store.engine, "UPDATE job_history SET to_state = 'verifying' WHERE job_id = 'job-replicating'")
    sql(store.engine, "UPDATE replication_jobs SET status = 'verifying' WHERE id = 'job-replicating'")
    with pytest.raises(UnknownStatesError) as refused:
        store.require_known_states()
    assert refused.value.jobs == [("job-replicating", "verifying")]


@pytest.mark.parametrize("name", ["Europe/Berlln", "", "../../etc/passwd", "Europe"])
def test_a_zone_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UnknownZoneError, match="no time zone"):
        zone_named(name)
