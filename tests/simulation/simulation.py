"""The simulation of one seed: our processes, the VMAs, the database and both clocks, in virtual time.

`python tests/simulation/simulation.py SEED` tells the plan of one seed, plays it, and says what was wrong.
"""

import heapq
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import structlog
from memory_store import MemoryStore
from sim_judge import Judge
from sim_plan import Happening, Plan, draw
from sim_process import Mortal, SimProcess
from sim_replicas import LockServer
from sim_vma import Appliance, Restart
from sim_workflow import Workflow
from virtual_loop import EPOCH, Time

from db.errors import RecoveryRunningError
from fsm.facts import Asked, JobFacts
from fsm.policy import DEFAULT_POLICY
from fsm.states import Asker, Event
from poller.poll_lines import Line

ANNA = Asked(Asker.OPERATOR, "anna", "looked at it on the VMA")
TRIGGER = Asked(Asker.TRIGGER, "anna")
MIDDLE = 0.05  # seconds that a question or a write takes in whose middle we are killed
ANSWERED = 0.15  # seconds after which a question's answer waits to be written, with others
LATEST = 120.0  # seconds: a kill in the middle of something that does not come


@dataclass
class World:
    """All that outlives a process of ours, and the processes."""

    plan: Plan
    store: Any = field(default_factory=lambda: MemoryStore(DEFAULT_POLICY))
    time: Time = field(default_factory=Time)
    lines: list[Line] = field(default_factory=list)
    processes: list[SimProcess] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)
    database_away: bool = False
    database_slow: bool = False
    bases: dict[str, float] = field(default_factory=dict)  # of each run: when it began

    def __post_init__(self) -> None:
        plan = self.plan
        self.locks = LockServer(self.time) if plan.replicas > 1 else None
        self.appliances = {n: Appliance(n, plan.seed, plan.troubles.get(n, [])) for n in plan.appliances}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count, self._runs = 0, 0
        self._trap: tuple[str, Happening] | None = None
        self.workflows = [Workflow(self, planned) for planned in plan.jobs]
        for workflow in self.workflows:
            self.appliances[workflow.planned.appliance].copies[workflow.planned.job_id] = workflow.copy()
        self.judge = Judge(self)

    # --- time ------------------------------------------------------------------------------------

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Something will happen."""
        self._count += 1
        heapq.heappush(self._events, (seconds, self._count, what))

    def run(self) -> None:
        """Play the plan to its end."""
        for place in range(self.plan.replicas + self.plan.answers_only):
            self.begin(place)
        for happening in self.plan.happenings:
            self.at(happening.at, partial(self._happen, happening))
        for name, restarts in self.plan.restarts.items():
            for restart in restarts:
                self.at(restart.at, partial(self._restart_vma, name, restart))
        self.judge.begin()
        self._run(self.plan.length)
        self.judge.close()
        for process in self.processes:
            process.loop.abandon()

    def _run(self, end: float) -> None:
        time, events = self.time, self._events
        while True:
            first, at = None, end
            for process in self.processes:
                if process.runs and (due := process.loop.next_at()) is not None and due <= at:
                    first, at = process, due
            if events and events[0][0] <= at:
                time.seconds = max(time.seconds, events[0][0])
                heapq.heappop(events)[2]()
            elif first is None:
                break
            else:
                time.seconds = max(time.seconds, at)
                first.loop.step()
        time.seconds = max(time.seconds, end)

    def desk_seconds(self) -> float:
        """How long a thread takes for the next thing."""
        if self._trap is not None:
            return MIDDLE
        if self.database_slow:
            return 0.3
        return 0.0 if self.locks is None else 0.004  # shares are lost and won while something else goes on

    def log_time(self, wall: datetime) -> float:
        """When the wall clock showed this; about, if it was set meanwhile."""
        return (wall - EPOCH - self.time.stepped).total_seconds()

    # --- processes -------------------------------------------------------------------------------

    def facts(self, job_id: str) -> JobFacts | None:
        """A job as the database has it."""
        found = self.store.load([job_id]).get(job_id)
        return found.facts if found else None

    def tried_in_vain(self, job_id: str) -> bool:
        """True if a job could not be made: its VM was busy to the end, or nobody served for long."""
        return any(w.planned.job_id == job_id and w.tries > 2 for w in self.workflows)

    def begin(self, place: int) -> None:
        """A process starts."""
        self._runs += 1
        process = SimProcess(self, f"run-{self._runs}", place, polls=place < self.plan.replicas)
        self.processes = [p for p in self.processes if p.alive] + [process]
        self.bases[process.name] = process.observer.started
        process.start()
        self.judge.began(process)

    def process(self, place: int = 0) -> SimProcess | None:
        """The one that runs in this place."""
        return next((p for p in self.processes if p.place == place and p.serves), None)

    def _kill(self, process: SimProcess, down: float, *, host: bool = False) -> None:
        if not process.alive:
            return
        process.kill()
        if self.locks is not None and not host:
            self.locks.drop(process.name)
        self.judge.killed(process, host=host)
        self.at(self.time.seconds + down, partial(self.begin, process.place))

    def notice(self, doing: str, process: SimProcess) -> None:
        """A process does something: it may be what a kill has waited for."""
        if self._trap is None or self._trap[0] != doing or not process.alive:
            return
        end = self._trap[1]
        if end.who == process.place:
            after = MIDDLE / 2 if end.kind == "kill" else ANSWERED
            self.at(self.time.seconds + after, partial(self._spring, end, process))

    def _spring(self, end: Happening, process: SimProcess) -> None:
        if self._trap is not None and self._trap[1] is end:
            self._trap = None
            self._end(end, process)

    def _end(self, end: Happening, process: SimProcess) -> None:
        if end.kind == "kill":
            self._kill(process, end.length)
        elif process.serves:
            self._stop(end, process)

    # --- what happens ----------------------------------------------------------------------------

    def _happen(self, happening: Happening) -> None:
        process = self.process(happening.who)
        if happening.kind in OF_THE_WORLD:
            OF_THE_WORLD[happening.kind](self, happening)
        elif process is not None:
            OF_A_PROCESS[happening.kind](self, happening, process)

    def _restart_vma(self, name: str, restart: Restart) -> None:
        self.appliances[name].restart(restart)
        self.judge.disturb("vma restart", restart.mute)

    def _database(self, happening: Happening) -> None:
        self.database_away = True
        self.judge.disturb("database", happening.length)
        self.at(happening.at + happening.length, partial(setattr, self, "database_away", False))

    def _slow(self, happening: Happening) -> None:
        self.database_slow = True
        self.at(happening.at + happening.length, partial(setattr, self, "database_slow", False))

    def _clock(self, happening: Happening) -> None:
        self.time.stepped += timedelta(seconds=happening.length)
        self.judge.disturb("clock", 0.0)

    def _pause(self, happening: Happening) -> None:
        self.paused.add(happening.what)
        self.judge.disturb("pause", happening.length)
        self.at(happening.at + happening.length, partial(self.paused.discard, happening.what))

    def _poison(self, happening: Happening) -> None:
        self.store.poisoned.add(happening.what)
        self.judge.disturb("poison", happening.length, happening.what)
        self.at(happening.at + happening.length, partial(self.store.poisoned.discard, happening.what))

    def _ends(self, happening: Happening, process: SimProcess) -> None:
        if happening.what in ("", "idle") or self._trap is not None:
            self._end(happening, process)
            return
        self._trap = (happening.what, happening)
        self.at(self.time.seconds + LATEST, partial(self._spring_anyhow, happening))

    def _spring_anyhow(self, happening: Happening) -> None:
        if self._trap is not None and self._trap[1] is happening:
            self._trap = None
            if (process := self.process(happening.who)) is not None:
                self._end(happening, process)

    def _host_lost(self, happening: Happening, process: SimProcess) -> None:
        self._kill(process, happening.length, host=True)

    def _frozen(self, happening: Happening, process: SimProcess) -> None:
        process.frozen = True
        self.judge.froze(process, happening.length)
        self.at(happening.at + happening.length, partial(setattr, process, "frozen", False))

    def _stop(self, happening: Happening, process: SimProcess) -> None:
        process.stopping = True
        began = self.time.seconds

        async def stop() -> None:
            await process.service.stop()
            self.judge.stopped(process, self.time.seconds - began)
            self.at(self.time.seconds, partial(self._kill, process, happening.length))

        process.do(stop)

    def _session_lost(self, _: Happening, process: SimProcess) -> None:
        if self.locks is not None:
            self.locks.drop(process.name)
            self.judge.disturb("session", 15.0)

    def _lose(self, happening: Happening, process: SimProcess) -> None:
        if happening.what in process.service.poller.schedule:
            process.service.poller.schedule.drop(happening.what)
            self.judge.lost(happening.what, process)

    def _monitor_dies(self, _: Happening, process: SimProcess) -> None:
        process.service.monitor._policy = Mortal(DEFAULT_POLICY)  # type: ignore[assignment]

    def _trigger(self, _: Happening, process: SimProcess) -> None:
        """Twice at once, and at every other replica."""

        async def trigger(process: SimProcess) -> None:
            run = process.service.recovery.run
            running, asked = None if run is None else run.run_id, self.time.wall()
            try:
                await process.facade.recover(TRIGGER)
            except RecoveryRunningError as refused:
                self.judge.triggered(process, asked, running, refused.run_id)
            except Exception:  # the database is away
                return
            else:
                self.judge.triggered(process, asked, running, None)

        for one in (process, *(p for p in self.processes if p.serves)):
            one.do(partial(trigger, one))

    def _operator(self, happening: Happening, process: SimProcess) -> None:
        async def fire() -> None:
            try:
                await process.facade.fire(happening.what, Event(happening.kind), ANNA)
            except Exception:  # refused, unknown, or the database is away: no matter
                return

        process.do(fire)


OF_THE_WORLD = {
    "database_away": World._database, "database_slow": World._slow, "clock": World._clock, "pause": World._pause,
    "poison": World._poison,
}  # fmt: skip
OF_A_PROCESS = {
    "kill": World._ends, "host_lost": World._host_lost, "frozen": World._frozen, "stop": World._ends,
    "session_lost": World._session_lost, "lose": World._lose, "monitor_dies": World._monitor_dies,
    "trigger": World._trigger, "fail": World._operator, "complete": World._operator, "reopen": World._operator,
}  # fmt: skip


def quiet() -> None:
    """Thousands of simulated lives log nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def play(seed: int) -> World:
    """Play the story of a seed; `judge.wrong` says what was wrong."""
    world = World(draw(seed))
    world.run()
    return world


def told(world: World) -> str:
    """The story, and what was wrong in it."""
    return "\n".join([*world.plan.told(), *(f"WRONG: {wrong}" for wrong in world.judge.wrong)])


def main(seeds: list[str]) -> int:
    """Each seed: its plan, the moves of its jobs, and what was wrong."""
    quiet()
    wrong = False
    for seed in seeds:
        world = play(int(seed))
        print(told(world))  # noqa: T201
        for planned in world.plan.jobs:
            for move in world.store.moves.get(planned.job_id, []):
                print("  ", planned.job_id, world.judge.clock(move.at), move.edge, move.to_state, move.ending or "")  # noqa: T201
        wrong = wrong or bool(world.judge.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
