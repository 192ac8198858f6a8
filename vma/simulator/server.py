"""The simulator as a program: both ports in one event loop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vma.simulator.app import data_app
from vma.simulator.appliance import Appliance, ApplianceClock
from vma.simulator.control import control_app
from vma.simulator.plans import Plan
from vma.simulator.player import Door, Player
from vma.simulator.port import Port, PortTakenError
from vma.simulator.scenario import Scenario
from vma.simulator.state import StateFile, UnreadableStateError

READY = "VMA simulator ready: data {url} control {control_url}"


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How to run. Port 0 takes a free one.

    `speed`: simulated seconds per real second, > 0. `state`: where copies are kept over a SIGKILL.
    `clock_offset_s`, `utc_offset_min`: the appliance's clock is wrong, its zone another.
    `scenario`: what to play, in its own pace: `speed` is not used then.
    `stop_with_stdin`: end when standard input closes, so that no simulator outlives its starter.
    """

    host: str = "127.0.0.1"
    port: int = 9081
    control_port: int = 9082
    state: Path | None = None
    speed: float = 1.0
    clock_offset_s: float = 0.0
    utc_offset_min: int = 0
    default_plan: Plan = field(default_factory=Plan)
    stop_with_stdin: bool = False
    scenario: Scenario | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the simulator listens."""

    url: str
    control_url: str


def announce(addresses: Addresses) -> None:
    """The one line on standard output."""
    line = READY.format(url=addresses.url, control_url=addresses.control_url)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(config: SimulatorConfig) -> None:
    """Serve until SIGTERM or SIGINT. Exits with a message if a port is taken or the state is unreadable."""
    try:
        asyncio.run(_until_signal(config))
    except (PortTakenError, UnreadableStateError) as error:
        raise SystemExit(f"VMA simulator: {error}") from error


async def serve(
    config: SimulatorConfig,
    ready: Callable[[Addresses], None] = announce,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set or the task is cancelled; `ready` is called once, when both ports answer.

    Installs no signal handlers. Raises PortTakenError, UnreadableStateError.
    """
    async with _both_ports(config) as addresses:
        ready(addresses)
        await (stop or asyncio.Event()).wait()


async def _until_signal(config: SimulatorConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if config.stop_with_stdin:
        _watch_stdin(loop, stop)
    await serve(config, stop=stop)


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def look() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop.set()

    loop.add_reader(0, look)


@asynccontextmanager
async def _both_ports(config: SimulatorConfig) -> AsyncIterator[Addresses]:
    data = Port(config.host, config.port)
    try:
        control = Port(config.host, config.control_port)
        try:
            async with _appliance(config) as appliance:
                door = Door(appliance, data)
                data.serve(data_app(appliance))
                control.serve(control_app(appliance, door))
                await data.open()
                await control.open()
                async with _playing(config.scenario, appliance, door):
                    yield Addresses(data.url, control.url)
        finally:
            await control.close()
    finally:
        await data.close()


@asynccontextmanager
async def _playing(scenario: Scenario | None, appliance: Appliance, door: Door) -> AsyncIterator[None]:
    if scenario is None:
        yield
        return
    player = Player(scenario, appliance, door)
    player.begin()
    playing = asyncio.create_task(player.play(), name="scenario")
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


@asynccontextmanager
async def _appliance(config: SimulatorConfig) -> AsyncIterator[Appliance]:
    clock = ApplianceClock(config.clock_offset_s, config.utc_offset_min)
    scenario = config.scenario
    speed, generation = (scenario.speed, scenario.generation) if scenario else (config.speed, "current")
    appliance = Appliance(clock, speed, config.default_plan, StateFile(config.state), generation)
    try:
        appliance.copies.restore()
        yield appliance
    finally:
        await appliance.close()
