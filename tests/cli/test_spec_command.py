"""oma-fsm spec: check, show, diff and page, and that `serve` refuses a state that the specification does not have."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result
from unguarded import unguarded

from cli import spec as spec_command
from cli.main import app
from db.engine import make_engine, write
from db.jobs import NewJob
from db.store import Store
from db.tables import SPECS
from fsm.checks import check
from fsm.facts import Asked
from fsm.policy import DEFAULT_POLICY
from fsm.render.markdown import page
from fsm.snapshot import Snapshot, snapshot
from fsm.spec import EDGES, spec_hash
from migrations import runner

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
OLD = "0ld0ld0ld0ld"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["spec", *arguments])


@pytest.fixture(autouse=True)
def no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings name a database that is not there."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", url)
    return url


@pytest.fixture
def engine(no_database: str) -> Engine:
    """The database of the settings, with one job; it keeps the present specification."""
    engine = make_engine(no_database)
    runner.upgrade(engine)
    store = Store(engine, DEFAULT_POLICY)
    store.note_spec(NOW)
    store.create(NewJob("web-01", "vm-101", "/DC1/vm/web-01", "vcenter"), NOW, asked=Asked(), asked_about={})
    return engine


def with_paused(found: Snapshot) -> None:
    found["states"]["paused"] = {"is": "active"}


def older(change: Callable[[Snapshot], None] = with_paused) -> Snapshot:
    """What another release had."""
    found: Snapshot = json.loads(json.dumps(snapshot())) | {"hash": OLD}
    change(found)
    return found


def file(path: Path, found: object) -> str:
    path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return str(path)


def pause_the_job(engine: Engine) -> None:
    with unguarded(engine), write(engine) as connection:
        connection.exec_driver_sql("UPDATE replication_jobs SET status = 'paused'")


def keep(engine: Engine, found: Snapshot) -> None:
    with write(engine) as connection:
        connection.execute(SPECS.insert().values(hash=found["hash"], snapshot=found, first_seen_at=NOW))


# --- check and show ------------------------------------------------------------------------------


def test_check_says_that_the_specification_is_sound_and_how_much_it_looked_at() -> None:
    result = run("check")
    assert result.exit_code == 0
    assert f"specification {spec_hash()} is sound: 7 states, 15 events, {len(EDGES)} edges" in result.output


def test_check_leaves_with_1_and_every_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [replace(e, why="") if e.name == "runs" else e for e in EDGES if e.name != "broke"]
    monkeypatch.setattr(spec_command, "all_findings", lambda: check(broken))
    result = run("check")
    assert result.exit_code == 1
    assert "why: runs: no sentence says why it exists" in result.output
    assert "gap: replicating on vma_failed: no edge passes" in result.output
    assert "sound" not in result.output


def test_show_lists_every_edge_on_a_line_of_its_own() -> None:
    result = run("show")
    lines = result.output.splitlines()
    assert len(lines) == len(EDGES)
    assert "vma_not_found: replicating -> failed (inferred) if lost and not_nearly_done  [lost]" in lines
    assert "create: (new) -> initializing if vm_idle and last_copy_over  [create]" in lines
    assert any(line.endswith("-> ignored if not_watched  [vma_running_late]") for line in lines)
    assert "vma_running: replicating -> stays  [runs]" in lines


def test_show_as_json_is_the_snapshot() -> None:
    assert json.loads(run("show", "--json").output) == snapshot()


# --- diff ----------------------------------------------------------------------------------------


def test_what_show_printed_does_not_differ_from_the_present(tmp_path: Path) -> None:
    result = run("diff", file(tmp_path / "spec.json", run("show", "--json").output), "current")
    assert (result.exit_code, result.output) == (0, "no difference\n")


def test_a_difference_is_named_and_counted(tmp_path: Path) -> None:
    old = older(lambda s: s["edges"].pop("lost"))
    result = run("diff", file(tmp_path / "old.json", old))
    assert result.exit_code == 0
    assert "added edge lost: vma_not_found, from replicating to failed" in result.output
    assert result.output.endswith("1 added\n")


def test_old_and_new_are_not_mixed_up(tmp_path: Path) -> None:
    old = file(tmp_path / "old.json", older(lambda s: s["edges"].pop("lost")))
    assert "removed edge lost" in run("diff", "current", old).output


def test_without_a_database_nothing_is_said_of_the_jobs_and_none_is_made(tmp_path: Path) -> None:
    result = run("diff", file(tmp_path / "old.json", older()))
    assert result.exit_code == 0
    assert "removed state paused" in result.output
    assert "no database at hand" in result.stderr
    assert not (tmp_path / "jobs.db").exists()


def test_a_database_without_tables_is_none_at_hand(tmp_path: Path, no_database: str) -> None:
    make_engine(no_database).connect().close()
    result = run("diff", file(tmp_path / "old.json", older()))
    assert result.exit_code == 0
    assert "no database at hand" in result.stderr


@pytest.mark.usefixtures("engine")
def test_a_removed_state_in_which_no_job_stands_is_no_hindrance(tmp_path: Path) -> None:
    result = run("diff", file(tmp_path / "old.json", older()))
    assert result.exit_code == 0
    assert "0 jobs stand in paused, which is no more" in result.output


def test_a_job_that_stands_in_a_removed_state_is_counted_and_leaves_with_1(tmp_path: Path, engine: Engine) -> None:
    pause_the_job(engine)
    result = run("diff", file(tmp_path / "old.json", older()))
    assert result.exit_code == 1
    assert "1 job stands in paused, which is no more" in result.output


def test_a_hash_is_looked_up_in_the_database(engine: Engine) -> None:
    keep(engine, older())
    result = run("diff", OLD, spec_hash())
    assert result.exit_code == 0
    assert "removed state paused" in result.output


def test_the_database_can_be_named_instead_of_the_setting(
    engine: Engine, no_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(engine, older())
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", "sqlite:///nowhere.db")
    assert run("diff", OLD, "--database-url", no_database).exit_code == 0
    elsewhere = run("diff", OLD)
    assert elsewhere.exit_code == 2
    assert "no such database" in elsewhere.stderr


@pytest.mark.usefixtures("engine")
def test_an_unknown_hash_names_those_that_are_kept() -> None:
    result = run("diff", OLD, "current")
    assert result.exit_code == 2
    assert f"kept are {spec_hash()}" in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Expecting property name"),
        ("[]", "not a specification as `oma-fsm spec show --json` prints it"),
        ('{"format": 1}', "a specification without states"),
        ("\x00", "Expecting value"),
    ],
)
def test_a_file_that_is_no_specification_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    result = run("diff", file(tmp_path / "bad.json", text))
    assert result.exit_code == 2
    shown = " ".join(result.stderr.split())
    assert "bad.json" in shown
    assert says in shown


@pytest.mark.parametrize("name", ["gone.json", "some/where"])
def test_a_file_that_is_not_there_is_not_taken_for_a_hash(name: str) -> None:
    result = run("diff", name)
    assert result.exit_code == 2
    assert f"{name}: no such file" in result.stderr


# --- page ----------------------------------------------------------------------------------------


def test_the_page_is_printed_or_written(tmp_path: Path) -> None:
    assert run("page").output == page()
    assert run("page", str(tmp_path / "machine.md")).exit_code == 0
    assert (tmp_path / "machine.md").read_text(encoding="utf-8") == page()


def test_a_stale_page_is_refused_with_a_diff_and_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "machine.md"
    run("page", str(path))
    fresh = run("page", "--check", str(path))
    assert (fresh.exit_code, fresh.output) == (0, "")
    path.write_text(page().replace("# The machine", "# My machine"), encoding="utf-8")
    stale = run("page", "--check", str(path))
    assert stale.exit_code == 1
    assert "-# My machine" in stale.output
    assert "+# The machine" in stale.output
    assert f"run `oma-fsm spec page {path}`" in stale.output


@pytest.mark.parametrize("present", [page().replace("\n", "\r\n").encode(), page().encode() + b"\n", None])
def test_the_check_is_byte_for_byte(tmp_path: Path, present: Any) -> None:
    path = tmp_path / "machine.md"
    if present is not None:
        path.write_bytes(present)
    assert run("page", "--check", str(path)).exit_code == 1


def test_a_check_needs_a_file() -> None:
    result = run("page", "--check")
    assert result.exit_code == 2
    assert "name the file to check" in result.stderr


# --- serve ---------------------------------------------------------------------------------------


def test_serve_refuses_a_job_in_an_unknown_state_by_name(engine: Engine) -> None:
    pause_the_job(engine)
    engine.dispose()
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2, result.stderr
    assert "1 job stands in a state that this release does not know" in " ".join(result.stderr.split())
    assert "(paused)" in result.stderr
