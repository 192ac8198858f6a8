"""oma-fsm db adopt, as an operator uses it."""

import sqlite3
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from db.engine import make_engine
from migrations import runner

sys.path.append(str(Path(__file__).parents[1] / "db"))
from oma_world import make_oma

STATUSES = "SELECT status, count(*) FROM replication_jobs GROUP BY status ORDER BY status"
ZONE = ("--zone", "Europe/Berlin")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An OMA's database."""
    monkeypatch.chdir(tmp_path)
    engine = make_engine(f"sqlite:///{tmp_path / 'oma.db'}")
    make_oma(engine)
    engine.dispose()
    return tmp_path / "oma.db"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["db", "adopt", *arguments])


def raw(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


def test_a_dry_run_tells_all_and_writes_nothing(path: Path) -> None:
    before = path.read_bytes()
    told = run(f"sqlite:///{path}", *ZONE, "--dry-run")
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert "jobs to be given a history: 22 of 22" in lines
    assert {"pending 1 initializing", "replicating 4 the same", "paused 1 left alone: unknown"} <= set(lines)
    assert "20:00:00 in Europe/Berlin, that is 2026-11-24 19:00:00Z" in told.output
    assert "1 VM contexts that point at an ended job: left so" in told.output
    assert lines[-1] == "nothing is in the way"
    assert path.read_bytes() == before


def test_an_adoption_says_what_it_did_and_what_comes_next(path: Path) -> None:
    told = run(f"sqlite:///{path}", *ZONE)
    assert told.exit_code == 0, told.output
    assert "22 of 22 jobs" in told.output
    assert "2 jobs were left alone, unknown or not readable: job-paused, job-void" in told.output
    assert "is adopted. Next: oma-fsm serve" in told.output
    assert runner.current(make_engine(f"sqlite:///{path}")) == runner.head()
    shown = CliRunner().invoke(app, ["jobs", "show", "job-cancelled", "--database-url", f"sqlite:///{path}"])
    assert "found as 'cancelled' in the OMA's table" in shown.output


def test_a_downgrade_undoes_it(path: Path) -> None:
    before = raw(path, STATUSES)
    run(f"sqlite:///{path}", *ZONE)
    assert raw(path, STATUSES) != before
    back = CliRunner().invoke(app, ["db", "downgrade", runner.revisions()[0], "--database-url", f"sqlite:///{path}"])
    assert back.exit_code == 0, back.output
    assert raw(path, STATUSES) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--dry-run",), "Missing option '--zone'"),
        (("--zone", "Mars/Olympus"), "no time zone 'Mars/Olympus' on this machine"),
        (("--zone", "America/New_York"), "which is still to come"),
    ],
)
def test_a_wrong_zone_is_refused_with_the_reason(path: Path, arguments: tuple[str, ...], told: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE replication_jobs SET updated_at = datetime('now', '+60 minutes') || '.000000'")
    before = raw(path, STATUSES)
    refused = run(f"sqlite:///{path}", *arguments)
    assert (refused.exit_code, raw(path, STATUSES)) == (2, before)
    assert told in refused.output


def test_what_is_no_omas_database_is_not_made_one(tmp_path: Path) -> None:
    for arguments in (("--dry-run",), ()):
        refused = run(f"sqlite:///{tmp_path / 'none.db'}", *ZONE, *arguments)
        assert refused.exit_code == 2
    assert "it is no OMA's; check the URL" in refused.output
