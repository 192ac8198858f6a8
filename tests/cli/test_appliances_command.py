"""oma-fsm appliances, as an operator uses it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from db.engine import make_engine
from migrations import runner
from vma.simulator.process import SimulatorProcess


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", url)
    monkeypatch.setenv("OMA_FSM_VMA__URL", "http://127.0.0.1:9")
    runner.upgrade(make_engine(url))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["appliances", *arguments], env={"COLUMNS": "200"})


@pytest.mark.usefixtures("database")
def test_an_appliance_from_its_first_day_to_its_last() -> None:
    assert run("add", "vma-2", "http://127.0.0.1:9").exit_code == 0
    listed = run("list").output
    assert [line.split()[:3] for line in listed.splitlines()[1:]] == [
        ["default", "http://127.0.0.1:9/", "yes"], ["vma-2", "http://127.0.0.1:9", "yes"],
    ]  # fmt: skip
    assert "0 jobs wait" in run("pause", "vma-2").output
    assert "paused" in run("list").output
    assert run("resume", "vma-2").exit_code == run("remove", "vma-2").exit_code == 0
    assert "vma-2" not in run("list").output


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("add", "a b", "http://vma"), "is no name of an appliance"),
        (("add", "default", "http://vma"), "there is an appliance 'default' already"),
        (("add", "vma-2", "gopher://vma"), "the scheme must be http or https"),
        (("add", "vma-2", "https://vma", "--ca-file", "/no/such"), "/no/such: No such file"),
        (("test", "vma-2"), "no appliance 'vma-2'"),
        (("test",), "connection refused"),
        (("pause", "vma-2"), "no appliance 'vma-2'"),
        (("remove", "default"), "can only be paused"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(arguments: tuple[str, ...], why: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, why in result.output) == (2, True), result.output


@pytest.mark.usefixtures("database")
def test_an_appliance_is_tested_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatorProcess() as vma:
        run("add", "vma-2", vma.url)
        answer = run("test", "vma-2")
        assert (answer.exit_code, "is healthy; it answered in" in answer.output) == (0, True)
        monkeypatch.setenv("OMA_FSM_VMA__HOSTS", '["vma.example"]')
        refused = run("test", "vma-2")
        assert "is not one of those allowed: vma.example" in refused.output
