"""The service under a supervisor that wants to hear of it."""

import asyncio
import configparser
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from cli.demo.service import ServiceProcess
from cli.systemd import Notifier, NotifyingServer

ROOT = Path(__file__).parents[2]


@contextmanager
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watchdog: float = 0) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        address = str(tmp_path / "notify")
        listening.bind(address)
        listening.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", str(int(watchdog * 1e6)))
        yield listening


def heard(listening: socket.socket) -> str:
    return listening.recv(4096).decode()


@pytest.mark.process
def test_the_service_says_when_it_is_up_that_it_lives_and_that_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with systemd(tmp_path, monkeypatch, watchdog=0.3) as listening:
        service = ServiceProcess(tmp_path, "http://127.0.0.1:9")
        service.start(wait=False)
        try:
            assert heard(listening).startswith("READY=1")
            began = time.monotonic()
            assert [heard(listening) for _ in range(4)] == ["WATCHDOG=1"] * 4
            assert time.monotonic() - began > 0.25, "every third of its patience, not at once"
            assert service.stop() == 0
        finally:
            if service.running:
                service.kill()
        listening.settimeout(1)
        rest = heard(listening)
        while rest == "WATCHDOG=1":
            rest = heard(listening)
        assert rest.startswith("STOPPING=1")


def test_a_watchdog_is_not_fed_while_the_loop_is_found_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = [True, True, False]

    async def run(server: NotifyingServer) -> None:
        fed = asyncio.create_task(server._feed(0.001))
        while lives:  # noqa: ASYNC110 - it is another task that is waited for
            await asyncio.sleep(0.001)
        fed.cancel()

    with systemd(tmp_path, monkeypatch) as listening:
        config = uvicorn.Config("no:app")
        asyncio.run(run(NotifyingServer(config, lambda: bool(lives) and lives.pop(0))))
        listening.settimeout(0.05)
        assert [heard(listening) for _ in range(2)] == ["WATCHDOG=1"] * 2
        with pytest.raises(TimeoutError):
            heard(listening)


@pytest.mark.parametrize(
    ("environment", "patience"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_how_long_the_watchdog_waits(environment: dict[str, str], patience: float) -> None:
    assert Notifier(environment).patience == patience


def test_a_supervisor_that_is_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).say("READY=1")
    assert not (tmp_path / "nobody").exists()


def test_the_unit_gives_more_time_to_stop_than_draining_takes_and_asks_to_be_told() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "packaging" / "oma-fsm.service")
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert int(service["TimeoutStopSec"]) > 8
    assert int(service["WatchdogSec"]) > 10, "the heartbeat may be stale for ten seconds first"
