"""The OMA's workflow of one job: it asks whatever process is there, and asks again if it was not answered."""

import zlib
from typing import TYPE_CHECKING

from sim_plan import SIZE, STEPS, Planned
from sim_vma import UNBORN, Copy
from sqlalchemy.exc import OperationalError

from api.errors import RefusedError
from db.errors import ConflictError, UnreadableJobError
from db.jobs import NewDisk, NewJob, NewVolume
from fsm.facts import Asked
from fsm.states import Event

if TYPE_CHECKING:
    from sim_process import SimProcess
    from simulation import World

PATIENCE = 10.0  # seconds until a request is repeated
BUSY = 120.0  # seconds until a VM that was not free is tried again
TRIES = 20


class Workflow:
    """`step` is the next one."""

    def __init__(self, world: "World", planned: Planned) -> None:
        self.world, self.planned = world, planned
        self.step, self.tries, self.over = 0, 0, False
        world.at(planned.at[0], self._try)

    def _try(self) -> None:
        world, planned = self.world, self.planned
        self.over = self.over or self.step >= len(STEPS) or self.tries > TRIES
        if not self.over and STEPS[self.step] == "start":
            self._start_copy()
        self.over = self.over or self.step == planned.dies_before
        if self.over:
            return
        serving = [process for process in world.processes if process.serves]
        if serving:
            which = zlib.crc32(f"{planned.job_id} {self.step} {self.tries}".encode()) % len(serving)
            self._ask(serving[which])
        self.tries += 1
        step = self.step
        world.at(world.time.seconds + PATIENCE, lambda: self._again(step))

    def _again(self, step: int) -> None:
        if self.step == step:
            self._try()

    def _start_copy(self) -> None:
        """The workflow starts the copy before it says so; not for a job that a person ended."""
        facts = self.world.facts(self.planned.job_id)
        if facts is None or not facts.polled:
            self.over = True
            return
        copy = self.world.appliances[self.planned.appliance].copies[self.planned.job_id]
        if copy.truth(self.world.time.seconds) == UNBORN:
            copy.start(self.world.time.seconds)

    def _ask(self, process: "SimProcess") -> None:
        step = self.step

        async def ask() -> None:
            try:
                await self._take(process, STEPS[step])
            except RefusedError as refused:
                if refused.decision.event is Event.CREATE:
                    self.world.at(self.world.time.seconds + BUSY, lambda: self._again(step))
                    self.step = -1 if self.step == step else self.step
                    self.world.at(self.world.time.seconds + BUSY - 1, lambda: self._return(step))
                    return
            except ConflictError:
                pass  # it was done, but we were not told
            except (OperationalError, UnreadableJobError):  # the database is away, or the row poisoned: asked again
                return
            except Exception as error:
                self.world.judge.say(f"{STEPS[step]} of {self.planned.job_id} raised {error!r}")
                return
            if self.step == step:
                self.step, self.tries = step + 1, 0
                if self.step < len(STEPS):
                    self.world.at(max(self.planned.at[self.step], self.world.time.seconds + 0.1), self._try)

        process.do(ask)

    def _return(self, step: int) -> None:
        if self.step == -1:
            self.step = step

    async def _take(self, process: "SimProcess", step: str) -> None:
        facade, job_id = process.facade, self.planned.job_id
        if step == "create":
            await facade.create_job(self._new())
            return
        if step == "configure":
            for disk in self.planned.disks:
                await facade.record_volume(job_id, disk, NewVolume(f"{self.planned.vm}-{disk}"))
        await facade.fire(job_id, Event(step), Asked())

    def _new(self) -> NewJob:
        plan = self.planned
        disks = tuple(NewDisk(disk, SIZE) for disk in plan.disks)
        return NewJob(plan.vm, plan.vm, f"/dc/{plan.vm}", "vcenter.example", disks=disks, job_id=plan.job_id,
                      appliance=plan.appliance)  # fmt: skip

    def copy(self) -> Copy:
        """The copy that it will start."""
        plan = self.planned
        return Copy(plan.job_id, plan.disks, SIZE, plan.first_post, plan.length, plan.fate)
