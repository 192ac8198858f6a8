"""A database that is away, that comes back, whose disk is full, or that cannot be written at all."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from process_stage import LONG, Stage, stage, until
from servers import empty, kinds
from sqlalchemy import Engine
from tunnel import Tunnel

from cli.demo.service import ServiceError, ServiceProcess
from cli.serve import STOPS_WITHIN
from db.engine import make_engine

pytestmark = pytest.mark.process
CHUNK = 4096  # bytes


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "sqlite"])
def test_a_server_that_restarts_or_is_down_at_our_start_is_waited_for(kind: str, tmp_path: Path) -> None:
    with empty(kind, tmp_path) as url, Tunnel(url) as way, stage(tmp_path, database_url=way.url) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)

        way.cut()
        until("the poller notices", lambda: "cannot be read; polling waits" in play.logged())
        assert _status(play, "/healthz") == 200, "a database that is away is no reason for a restart"
        assert _status(play, "/readyz") == _status(play, f"/api/v1/replications/{job_id}") == 503
        way.open()
        seen = until("the API is back", lambda: _job(play, job_id))["progress_percent"]
        until("polling goes on", lambda: play.workflow.job(job_id)["progress_percent"] > seen, 15.0)

        play.oma.kill()
        way.cut()
        play.oma.start()
        until("it says that it waits", lambda: "Database is still away" in play.logged())
        assert _status(play, "/healthz") == 200
        assert _status(play, "/readyz") == _status(play, f"/api/v1/replications/{job_id}") == 503
        way.open()
        until("the service is ready", lambda: _status(play, "/readyz") == 200)
        assert play.finish(job_id)["ending"] == "confirmed"
        states = [row["to_state"] for row in play.get(f"/replications/{job_id}/history")["items"]]
        assert states[-2:] == ["replicating", "completed"]


def _status(play: Stage, path: str) -> int:
    return httpx.get(play.oma.url + path, trust_env=False, timeout=15).status_code


def _job(play: Stage, job_id: str) -> dict[str, Any] | None:
    with suppress(AssertionError):
        return play.workflow.job(job_id)
    return None


# How a table is locked, and how it is seen that somebody waits for it: in this database, for the server has others.
LOCKED = {
    "postgresql": (
        "LOCK TABLE replication_jobs IN ACCESS EXCLUSIVE MODE",
        "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'replication_jobs'::regclass"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    ),
    "mariadb": (
        "LOCK TABLES replication_jobs WRITE",
        "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table%%' AND db = DATABASE()",
    ),
}


@contextmanager
def _holding(engine: Engine, lock: str) -> Iterator[None]:
    with engine.connect() as somebody:
        somebody.exec_driver_sql(lock)
        try:
            yield
        finally:
            somebody.invalidate()  # its lock goes with the connection


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "sqlite"])
def test_a_database_that_holds_every_statement_does_not_hold_up_our_stop(kind: str, tmp_path: Path) -> None:
    lock, held = LOCKED[kind]
    with empty(kind, tmp_path) as url, stage(tmp_path, database_url=url) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        engine = make_engine(url)
        with _holding(engine, lock), engine.connect() as watcher:
            until("the service waits for the table", lambda: watcher.exec_driver_sql(held).all(), 15.0)
            began = time.monotonic()
            assert play.oma.stop() == 0
            assert time.monotonic() - began < STOPS_WITHIN + 2
        assert "we leave without it" in play.logged()
        play.oma.start()
        assert play.finish(job_id)["ending"] == "confirmed"
        engine.dispose()


# --- the disk -------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk]
    made = subprocess.run(mount, check=False, capture_output=True, text=True)
    if made.returncode:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> Path:
    """Leave no room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * CHUNK) == CHUNK:
            pass
    return filler


def test_on_a_full_disk_nothing_is_invented_or_lost_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path, "6m") as disk, stage(tmp_path, database_url=f"sqlite:///{disk / 'jobs.db'}") as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        filler = fill(disk)
        made, refused = _create_until_refused(lambda n: play.workflow.oma.post("/replications", json=_new_job(n)))
        assert refused["error"] == "database_full", refused
        assert play.state(job_id) == "replicating"
        until("the poller says so", lambda: "answers cannot be written" in play.logged())
        filler.unlink()
        assert play.finish(job_id)["ending"] == "confirmed"
        found = play.sql("SELECT id FROM replication_jobs WHERE id <> ? ORDER BY id", job_id)
        assert [row[0] for row in found] == sorted(made)
        assert play.sql("PRAGMA integrity_check") == [("ok",)]


def _create_until_refused(create: Callable[[int], httpx.Response]) -> tuple[list[str], dict[str, Any]]:
    made: list[str] = []
    for n in range(500):
        answer = create(n)
        if answer.status_code != 201:
            assert answer.status_code == 503, answer.text
            return made, answer.json()
        made.append(answer.json()["job_id"])
    raise AssertionError("the disk never filled")


def _new_job(n: int) -> dict[str, Any]:
    return {
        "vm_name": f"filler-{n}", "vmware_vm_id": f"filler-{n}", "vm_path": f"/dc/vm/filler-{n}", "vcenter_host": "vc",
        "disks": [{"disk_id": "disk-2000", "capacity_bytes": 1 << 30}],
    }  # fmt: skip


def test_a_database_on_a_disk_that_cannot_be_written_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with small_disk(tmp_path, "4m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        service = ServiceProcess(tmp_path, "http://127.0.0.1:1", database_url=f"sqlite:///{disk / 'jobs.db'}")
        with pytest.raises(ServiceError, match="status 2"):
            service.start()
        said = service.log.read_text()
        assert "folder cannot be written to" in said
        assert "mount the disk for writing" in said
        assert "Traceback" not in said
