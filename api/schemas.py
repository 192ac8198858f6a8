"""What requests may say. Unknown fields are refused, so that a misspelt one is not silently ignored."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.fields import (
    MAX_DISKS,
    Capacity,
    ChangeId,
    DiskId,
    JobId,
    Label,
    Name,
    Path,
    Reason,
    Storable,
    VmPath,
    VolumeId,
)
from db.jobs import NewDisk, NewJob, NewVolume
from fsm.facts import DEFAULT_APPLIANCE, Asked
from fsm.states import Asker


class Request(BaseModel):
    """What all bodies have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DiskRequest(Request):
    """A disk as the workflow announces it."""

    disk_id: DiskId
    capacity_bytes: Capacity
    label: Label = ""
    vmdk_path: Path = ""
    datastore: Label = ""
    provisioning_type: Label = ""
    unit_number: int | None = Field(None, ge=0, le=2**31 - 1, description="order of copying; else that of the list")

    def disk(self) -> NewDisk:
        """The same for the store."""
        return NewDisk(**self.model_dump())


class JobRequest(Request):
    """A replication job as the workflow announces it."""

    vm_name: Name
    vmware_vm_id: Name
    vm_path: VmPath
    vcenter_host: Name
    datacenter: Label = ""
    replication_type: Literal["initial", "incremental"] = "initial"
    target_network: Label = ""
    disks: list[DiskRequest] = Field(default=[], max_length=MAX_DISKS)
    job_id: JobId | None = Field(None, description="made here if none is given")
    appliance: Name = Field(DEFAULT_APPLIANCE, max_length=64, description="the VMA that copies it")
    asked_by: Literal["workflow", "operator"] = "workflow"
    actor: Annotated[Name | None, Field(description="who asks, by name; kept in the history")] = None

    @model_validator(mode="after")
    def _every_disk_once(self) -> "JobRequest":
        ids = [d.disk_id for d in self.disks]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"disks listed twice: {', '.join(twice)}")
        return self

    def job(self) -> NewJob:
        """The same for the store."""
        fields = self.model_dump(exclude={"disks", "asked_by", "actor"})
        return NewJob(**fields, disks=tuple(d.disk() for d in self.disks))

    def asked(self) -> Asked:
        """Who asks."""
        return Asked(Asker(self.asked_by), self.actor)


class VolumeRequest(Request):
    """The CloudStack volume that a disk is copied to."""

    volume_id: VolumeId
    volume_name: Label = ""
    size_gb: int = Field(0, ge=0, le=1 << 20, description="GiB")
    volume_type: Label = ""
    device_path: Label | None = None
    status: Literal["creating", "available", "attached", "detached", "error"] = "attached"

    def volume(self) -> NewVolume:
        """The same for the store."""
        return NewVolume(**self.model_dump())


class EventRequest(Request):
    """Who fires an event, and why. An operator must give name and reason, a failing workflow a reason."""

    asked_by: Literal["workflow", "operator"] = "workflow"
    actor: Annotated[Name | None, Field(description="the operator's name")] = None
    reason: Reason | None = None

    def asked(self) -> Asked:
        """The same for the machine."""
        return Asked(Asker(self.asked_by), self.actor, self.reason)


class TriggerRequest(Request):
    """Who triggers a recovery."""

    actor: Annotated[Name | None, Field(description="kept in the record of the run")] = None


class ChangeIdRequest(BaseModel):
    """A disk's copy ended well. The copy process is another program and aborts if refused: its extras are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    change_id: ChangeId
    disk_id: DiskId
    previous_change_id: Annotated[str, Field(max_length=1000), Storable] | None = None
