"""The data API, as the appliance serves it under /api/v1."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from vma.simulator.appliance import Appliance, Tracked
from vma.simulator.gate import Gate
from vma.simulator.hot import CHUNKED_ABOVE_BYTES, HotPath, health_body
from vma.simulator.pages import encode, rfc3339
from vma.simulator.plans import ReplicateRequest
from vma.simulator.wire import BadBodyError, decode_object, decode_update

Body = TypeVar("Body", bound=BaseModel)
NO_CACHE = {"Cache-Control": "no-cache"}


class CleanupRequest(BaseModel):
    """The body of POST /cleanup."""

    job_id: str = Field(min_length=1)
    action: str = "delete_snapshot"


def data_app(appliance: Appliance) -> ASGIApp:
    """The ASGI application of the data port."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(_router(appliance), prefix="/api/v1")
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_exception_handler(BadBodyError, _bad_body)
    return HotPath(Gate(app, appliance.faults, appliance.requests, appliance.now), appliance)


def _router(appliance: Appliance) -> APIRouter:
    router = APIRouter()
    current = appliance.generation == "current"
    reads_logs = appliance.generation == "errors_as_objects"
    unknown = "Job not found: {key}" if reads_logs else "job not found"
    no_cache = None if reads_logs else NO_CACHE

    @router.get("/health")
    async def health() -> Response:
        return _json_bytes(health_body(appliance.now()))

    @router.get("/progress/{key}")
    async def progress(key: str) -> Response:
        body = appliance.progress.body(key, appliance.now())
        return text_answer(404, unknown.format(key=key)) if body is None else _json_bytes(body, no_cache)

    @router.post("/progress/{key}/update")
    async def update(key: str, request: Request) -> Response:
        if not current:
            return text_answer(404, "404 page not found")
        created = appliance.progress.update(key, decode_update(await request.body()))
        said = {"auto_initialized": True} if created else {}
        return json_answer({**said, "job_id": key, "status": "success"})

    @router.post("/replicate")
    async def replicate(request: Request) -> Response:
        asked = _read(ReplicateRequest, await request.body())
        appliance.copies.start(asked)
        moment = appliance.now()
        appliance.tracked[asked.job_id] = Tracked(started=moment, updated=moment)
        return json_answer(
            {
                "job_id": asked.job_id,
                "status": "started",
                "vm_count": len(asked.vm_paths),
                "started_at": rfc3339(moment),
            }
        )

    @router.post("/cleanup")
    async def cleanup(request: Request) -> Response:
        asked = _read(CleanupRequest, await request.body())
        tracked = appliance.tracked.get(asked.job_id)
        if tracked is not None:
            tracked.status, tracked.operation = "completed", "cleanup_completed"
            tracked.updated = appliance.now()
        return json_answer({"job_id": asked.job_id, "action": asked.action, "status": "success"})

    @router.get("/status/{job_id}")
    async def status(job_id: str) -> Response:
        tracked = appliance.tracked.get(job_id)
        if tracked is None:
            return text_answer(404, f"Job not found: {job_id}")
        return json_answer(
            {
                "job_id": job_id,
                "status": tracked.status,
                "progress_percent": 0,
                "current_operation": tracked.operation,
                "start_time": _nanoseconds(tracked.started),
                "last_update": _nanoseconds(tracked.updated),
            }
        )

    return router


def json_answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """Compact JSON and a newline; chunked when it is long."""
    return _json_bytes(encode(body), headers)


def _json_bytes(data: bytes, headers: dict[str, str] | None = None) -> Response:
    if len(data) > CHUNKED_ABOVE_BYTES:
        return StreamingResponse(_one(data), headers=headers, media_type="application/json")
    return Response(data, headers=headers, media_type="application/json")


def text_answer(status: int, text: str) -> Response:
    """An error, as the appliance writes them."""
    headers = {"X-Content-Type-Options": "nosniff"}
    return Response(f"{text}\n", status, headers=headers, media_type="text/plain")


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _no_such_page(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return text_answer(404, "404 page not found") if status == 404 else Response(status_code=status)


async def _bad_body(_request: Request, error: Exception) -> Response:
    return text_answer(400, str(error))


def _read(model: type[Body], body: bytes) -> Body:
    try:
        return model.model_validate(decode_object(body, f"api.{model.__name__}"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadBodyError(f"invalid request body: {place}: {first['msg']}") from error


def _nanoseconds(moment: datetime) -> str:
    seconds = rfc3339(moment)
    return f"{seconds[:19]}.{moment.microsecond * 1000:09d}{seconds[19:]}"
