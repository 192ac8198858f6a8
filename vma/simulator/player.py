"""Plays a scenario on an appliance: copies run by themselves, faults and restarts come at their time."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from vma.simulator import script
from vma.simulator.appliance import Appliance
from vma.simulator.faults import Active
from vma.simulator.scenario import Restart, Scenario, ScriptedFault
from vma.simulator.units import clock_text

logger = logging.getLogger("vma.simulator")


class DataPort(Protocol):
    """The door of the data API."""

    async def open(self) -> None: ...

    async def shut(self) -> None: ...


class Door:
    """Shut while the appliance is down or a fault refuses connections, else open."""

    def __init__(self, appliance: Appliance, port: DataPort) -> None:
        self._appliance = appliance
        self._port = port
        self.down = False

    async def settle(self) -> None:
        """Make it so."""
        shut = self.down or self._appliance.faults.refusing
        await (self._port.shut() if shut else self._port.open())


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do at a time, in simulated seconds since the scenario began."""

    at: float
    says: str
    do: Callable[[], Awaitable[None]]


class Player:
    """One scenario on one appliance.

    `wait_until` sleeps until an instant (seconds since the epoch) by the appliance's clock; a test's clock jumps there.
    """

    def __init__(
        self,
        scenario: Scenario,
        appliance: Appliance,
        door: Door,
        wait_until: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._scenario = scenario
        self._appliance = appliance
        self._door = door
        self._wait_until = wait_until or self._sleep_until
        self._began = 0.0
        self._to_do = deque(self._actions())

    def begin(self) -> None:
        """Now is the scenario's zero: copies of the past have run already, those of the future are known."""
        self._began = self._appliance.clock.time()
        copies = script.records(self._scenario, self._began)
        self._appliance.copies.follow_script(copies, script.plans(self._scenario))

    async def play(self, until: float = math.inf) -> None:
        """All faults and restarts up to `until` (simulated seconds), each at its time."""
        while self._to_do and self._to_do[0].at <= until:
            action = self._to_do.popleft()
            await self._wait_until(self._instant(action.at))
            logger.info("%s %s", clock_text(action.at), action.says)
            await action.do()

    def _actions(self) -> list[Action]:
        actions = [action for fault in self._scenario.faults for action in self._of_fault(fault)]
        actions += [action for restart in self._scenario.restarts for action in self._of_restart(restart)]
        return sorted(actions, key=lambda action: action.at)

    def _of_fault(self, scripted: ScriptedFault) -> list[Action]:
        actions: list[Action] = []
        for begin, end in scripted.spans():
            on, off = self._switch(scripted)
            actions.append(Action(begin, f"fault {scripted.kind}", on))
            if end is not None:
                actions.append(Action(end, f"fault {scripted.kind} is over", off))
        return actions

    def _switch(self, scripted: ScriptedFault) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
        faults, lit = self._appliance.faults, list[Active]()

        async def on() -> None:
            lit.append(faults.add(scripted.fault()))
            await self._door.settle()

        async def off() -> None:
            faults.remove(lit.pop())
            await self._door.settle()

        return on, off

    def _of_restart(self, restart: Restart) -> list[Action]:
        async def go_down() -> None:
            self._door.down = True
            await self._door.settle()
            await self._appliance.forget(None, copies_survive=restart.copies_survive)
            self._appliance.hear_nothing_until(self._instant(restart.at + restart.down_for))

        async def come_up() -> None:
            self._door.down = False
            await self._door.settle()

        return [
            Action(restart.at, "the VMA goes down and forgets", go_down),
            Action(restart.at + restart.down_for, "the VMA is up again", come_up),
        ]

    def _instant(self, at: float) -> float:
        return self._began + at / self._scenario.speed

    async def _sleep_until(self, instant: float) -> None:
        while (missing := instant - self._appliance.clock.time()) > 0:  # noqa: ASYNC110 - a clock has no event
            await asyncio.sleep(missing)
