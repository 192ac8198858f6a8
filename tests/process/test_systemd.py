"""The service under a supervisor that wants to hear of it."""

import asyncio
import configparser
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from ports import held_port

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
    # Fed every third of that: the ten messages that wait for us at most are not full while we wait for its end.
    with systemd(tmp_path, monkeypatch, watchdog=3) as listening, held_port() as port:
        service = ServiceProcess(tmp_path, "http://127.0.0.1:9", port=port)
        service.start(wait=False)
        try:
            assert heard(listening).startswith("READY=1")
            assert [heard(listening) for _ in range(2)] == ["WATCHDOG=1"] * 2
            assert service.stop() == 0
        finally:
            if service.running:
                service.kill()
        rest = heard(listening)
        while rest == "WATCHDOG=1":
            rest = heard(listening)
        assert rest.startswith("STOPPING=1")


def test_the_watchdog_is_fed_every_third_of_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once again, and not so late that one delay is its end."""
    sleep, pauses = asyncio.sleep, list[float]()

    async def starts(*_: object) -> None:
        pass

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def run(server: NotifyingServer) -> None:
        await server.startup()
        while len(pauses) < 3:
            await sleep(0)
        assert server._watchdog is not None
        server._watchdog.cancel()

    monkeypatch.setattr(uvicorn.Server, "startup", starts)
    monkeypatch.setattr(asyncio, "sleep", pause)
    notifier = Notifier({"WATCHDOG_USEC": "30000000"})
    asyncio.run(run(NotifyingServer(uvicorn.Config("no:app"), lambda: True, notifier=notifier)))
    assert set(pauses) == {10.0}


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
