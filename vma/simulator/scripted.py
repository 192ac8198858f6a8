"""Copies as a scenario file says them: disks in sequence, how fast, and how they end."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from vma.simulator.plans import KeyStyle
from vma.simulator.units import Duration, Percent, Rate, Size, Start

MOST_COPIES = 100_000
NUMBER = re.compile(r"\{n(:(?P<width>\d{1,2}))?\}")
SyncType = Literal["full", "incremental"]
LONGEST_NAME = 200


def _name(said: str) -> str:
    if not re.fullmatch(r"[^\s/]+", said) or len(said) > LONGEST_NAME:
        raise ValueError(f"{said!r} is no name: 1 to {LONGEST_NAME} characters, neither blanks nor slashes")
    return said


Name = Annotated[str, AfterValidator(_name)]


class Part(BaseModel):
    """No unknown keys, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Defaults(Part):
    """What a copy does unless it says otherwise."""

    rate: Rate = 64.0
    first_post: Duration = 10.0
    setup: Duration = 40.0
    gap: Duration = 5.0
    post_every: Annotated[Duration, Field(gt=0)] = 2.0
    key: KeyStyle = "job_id"


class ScriptedDisk(Part):
    """One disk; `changed` is what an incremental copy moves of it, `gap` the silence before it."""

    id: Name | None = None
    export: Name | None = None
    size: Size
    changed: Size | None = None
    rate: Rate | None = None
    gap: Duration | None = None

    @model_validator(mode="after")
    def _no_more_changes_than_bytes(self) -> "ScriptedDisk":
        if self.changed is not None and self.changed > self.size:
            raise ValueError("changed is more than size: an incremental copy moves at most the whole disk")
        return self


class Stop(Part):
    """Where a copy ends badly: at a share of all its bytes, or of one disk's."""

    at: Percent
    disk: Name | None = None
    error: str | None = Field(default=None, max_length=1000)


class Ending(Part):
    """`completed`, or one of the three."""

    failed: Stop | None = None
    hangs: Stop | None = None
    dies: Stop | None = None

    @model_validator(mode="before")
    @classmethod
    def _completed_is_none_of_them(cls, said: Any) -> Any:
        if not isinstance(said, dict | Ending) and said != "completed":
            raise ValueError(f"{said!r} is no ending: completed, or failed, hangs or dies with at below it")
        return {} if said == "completed" else said

    @model_validator(mode="after")
    def _one(self) -> "Ending":
        if len(self.model_fields_set) > 1:
            raise ValueError("a copy ends once: only one of failed, hangs, dies")
        return self

    def bad(self) -> tuple[Literal["failed", "hung", "killed"], Stop] | None:
        """The state that the copy ends in and where, None if it completes."""
        if self.failed is not None:
            return "failed", self.failed
        if self.hangs is not None:
            return "hung", self.hangs
        return None if self.dies is None else ("killed", self.dies)


class ScriptedCopy(Part):
    """A copy, or `count` like ones with {n} in their names. `start` None (replicate) waits for the OMA's request."""

    job: Name | None = None
    vm: Name | None = None
    count: int = Field(default=1, ge=1, le=MOST_COPIES, strict=True)
    start: Start = 0.0
    spread: Duration = 0.0
    sync: SyncType = "full"
    disks: list[ScriptedDisk] = Field(min_length=1, max_length=64)
    ending: Ending = Ending()
    rate: Rate | None = None
    first_post: Duration | None = None
    setup: Duration | None = None
    gap: Duration | None = None
    post_every: Annotated[Duration, Field(gt=0)] | None = None
    key: KeyStyle | None = None

    @model_validator(mode="after")
    def _named_and_told_apart(self) -> "ScriptedCopy":
        if self.job is None and (self.start is not None or self.vm is None):
            raise ValueError("job is missing; it may only be left out with start: replicate and a vm")
        if self.start is None and self.spread:
            raise ValueError("spread is for copies that start by themselves, not for start: replicate")
        names = {"job" if self.job else "vm": self.job or self.vm}
        names |= {f"disks.{n}.export": disk.export for n, disk in enumerate(self.disks) if disk.export}
        alike = [place for place, name in names.items() if name and self.count > 1 and not NUMBER.search(name)]
        if alike:
            raise ValueError(f"count is {self.count}, so {', '.join(alike)} must contain {{n}} to be told apart")
        return self

    @model_validator(mode="after")
    def _changes_belong_to_an_incremental_copy(self) -> "ScriptedCopy":
        said = [disk.changed is not None for disk in self.disks]
        if self.sync == "incremental" and not all(said):
            raise ValueError('sync is incremental: each disk needs changed, such as "3 GiB" ("0 B" is possible)')
        if self.sync == "full" and any(said):
            raise ValueError("sync is full: changed is for incremental copies")
        return self

    @model_validator(mode="after")
    def _its_stop_is_on_a_disk_of_its_own(self) -> "ScriptedCopy":
        bad, ids = self.ending.bad(), self.disk_ids()
        if bad is not None and bad[1].disk is not None and bad[1].disk not in ids:
            raise ValueError(f"the ending names the disk {bad[1].disk}; the copy has {', '.join(ids)}")
        if len(set(ids)) < len(ids):
            raise ValueError(f"two disks have the same id: {', '.join(ids)}")
        return self

    def disk_ids(self) -> list[str]:
        """As said, else as VMware numbers them."""
        return [disk.id or f"disk-{2000 + n}" for n, disk in enumerate(self.disks)]

    def names(self) -> Iterator[tuple[str | None, str | None]]:
        """Job id and VM of each copy."""
        for n in range(1, self.count + 1):
            yield numbered(self.job, n), numbered(self.vm, n)


def numbered(name: str | None, n: int) -> str | None:
    """With {n} or {n:5} replaced by the number, the latter with leading zeros."""
    return None if name is None else NUMBER.sub(lambda found: f"{n:0{int(found['width'] or 1)}}", name)
