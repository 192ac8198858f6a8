"""The appliances over REST: how each is, and pausing one. Where they are is configuration: `oma-fsm appliances`."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from api.deps import Service, require_ready
from api.facade import OmaFsm
from api.problems import documented
from vma.fleet import ApplianceState

router = APIRouter(prefix="/api/v1/appliances", tags=["appliances"], dependencies=[Depends(require_ready)])
Name = Annotated[str, Path(max_length=64)]


class ApplianceView(BaseModel):
    """An appliance as this process finds it. Times in UTC."""

    name: str
    url: str
    paused: bool = Field(description="nobody asks it; its jobs stay as they are")
    reachable: bool | None = Field(description="by the last question; null until it was asked anything")
    last_heard_at: datetime | None
    last_error: str | None = Field(description="of the last question, if nothing came back")
    unreachable_since: datetime | None = Field(description="since then only a probe asks it, every few seconds")
    in_flight: int = Field(description="requests under way")
    in_flight_limit: int = Field(description="requests it gets at once, as learned from how it answers")
    waiting: int = Field(description="requests that wait for a place: many for long, and its jobs are asked late")
    generation: str | None = Field(description="the shape in which it answers")
    forgot_at: datetime | None = Field(description="when it last forgot a job that it had known: it was restarted")
    forgotten_jobs: int
    refused_since: datetime | None = Field(description="it turns us away (401 or 403) since then")

    @classmethod
    def of(cls, state: ApplianceState) -> Self:
        """From the fleet."""
        return cls(
            name=state.name, url=state.url, paused=state.paused, reachable=state.reachable,
            last_heard_at=state.heard_at, last_error=state.error, unreachable_since=state.since,
            in_flight=state.in_flight, in_flight_limit=state.in_flight_limit, waiting=state.waiting,
            generation=state.generation, forgot_at=state.forgot_at, forgotten_jobs=state.forgotten,
            refused_since=state.refused_since,
        )  # fmt: skip


class ApplianceList(BaseModel):
    """All appliances, by name."""

    items: list[ApplianceView]


class Paused(BaseModel):
    """What pausing or resuming came to."""

    name: str
    paused: bool
    waiting_jobs: int = Field(description="jobs of it that must be polled")


@router.get("", responses=documented(503))
async def list_appliances(service: Service) -> ApplianceList:
    """How every appliance is."""
    return ApplianceList(items=[ApplianceView.of(state) for state in service.fleet.states()])


@router.post("/{name}/pause", responses=documented(404, 422, 503))
async def pause(name: Name, service: Service) -> Paused:
    """Ask nothing of an appliance, for as long as it is worked on. Its jobs stay as they are, whatever time passes."""
    return await _set(service, name, paused=True)


@router.post("/{name}/resume", responses=documented(404, 422, 503))
async def resume(name: Name, service: Service) -> Paused:
    """Ask an appliance again; its jobs are due within seconds."""
    return await _set(service, name, paused=False)


async def _set(service: OmaFsm, name: str, *, paused: bool) -> Paused:
    waiting = await service.pause_appliance(name, paused=paused)
    return Paused(name=name, paused=paused, waiting_jobs=waiting)
