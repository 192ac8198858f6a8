"""oma-fsm audit polls, as an operator uses it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.facade import OmaFsm
from api.settings import Settings
from cli.main import app
from poller.poll_lines import Asks, Began, Line, Must, Put, Settled
from poller.poll_log import File, PollLogError
from poller.poll_timeline import read_file

BEGAN = Began(run="a", up=0.0, at="2026-03-02T12:00:00+00:00", monotonic=5.0, boot="here")
POLLED: list[Line] = [
    Must(run="a", up=0.1, read=0.0, jobs=["job-1"]),
    Put(run="a", up=0.1, job="job-1"),
    Asks(run="a", up=0.2, job="job-1", version=2, polls=7),
    Settled(run="a", up=0.3, job="job-1", became="applied", version=2, polls=7, was=2, had=7, pause=5.0),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine."""
    monkeypatch.chdir(tmp_path)


def written(path: Path, *lines: Line) -> str:
    file = File(str(path))
    for line in lines:
        file(line)
    file.close()
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", "polls", *arguments])


def test_a_log_in_order_leaves_with_0_and_says_what_was_seen(tmp_path: Path) -> None:
    said = run(written(tmp_path / "polls.jsonl", BEGAN, *POLLED))
    assert said.exit_code == 0, said.output
    assert said.output == (
        "0 findings; 1 questions about 1 jobs by 1 runs of the service in 0.3s from 2026-03-02 12:00:00Z on\n"
    )


def test_a_silent_job_leaves_with_1_and_is_named(tmp_path: Path) -> None:
    later = Must(run="a", up=60.0, read=60.0, jobs=["job-1"])
    path = written(tmp_path / "polls.jsonl", BEGAN, *POLLED, later)
    said = run(path)
    assert said.exit_code == 1
    for part in ("12:01:00", "gap", "job-1", "due 54.7 s ago; last asked about 59.8 s ago", "1 findings; "):
        assert part in said.output
    assert run(path, "--allowance", "60").exit_code == 0


def test_only_so_many_findings_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    silent = [Must(run="a", up=up, read=up, jobs=["job-1", "job-2", "job-3"]) for up in (0.0, 60.0)]
    said = run(written(tmp_path / "polls.jsonl", BEGAN, *silent), "--limit", "1")
    assert "3 findings, 2 of them not shown (--limit)" in said.output
    assert said.output.count("silent") == 1


def test_the_settings_say_how_slow_a_job_may_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Settled(run="a", up=0.3, job="job-1", became="applied", version=2, polls=7, was=2, had=7, pause=90.0)
    path = written(tmp_path / "polls.jsonl", BEGAN, *POLLED[:-1], slow)
    assert "put off for 90 s" in run(path).output
    monkeypatch.setenv("OMA_FSM_POLICY__WATCH_INTERVAL", "2m")
    assert run(path).exit_code == 0


def test_lines_without_the_beginning_of_their_run_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    said = run(written(tmp_path / "polls.jsonl", *POLLED))
    assert (said.exit_code, "4 lines of runs whose beginning is missing are left out" in said.output) == (0, True)


def test_a_file_that_is_missing_or_no_log_leaves_with_2(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("hello\n")
    assert run("nowhere.jsonl").exit_code == 2
    said = run(str(tmp_path / "other.txt"))
    assert (said.exit_code, "line 1: not a line of a poll log" in said.output) == (2, True)


def test_the_setting_makes_the_service_keep_one(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'jobs.db'}", poll_log=str(tmp_path / "polls.jsonl"))
    service = OmaFsm(settings)
    service.polling.poller.poll_log.began()
    service.close()
    [began] = read_file(str(tmp_path / "polls.jsonl"))
    assert isinstance(began, Began)
    assert began.run == service.observer.id
    with pytest.raises(PollLogError, match="poll_log"):
        OmaFsm(settings.model_copy(update={"poll_log": str(tmp_path)}))
