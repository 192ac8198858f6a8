"""The settings as the command shows, prints and refuses them."""

import socket
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.settings import Settings, misspelt, variables
from cli.main import app
from cli.settings import walk


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_settings_documents_every_setting_that_code_reads(url: str) -> None:
    shown = run("settings").output
    variables = ["OMA_FSM_" + "__".join(path).upper() for path, _, _ in walk(Settings())]
    assert len(variables) > 30
    assert [name for name in variables if name not in shown] == []
    assert all(meaning for _, _, meaning in walk(Settings())), "each has its meaning"


def test_the_printed_settings_file_gives_the_same_settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMA_FSM_POLICY__UNREACHABLE_AFTER", "20m")
    monkeypatch.setenv("OMA_FSM_VMA__HOSTS", '["vma-*.example", "localhost"]')
    monkeypatch.setenv("OMA_FSM_POLICY__POLL_INTERVAL", "1234ms")
    monkeypatch.setenv("OMA_FSM_POLICY__POLL_INTERVAL_NEAR_END", "40ms")
    printed = run("settings", "--toml").output
    before = Settings()
    Path("oma-fsm.toml").write_text(printed)
    monkeypatch.delenv("OMA_FSM_POLICY__UNREACHABLE_AFTER")
    monkeypatch.delenv("OMA_FSM_VMA__HOSTS")
    monkeypatch.delenv("OMA_FSM_POLICY__POLL_INTERVAL")
    monkeypatch.delenv("OMA_FSM_POLICY__POLL_INTERVAL_NEAR_END")
    assert tomllib.loads(printed)["policy"]["unreachable_after"] == "20m"
    assert before.policy.poll_interval_near_end.total_seconds() == 0.04
    assert Settings() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("OMA_FSM_POLICY", "{bad"), ("OMA_FSM_VMA__HOSTS", "a.example,b.example"), ("OMA_FSM_REPLICAS", "tooz:secret")],
)
def test_a_value_that_must_be_json_and_is_not_is_refused_by_the_name_of_its_variable(
    url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    refused = run("settings")
    assert refused.exit_code == 2
    assert f"settings are wrong; nothing was started\n  {name}: must be JSON: Expecting " in refused.output
    assert value not in refused.output, "it may hold a password"


def test_the_environment_wins_over_the_file(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("oma-fsm.toml").write_text("port = 1234\n[policy]\ninference_answers = 5\n")
    monkeypatch.setenv("OMA_FSM_PORT", "4321")
    settings = Settings()
    assert (settings.port, settings.policy.inference_answers) == (4321, 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OMA_FSM_PORT", "much"),
        ("OMA_FSM_POLICY__POLL_INTERVAL", "-1s"),
        ("OMA_FSM_DATABASE_URL", "oracle://x"),
        ("OMA_FSM_VMA__URL", "file:///etc/passwd"),
        ("OMA_FSM_KEEP_POLLS_DAYS", "1000000"),
        ("OMA_FSM_KEEP_POLLS_DAYS", "inf"),
    ],
)
def test_a_wrong_setting_is_named(url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    refused = run("settings")
    assert (refused.exit_code, name in refused.output) == (2, True)


def test_replicas_that_cannot_work_with_the_database_are_refused_with_the_reason(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMA_FSM_REPLICAS__MODE", "database")
    refused = run("serve")
    assert refused.exit_code == 2
    assert "replicas.mode = database needs PostgreSQL or MariaDB" in " ".join(refused.output.split())


def test_settings_that_contradict_each_other_are_both_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMA_FSM_POLICY__POLL_INTERVAL", "1s")
    refused = run("settings").output
    assert "poll_interval_near_end" in refused
    assert "must not exceed poll_interval" in refused
    assert len(refused) < 400, "the whole policy is not spilled out"


def test_a_named_settings_file_that_is_not_there_is_an_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMA_FSM_CONFIG", "/nowhere/oma-fsm.toml")
    refused = run("settings")
    assert (refused.exit_code, "/nowhere/oma-fsm.toml" in refused.output) == (2, True)


@pytest.mark.parametrize("text", [b"port = ", b"\xff\xfe"], ids=["no TOML", "no UTF-8"])
def test_a_settings_file_that_cannot_be_read_is_named(url: str, text: bytes) -> None:
    Path("oma-fsm.toml").write_bytes(text)
    refused = run("settings")
    assert (refused.exit_code, "oma-fsm.toml" in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("OMA_FSM_VMA_URL", "OMA_FSM_VMA__URL"),
        ("OMA_FSM_DATABSE_URL", "OMA_FSM_DATABASE_URL"),
        ("OMA_FSM_UNREACHABLE_AFTER", "OMA_FSM_POLICY__UNREACHABLE_AFTER"),
    ],
)
def test_a_misspelt_variable_is_told_for_it_is_not_read(
    url: str, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv(given, "x")
    told = run("settings")
    assert (told.exit_code, f"{given} is no setting" in told.output, meant in told.output) == (0, True, True)


def test_variables_that_are_right_or_another_program_s_are_not_remarked_on() -> None:
    others = ["OMA_FSM_SERVICE_HOST", "OMA_FSM_PORT_8477_TCP", "OMA_FSM_VENV", "OMA_FSM_SEEDS", "PATH"]
    assert misspelt([*variables(), "OMA_FSM_CONFIG", "OMA_FSM_VMA__TYPO", *others]) == {}


def test_a_port_in_use_stops_the_service_before_it_touches_anything(url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_not_ours_is_named(url: str) -> None:
    result = run("serve", "--host", "192.0.2.1")  # of documentation, nobody's
    assert result.exit_code == 2
    assert "cannot listen on 192.0.2.1 port 8477" in result.output
