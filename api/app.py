"""The REST API as an ASGI app around one service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from api import appliances, change_ids, diagrams, health, jobs, polling, recovery, replicas
from api.facade import OmaFsm
from api.limits import BodyLimit
from api.problems import handle_problems
from api.version import VERSION

DESCRIPTION: Final = """\
Replication jobs of an OMA as a persisted state machine: what a job is, what may happen to it, and who says so.

Every error is JSON, `{"error": code, "message": text}`. A refused event is a 409 that names every guard that
failed. Times are UTC, sizes bytes, rates MiB/s, percentages 0-100.
"""
TAGS: Final = [
    {"name": "jobs", "description": "Jobs, their history, and the events of workflow and operators."},
    {"name": "copy process", "description": "The two calls that the copy process on the VMA makes."},
    {"name": "diagrams", "description": "Pictures of the machine and of jobs, as text for Mermaid or as files."},
    {"name": "recovery", "description": "Validation of all active jobs against the VMA."},
    {"name": "polling", "description": "Who is polled, and how that goes."},
    {"name": "appliances", "description": "The VMAs that jobs belong to, and how each is."},
    {"name": "replicas", "description": "The processes that serve this database."},
    {"name": "health", "description": "For supervisors, load balancers and Prometheus."},
]


def create_app(service: OmaFsm) -> FastAPI:
    """The app; its lifespan starts and stops the service. What `OmaFsm.start` raises ends the start-up."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="OMA FSM",
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from a public CDN; an appliance has no way there
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(BodyLimit)
    handle_problems(app)
    # change_ids before jobs: its /changeid would be taken for a job's id.
    for module in (change_ids, jobs, diagrams, recovery, polling, appliances, replicas, health):
        app.include_router(module.router)
    return app
