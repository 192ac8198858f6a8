"""The commands as an operator uses them, without a running service."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.main import app
from db.engine import make_engine
from db.jobs import NewDisk, NewJob
from db.store import Store
from fsm.facts import Asked
from fsm.policy import DEFAULT_POLICY
from fsm.states import Asker, Event
from migrations import runner

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)


@pytest.fixture
def job_id(url: str) -> str:
    """A job that an operator has failed."""
    engine = make_engine(url)
    runner.upgrade(engine)
    store = Store(engine, DEFAULT_POLICY)
    new = NewJob("web-01", "vm-101", "/DC1/vm/web-01", "vcenter", disks=(NewDisk("disk-2000", 40 << 30),))
    job_id = store.create(new, NOW, asked=Asked(), asked_about={}).after.job_id
    store.fire(job_id, Event.ATTACH, NOW, asked=Asked())
    store.fire(job_id, Event.FAIL, NOW, asked=Asked(Asker.OPERATOR, "jane", "wrong VM"))
    engine.dispose()
    return job_id


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_schema_goes_up_and_down_and_says_where_it_is(url: str) -> None:
    assert run("db", "current").exit_code == 1, "an empty database is not what this release wants"
    up = run("db", "upgrade")
    assert (up.exit_code, f"empty -> {runner.head()}" in up.output) == (0, True)
    assert run("db", "current").exit_code == 0
    down = run("db", "downgrade", "20251003140000")
    assert (down.exit_code, "-> 20251003140000" in down.output) == (0, True)
    assert runner.current(make_engine(url)) == "20251003140000"


def test_guards_are_shown_taken_down_and_put_up_again(url: str, job_id: str) -> None:
    assert "guards (strict): as this release wants them" in run("db", "current").output
    assert "guards are down, any change is let through" in run("db", "lift-guards").output
    assert "guards were already down" in run("db", "lift-guards").output
    found = run("db", "current")
    assert (found.exit_code, "oma_fsm_job_update is missing" in found.output) == (1, True)
    assert "run `oma-fsm db upgrade`" in found.output
    assert run("jobs", "show", job_id).exit_code == 0, "one can still look"
    run("db", "upgrade")
    assert run("db", "current").exit_code == 0


def test_an_older_schema_is_refused_with_the_command_to_run(url: str) -> None:
    runner.upgrade(make_engine(url), "20251003150000")
    refused = run("jobs", "list")
    assert refused.exit_code == 2
    assert "oma-fsm db upgrade" in refused.output


def test_jobs_list_shows_every_job_with_its_end(job_id: str) -> None:
    listed = run("jobs", "list")
    assert listed.exit_code == 0
    line = next(line for line in listed.output.splitlines() if job_id in line)
    assert [word in line for word in ("web-01", "failed", "manual", "wrong VM")] == [True] * 4


def test_jobs_list_by_state_leaves_the_others_out(job_id: str) -> None:
    assert job_id in run("jobs", "list", "--state", "failed").output
    assert "no jobs" in run("jobs", "list", "--state", "replicating").output


def test_jobs_show_tells_who_decided_what_and_why(job_id: str) -> None:
    shown = run("jobs", "show", job_id).output
    last = next(line for line in shown.splitlines() if line.startswith("3 "))
    assert [word in last for word in ("fail", "operator_fails", "operator (jane)", "wrong VM")] == [True] * 4
    assert "disk-2000" in shown
    assert "none yet" in shown, "the disk has no volume"


def test_brackets_in_names_and_reasons_are_shown_as_they_are(url: str) -> None:
    """VMware puts the datastore in brackets, and people write [ticket 5]."""
    engine = make_engine(url)
    runner.upgrade(engine)
    store = Store(engine, DEFAULT_POLICY)
    new = NewJob("web [prod] [/x] :warning:", "vm-102", "[datastore1] web/web.vmx", "vcenter")
    odd = store.create(new, NOW, asked=Asked(), asked_about={}).after.job_id
    store.fire(odd, Event.FAIL, NOW, asked=Asked(Asker.OPERATOR, "jane", "see [ticket 5] [/i]"))
    engine.dispose()
    listed, shown = run("jobs", "list"), run("jobs", "show", odd)
    assert (listed.exit_code, shown.exit_code) == (0, 0)
    assert "web [prod] [/x] :warning:" in listed.output
    assert "web [prod] [/x] :warning: ([datastore1] web/web.vmx)" in shown.output
    assert "see [ticket 5] [/i]" in shown.output


def test_an_unknown_job_is_a_message_and_not_a_traceback(url: str, job_id: str) -> None:
    refused = run("jobs", "show", "job-nobody")
    assert (refused.exit_code, "no job 'job-nobody'" in refused.output) == (2, True)


def test_a_database_that_is_away_is_a_message_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    refused = run("jobs", "list")
    assert (refused.exit_code, "does not answer" in refused.output) == (2, True)
    assert "secret" not in refused.output


def test_what_the_system_refuses_ends_the_command_with_a_message(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "/etc/oma-fsm/vma.token")

    monkeypatch.setattr(main, "app", refuse)
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 2
    assert "Permission denied: '/etc/oma-fsm/vma.token'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("jobs", "list"), ("settings",), ("--help",)], ids=" ".join)
def test_output_that_finds_no_room_ends_the_command_with_a_message(
    url: str, job_id: str, command: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-m", "cli.main", *command], check=False,
                               stdout=full, stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == ["oma-fsm: [Errno 28] No space left on device"]


def test_a_wrong_url_is_shown_without_its_password(url: str) -> None:
    refused = CliRunner().invoke(app, ["doctor", "--database-url", "oracle://oma:hunter2@db.example/oma"])
    assert refused.exit_code == 2
    assert "oracle://oma:***@db.example/oma" in refused.output
    assert "hunter2" not in refused.output


COMMANDS_OF_A_DATABASE = (
    ("jobs", "list"), ("jobs", "show", "job-1"), ("doctor",), ("replicas",), ("appliances", "list"), ("db", "current"),
    ("db", "upgrade"), ("db", "lift-guards"), ("db", "prune"), ("diagram", "--fleet"), ("spec", "diff", "0123456789ab"),
    ("audit", "replay", "--policy", "unreachable_after=20m"),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS_OF_A_DATABASE, ids=" ".join)
def test_a_database_that_cannot_be_opened_as_written_is_a_message_of_every_command(
    url: str, command: tuple[str, ...]
) -> None:
    refused = run(*command, "--database-url", "postgresql://oma:hunter@2@db.example/oma")
    assert refused.exit_code == 2
    assert "in a password @ must be written as %40" in refused.output.replace("\n", " ")
    assert "hunter" not in refused.output


def test_looking_at_jobs_makes_no_database_where_there_is_none(tmp_path: Path, url: str) -> None:
    refused = run("jobs", "list", "--database-url", f"sqlite:///{tmp_path}/mistyped/jobs.db")
    assert (refused.exit_code, "no such database" in refused.output) == (2, True)
    assert not (tmp_path / "mistyped").exists()


def test_a_schema_of_another_release_is_a_message(job_id: str, url: str) -> None:
    with make_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE oma_fsm_alembic_version SET version_num = '20261124180001'")
    refused = CliRunner().invoke(app, ["db", "upgrade"])
    assert refused.exit_code == 2
    assert "install the release that made it" in refused.output.replace("\n", " ")
