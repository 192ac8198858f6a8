"""What is looked at before an OMA's database is taken over, and what stops it before anything is written."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from oma_world import (
    CREATED,
    ENDED_AT,
    NOW,
    STATUSES,
    ZONE,
    births,
    everything,
    job,
    make_oma,
    only,
    seen,
    sql,
)
from rows import tables
from sqlalchemy import Engine
from unguarded import unguarded

from api.facade import OmaFsm
from api.settings import Settings
from db.adopted import UnknownZoneError, zone_named
from db.errors import UnknownStatesError
from db.store import Store
from fsm.policy import DEFAULT_POLICY
from migrations import runner
from migrations.adopt import adopt, plan
from migrations.errors import NotAdoptedError, NotForAdoptionError

MARIADB_COLLATIONS = ("utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "utf8mb4_uca1400_ai_ci")


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
    with unguarded(store.engine):
        sql(store.engine, "UPDATE job_history SET to_state = 'verifying' WHERE job_id = 'job-replicating'")
        sql(store.engine, "UPDATE replication_jobs SET status = 'verifying' WHERE id = 'job-replicating'")
    with pytest.raises(UnknownStatesError) as refused:
        store.require_known_states()
    assert refused.value.jobs == [("job-replicating", "verifying")]


@pytest.mark.parametrize("name", ["Europe/Berlln", "", "../../etc/passwd", "Europe"])
def test_a_zone_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UnknownZoneError, match="no time zone"):
        zone_named(name)
