"""Plays a scenario on a clock that jumps: a day takes no longer than its questions."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from vma.simulator.appliance import Appliance, ApplianceClock
from vma.simulator.faults import FaultMode
from vma.simulator.plans import NbdTarget, Plan, ReplicateRequest
from vma.simulator.player import Door, Player
from vma.simulator.scenario import Scenario
from vma.simulator.scenario_file import parse_scenario
from vma.simulator.state import StateFile
from vma.wire import read
from vma.wire_models import Answer, Reply

SCENARIOS = Path(__file__).resolve().parents[2] / "docs" / "scenarios"
BEGAN = 1_795_000_000.0


@dataclass
class RecordingPort:
    """Knows whether it is open."""

    is_open: bool = True

    async def open(self) -> None:
        self.is_open = True

    async def shut(self) -> None:
        self.is_open = False


@dataclass
class Stage:
    """One scenario under way. Times are simulated seconds since its beginning."""

    scenario: Scenario
    now: float = BEGAN
    port: RecordingPort = field(default_factory=RecordingPort)

    def __post_init__(self) -> None:
        clock = ApplianceClock(time=lambda: self.now)
        plan, state = Plan(), StateFile(None)
        self.appliance = Appliance(clock, self.scenario.speed, plan, state, self.scenario.generation)
        self.player = Player(self.scenario, self.appliance, Door(self.appliance, self.port), self._jump)
        self.player.begin()

    async def _jump(self, instant: float) -> None:
        self.now = instant

    async def to(self, at: float) -> None:
        """Everything up to `at` happens."""
        await self.player.play(at)
        self.now = BEGAN + at / self.scenario.speed

    def ask(self, key: str) -> Answer:
        """What a client reads."""
        body = self.appliance.progress.body(key, self.appliance.now())
        return read(key, Reply(404, {}, b"job not found\n") if body is None else Reply(200, {}, body))

    def word(self, key: str) -> str | None:
        """The verdict of a client, None for an unknown key."""
        verdict = self.ask(key).verdict
        return None if verdict is None else verdict.value

    def fault(self, key: str | None = None) -> FaultMode | None:
        """The fault that a question about `key` would meet."""
        return self.appliance.faults.strike(key)

    def replicate(self, job_id: str, vm: str, *disk_ids: str) -> None:
        """As the OMA's workflow does."""
        targets = [NbdTarget(disk_id=disk_id, nbd_url=f"nbd://x/migration-{disk_id}") for disk_id in disk_ids]
        self.appliance.copies.start(ReplicateRequest(job_id=job_id, vm_paths=[f"/DC/vm/{vm}"], nbd_targets=targets))


def on_stage(text: str, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Plays the scenario in `text`."""

    async def told() -> None:
        stage = Stage(parse_scenario(text.encode(), "test.yaml"))
        await story(stage)
        await stage.appliance.close()

    asyncio.run(told())
