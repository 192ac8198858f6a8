"""The two calls of the copy process on the VMA: what was copied last, and that a disk's copy has ended well."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.deps import Service, require_ready
from api.fields import DiskId, JobId, VmPath
from api.problems import documented
from api.schemas import ChangeIdRequest

router = APIRouter(prefix="/api/v1/replications", tags=["copy process"], dependencies=[Depends(require_ready)])


class LastChangeId(BaseModel):
    """The ChangeID of a disk's last good copy; empty if there is none, so that all of it must be copied."""

    vm_path: str
    disk_id: str
    change_id: str


class RecordedChangeId(BaseModel):
    """The proof as it stands."""

    job_id: str
    disk_id: str
    change_id: str
    recorded: bool = Field(description="false: it was known already")


@router.get("/changeid", responses=documented(404, 422, 503))
async def get_change_id(
    vm_path: Annotated[VmPath, Query()], disk_id: Annotated[DiskId, Query()], service: Service
) -> LastChangeId:
    """Where an incremental copy of a disk may begin."""
    change_id = await service.last_change_id(vm_path, disk_id)
    return LastChangeId(vm_path=vm_path, disk_id=disk_id, change_id=change_id)


@router.post("/{job_id}/changeid", responses=documented(404, 422, 503))
async def post_change_id(job_id: JobId, body: ChangeIdRequest, service: Service) -> RecordedChangeId:
    """A disk's copy has ended well: the proof is kept, and the job is asked about at once. May be repeated."""
    fresh = await service.record_change_id(job_id, body.disk_id, body.change_id, body.previous_change_id or None)
    return RecordedChangeId(job_id=job_id, disk_id=body.disk_id, change_id=body.change_id, recorded=fresh)
