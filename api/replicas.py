"""The replicas over REST: who serves this database, and which share of the jobs each polls."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.deps import Service, require_ready
from api.problems import documented
from db import roster
from db.roster import Server

router = APIRouter(prefix="/api/v1/replicas", tags=["replicas"], dependencies=[Depends(require_ready)])


class ReplicaView(BaseModel):
    """A process that serves the database, or died serving it. Times in UTC."""

    mode: str = Field(description="single, database or tooz")
    id: str | None = Field(description="as `polled_by` and `run_by` name it; null in mode single")
    slot: int | None
    host: str
    pid: int
    alive: bool | None = Field(
        description="null where nobody can tell: on SQLite, and while the coordination server is away"
    )
    polls: bool = Field(description="false: it only answers the API")
    shares: int | None = Field(description="of `of_shares`, when it was last seen")
    of_shares: int | None
    since: datetime
    seen_at: datetime | None = Field(description="when it last wrote this; every few seconds")
    this: bool = Field(description="it is the one that answers you")

    @classmethod
    def of(cls, server: Server, own_id: str) -> Self:
        """From the roster."""
        return cls(
            mode=server.mode, id=server.id, slot=server.slot, host=server.host, pid=server.pid, alive=server.alive,
            polls=server.polls, shares=server.shares, of_shares=server.of_shares, since=server.since,
            seen_at=server.seen_at, this=server.mode == "single" or server.id == own_id,
        )  # fmt: skip


class ReplicaList(BaseModel):
    """All of them, the living first."""

    items: list[ReplicaView]


@router.get("", responses=documented(503))
async def list_replicas(service: Service) -> ReplicaList:
    """Who serves this database."""
    found = await service.read(roster.servers, service.place.members())
    return ReplicaList(items=[ReplicaView.of(server, service.observer.id) for server in found])
