"""What a scenario file says: copies, faults and restarts of one simulated VMA, each at its time."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from vma.simulator.faults import Fault, FaultMode
from vma.simulator.older import Generation
from vma.simulator.scripted import MOST_COPIES, Defaults, Name, Part, ScriptedCopy
from vma.simulator.units import Duration


def _word(word: Any) -> Any:
    """YAML reads an unquoted 503 as a number and an unquoted null as nothing."""
    if word is None:
        return "null"
    return str(word) if isinstance(word, int) and not isinstance(word, bool) else word


Kind = Annotated[FaultMode, BeforeValidator(_word)]


class Pace(Part):
    """Simulated seconds per real second; `real` is 1."""

    accelerate: float = Field(default=1.0, gt=0, le=100_000, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _real_is_one(cls, said: Any) -> Any:
        if not isinstance(said, dict | Pace) and said != "real":
            raise ValueError(f"{said!r} is no pace: real, or accelerate below it, such as {{accelerate: 60}}")
        return {} if said == "real" else said


class ScriptedFault(Part):
    """A fault on the data port, for everybody or for some `keys`; `every` brings it back."""

    at: Duration
    duration: Annotated[Duration, Field(gt=0)] | None = Field(default=None, alias="for")
    kind: Kind
    keys: list[Name] | None = Field(default=None, min_length=1)
    times: int | None = Field(default=None, ge=1, strict=True)
    every: Annotated[Duration, Field(gt=0)] | None = None
    repeat: int = Field(default=1, ge=1, le=10_000, strict=True)

    @model_validator(mode="after")
    def _possible(self) -> "ScriptedFault":
        self.fault()
        if (self.every is None) != (self.repeat == 1):
            raise ValueError("every and repeat go together: repeat (2 or more) says how often it comes")
        if self.every is not None and (self.duration is None or self.duration >= self.every):
            raise ValueError("a fault that comes again needs for, shorter than every")
        return self

    def fault(self) -> Fault:
        """For the switch."""
        return Fault(mode=self.kind, keys=self.keys, times=self.times)

    def spans(self) -> Iterator[tuple[float, float | None]]:
        """From when to when, in simulated seconds; None: to the end."""
        for n in range(self.repeat):
            begin = self.at + n * (self.every or 0.0)
            yield begin, None if self.duration is None else begin + self.duration


class Restart(Part):
    """The VMA's server goes away, comes back and knows nothing."""

    at: Duration
    down_for: Duration = 20.0
    copies_survive: bool = Field(strict=True)


class Scenario(Part):
    """The whole file."""

    scenario: str = Field(min_length=1, max_length=200)
    generation: Generation = "current"
    time: Pace = Pace()
    defaults: Defaults = Defaults()
    copies: list[ScriptedCopy] = Field(min_length=1)
    faults: tuple[ScriptedFault, ...] = ()
    restarts: tuple[Restart, ...] = ()

    @model_validator(mode="after")
    def _every_run_has_a_job_id_of_its_own(self) -> "Scenario":
        if sum(copy.count for copy in self.copies) > MOST_COPIES:
            raise ValueError(f"more than {MOST_COPIES} copies")
        seen: set[str] = set()
        for job in (job or vm for copy in self.copies for job, vm in copy.names()):
            if job in seen:
                raise ValueError(f"{job} is there twice: each run has a job id of its own")
            seen.add(job or "")
        return self

    @model_validator(mode="after")
    def _what_the_generation_can_do(self) -> "Scenario":
        styles = {copy.key or self.defaults.key for copy in self.copies}
        if self.generation != "current" and styles != {"job_id"}:
            raise ValueError(f"the generation {self.generation} knows copies by their job id only: leave key at job_id")
        bare = [c.job or c.vm for c in self.copies if (c.key or self.defaults.key) == "export" and not _exports(c)]
        if bare:
            raise ValueError(f"key is export, but {bare[0]} has disks without one")
        return self

    @model_validator(mode="after")
    def _one_restart_at_a_time(self) -> "Scenario":
        ordered = sorted(self.restarts, key=lambda restart: restart.at)
        for one, other in pairwise(ordered):
            if one.at + one.down_for > other.at:
                raise ValueError(f"the restart at {other.at:g}s begins while the VMA is still down from {one.at:g}s on")
        return self

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self.time.accelerate


def _exports(copy: ScriptedCopy) -> bool:
    return copy.start is None or all(disk.export for disk in copy.disks)
