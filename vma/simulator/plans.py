"""What a simulated copy will do, and what /replicate asks for."""

from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

GIB = 2**30
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
KeyStyle = Literal["job_id", "job_id_plain", "export"]


class Disk(BaseModel):
    """One disk of a copy: VMware's id, the NBD export it is written to, and the bytes to copy.

    `rate_mib_s` and `gap_s` (the silence before it) are its own, or None: the plan's.
    """

    model_config = ConfigDict(frozen=True)

    disk_id: str
    export: str = ""
    size_bytes: int = Field(default=2 * GIB, ge=0)
    rate_mib_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    gap_s: Seconds | None = None


class End(BaseModel):
    """Where a copy stops short, 0-100 % of all its bytes or of those of `disk_id`, and in which state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["failed", "hung", "killed"]
    at_percent: float = Field(ge=0, le=100)
    disk_id: str | None = None
    why: str | None = None


class Plan(BaseModel):
    """How a copy runs. Times are simulated seconds from its start; `speed` of the simulator shortens them.

    `key`: "job_id" posts under the job id, with `disk_progresses` if there are several disks; "job_id_plain"
    never names a disk; "export" posts each disk under its own export name. `sync_type` None: incremental
    if the OMA knew a ChangeID of the disk, else full. `disks` fills in or, by `disk_id` (an empty one: by its place),
    overrides what the request's `nbd_targets` say. `end` None: all goes well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_mib_s: float = Field(default=64.0, gt=0, allow_inf_nan=False)
    first_post_after_s: Seconds = 1.0
    setup_s: Seconds = 4.0
    gap_s: Seconds = 2.0
    post_every_s: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    key: KeyStyle = "job_id"
    sync_type: str | None = None
    disks: list[Disk] = []
    end: End | None = None

    def disks_for(self, targets: list["NbdTarget"]) -> list[Disk]:
        """The disks to copy, in the order of the request; the plan's own if the request names none."""
        if not targets:
            return self.disks or [Disk(disk_id="disk-2000")]
        by_id = {disk.disk_id: disk for disk in self.disks if disk.disk_id}
        by_place = [None if disk.disk_id else disk for disk in self.disks]
        places = [*by_place, *[None] * len(targets)]
        return [target.disk(by_id.get(target.disk_id, place)) for target, place in zip(targets, places, strict=False)]


class NbdTarget(BaseModel):
    """One element of `nbd_targets`; other keys are ignored."""

    disk_id: str
    nbd_url: str = ""
    size_bytes: int | None = Field(default=None, ge=0)

    def disk(self, planned: Disk | None) -> Disk:
        export = PurePosixPath(urlsplit(self.nbd_url).path).name
        if planned is not None:
            return planned.model_copy(update={"disk_id": self.disk_id, "export": export})
        return Disk(
            disk_id=self.disk_id, export=export, size_bytes=2 * GIB if self.size_bytes is None else self.size_bytes
        )


class ReplicateRequest(BaseModel):
    """The body of POST /replicate. The vCenter credentials are accepted and thrown away."""

    job_id: str = Field(min_length=1)
    vm_paths: list[str] = []
    oma_url: str = ""
    nbd_targets: list[NbdTarget] = []

    @property
    def vm_path(self) -> str:
        """Of the first VM, or empty."""
        return self.vm_paths[0] if self.vm_paths else ""
