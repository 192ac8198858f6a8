"""What supervisors, load balancers and Prometheus ask."""

import asyncio
from typing import Any, Final

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.deps import Service
from api.facade import OmaFsm
from api.version import VERSION
from db import views
from fsm.policy import RecoveryPolicy
from fsm.spec import spec_hash

router = APIRouter(tags=["health"])
log = structlog.get_logger(__name__)
STALE_BEAT: Final = 10.0  # seconds without a heartbeat of the event loop
DATABASE_PATIENCE: Final = 5.0  # seconds


class Health(BaseModel):
    """Alive or ready, and if not, why not."""

    ok: bool
    reasons: list[str]


class Version(BaseModel):
    """What runs here. Both hashes are stamped into every line of history."""

    version: str
    spec_hash: str
    policy_hash: str


_UNHEALTHY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Health}}


@router.get("/healthz", response_model=Health, responses=_UNHEALTHY)
async def healthz(service: Service) -> JSONResponse:
    """Alive: the event loop's heartbeat is fresh. A database that is away is no reason for a restart."""
    age = heartbeat_age(service)
    return _health([f"the event loop's last heartbeat was {age:.0f} s ago"] if age > STALE_BEAT else [])


def heartbeat_age(service: OmaFsm) -> float:
    """Seconds since the event loop last ran our heartbeat; 0 while polling has not begun."""
    return service.observer.uptime() - service.polling.beat if service.polling.running else 0.0


@router.get("/readyz", response_model=Health, responses=_UNHEALTHY)
async def readyz(service: Service) -> JSONResponse:
    """Ready: polling has started, and the database answers now. Recovery may still be under way."""
    if not service.ready:
        return _health(["the service has not started: it is waiting for its database"])
    return _health(await _database_troubles(service))


def _health(reasons: list[str]) -> JSONResponse:
    health = Health(ok=not reasons, reasons=reasons)
    return JSONResponse(health.model_dump(), 503 if reasons else 200)


async def _database_troubles(service: OmaFsm) -> list[str]:
    try:
        await asyncio.wait_for(service.read(views.answers), DATABASE_PATIENCE)
    except TimeoutError:
        return [f"the database did not answer within {DATABASE_PATIENCE:.0f} s"]
    except SQLAlchemyError as error:
        log.warning("database does not answer", why=str(error)[:300])
        return ["the database does not answer"]
    return []


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(service: Service) -> Response:
    """Counters and gauges for Prometheus."""
    return Response(generate_latest(service.polling.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/v1/policy")
async def policy(service: Service) -> RecoveryPolicy:
    """Every number that the rules use; durations as ISO 8601."""
    return service.store.policy


@router.get("/api/v1/version")
async def version(service: Service) -> Version:
    """Release, rules and policy of this process."""
    return Version(version=VERSION, spec_hash=spec_hash(), policy_hash=service.store.policy.fingerprint)
