"""Errors as answers: one JSON shape, a text that says what to do, and nothing of our insides."""

import errno
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.errors import NotReadyError, RefusedError
from api.outages import outage
from db import views
from db.errors import (
    ConflictError,
    GuardRefusedError,
    LostRaceError,
    NotFoundError,
    RecoveryRunningError,
    UnreadableJobError,
)
from fsm.decision import Decision
from fsm.guard import GuardVerdict
from fsm.render.png import PngError
from fsm.states import Event

log = structlog.get_logger(__name__)
RETRY_AFTER: Final = 5  # seconds


class Problem(BaseModel):
    """What went wrong: a code for programs, a text for people."""

    error: str
    message: str


class InvalidField(BaseModel):
    """One thing that is wrong with a request."""

    field: str
    message: str


class Invalid(Problem):
    """A request that does not make sense."""

    fields: list[InvalidField]


class RecoveryRunning(Problem):
    """A recovery is under way: which one, and at which replica, null if at the one that answers."""

    run_id: int
    replica: str | None


class FailedGuard(BaseModel):
    """A guard that said no. `becomes_true_at`: when time alone will change that."""

    name: str
    observed: str
    limit: str
    becomes_true_at: datetime | None


class LastMove(BaseModel):
    """What last happened to the job, and who did it."""

    event: str
    to_state: str
    ending: str | None
    asked_by: str
    actor: str | None
    reason: str | None
    at: datetime


class Refusal(Problem):
    """An event that the table or its guards refuse; all failed guards are named."""

    event: str
    state: str | None
    outcome: str
    failed_guards: list[FailedGuard]
    possible_at: datetime | None
    last_move: LastMove | None


def failed_guards(verdicts: tuple[GuardVerdict, ...]) -> list[FailedGuard]:
    """The verdicts that say no, each once: several edges may share a guard."""
    return [
        FailedGuard(name=v.name, observed=v.observed, limit=v.limit, becomes_true_at=v.becomes_true_at)
        for v in dict.fromkeys(verdicts)
        if not v.passed
    ]


def answer(status: int, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    return JSONResponse(problem.model_dump(mode="json"), status, headers)


# --- what the store and the machine refuse -----------------------------------------------------------


async def _not_found(_request: Request, error: Exception) -> JSONResponse:
    return answer(404, Problem(error="not_found", message=str(error)))


async def _conflict(_request: Request, error: Exception) -> JSONResponse:
    return answer(409, Problem(error="conflict", message=str(error)))


async def _cannot_draw(_request: Request, error: Exception) -> JSONResponse:
    return answer(501, Problem(error="cannot_draw", message=str(error)))


async def _integrity(_request: Request, error: Exception) -> JSONResponse:
    log.warning("database refused a change", why=_original(error)[:300])
    text = "the change contradicts what was stored meanwhile; nothing was written. Read again, then repeat"
    return answer(409, Problem(error="conflict", message=text))


async def _recovery_running(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RecoveryRunningError)  # noqa: S101 # the handler's own condition, for the type checker
    body = RecoveryRunning(error="recovery_running", message=str(error), run_id=error.run_id, replica=error.where)
    return answer(409, body)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)  # noqa: S101 # the handler's own condition, for the type checker
    decision = error.decision
    body = Refusal(
        error=decision.outcome.value,
        message=decision.says,
        event=decision.event.value,
        state=decision.source.value if decision.source else None,
        outcome=decision.outcome.value,
        failed_guards=failed_guards(decision.refusals),
        possible_at=decision.possible_at,
        last_move=await _last_move(request, decision),
    )
    return answer(409, body)


async def _last_move(request: Request, decision: Decision) -> LastMove | None:
    """Who brought the job where it is; a refusal must not fail because that cannot be read."""
    if decision.event is Event.CREATE:
        return None
    try:
        row = await request.app.state.service.read(views.last_move, decision.before.job_id)
    except SQLAlchemyError as failure:
        log.warning("last move of a job cannot be read", job_id=decision.before.job_id, why=_original(failure)[:300])
        return None
    return None if row is None else LastMove.model_validate(dict(row))


# --- what the database cannot do ---------------------------------------------------------------------


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    why = _original(error)
    log.error("database failed a request", path=request.url.path, why=why[:300])
    return _later(*outage(why))


async def _not_ready(_request: Request, error: Exception) -> JSONResponse:
    return _later("not_ready", str(error))


def _later(code: str, text: str) -> JSONResponse:
    return answer(503, Problem(error=code, message=text), {"retry-after": str(RETRY_AFTER)})


async def _system(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)  # noqa: S101 # the handler's own condition, for the type checker
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return await _unavailable(request, OSError(f"no space left: {error}"))
    log.error("request failed", path=request.url.path, exc_info=error)
    return await _unexpected(request, error)


def _original(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)


# --- what the request got wrong ----------------------------------------------------------------------


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Without the values sent: they may be long, or not even be text."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 # the handler's own condition, for the type checker
    fields = [InvalidField(field=_shown(e["loc"]), message=e["msg"]) for e in error.errors()]
    text = "; ".join(f"{f.field}: {f.message}" for f in fields[:5])
    if fields[0].field == "body" and "json" not in request.headers.get("content-type", ""):
        text += "; a body must be JSON, sent with `content-type: application/json`"
    return answer(422, Invalid(error="invalid", message=text, fields=fields))


def _shown(where: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in where)[:200]


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 # the handler's own condition, for the type checker
    code = HTTPStatus(error.status_code).name.lower()
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, Problem(error=code, message=str(error.detail)), headers)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    text = "something unexpected happened; the service's log says what. Nothing half-done was kept"
    return answer(500, Problem(error="internal", message=text))


_HANDLERS: Final[dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]]] = {
    NotFoundError: _not_found,
    ConflictError: _conflict,
    LostRaceError: _conflict,
    UnreadableJobError: _conflict,
    GuardRefusedError: _conflict,
    PngError: _cannot_draw,
    RefusedError: _refused,
    RecoveryRunningError: _recovery_running,
    NotReadyError: _not_ready,
    IntegrityError: _integrity,
    DBAPIError: _unavailable,
    PoolTimeoutError: _unavailable,
    OSError: _system,
    RequestValidationError: _invalid,
    HTTPException: _http,
    Exception: _unexpected,
}


def handle_problems(app: FastAPI) -> None:
    """Every error of every route becomes a `Problem`."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Which problems a route may answer, for OpenAPI."""
    known: dict[int, type[Problem]] = {409: Refusal, 422: Invalid}
    return {s: {"model": known.get(s, Problem), "description": HTTPStatus(s).phrase} for s in statuses}
