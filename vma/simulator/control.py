"""The control API: what the demo and the tests make the appliance do. It has a port of its own."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict

from vma.simulator.appliance import Appliance
from vma.simulator.faults import Fault
from vma.simulator.hub import NoSuchCopyError, WrongStateError
from vma.simulator.plans import Plan
from vma.simulator.player import Door
from vma.simulator.records import CopyView
from vma.simulator.requests_log import Requests
from vma.simulator.wire import BadBodyError, decode_update


class Failure(BaseModel):
    """Why a copy is made to fail; seen in the listing only, as the appliance drops it."""

    message: str = "failed by command"


class Forgetting(BaseModel):
    """What is lost (`keys` null: everything), and whether the copy processes live on."""

    model_config = ConfigDict(extra="forbid")

    keys: list[str] | None = None
    copies_survive: bool = True


class EntryText(BaseModel):
    """An entry put by hand.

    `updates` are posted in turn as a copy process would, `start_time` then backdates the entry; `raw` is answered
    word for word instead. `fresh` false: post to what is there.
    """

    model_config = ConfigDict(extra="forbid")

    updates: list[dict[str, Any]] = []
    start_time: AwareDatetime | None = None
    raw: dict[str, Any] | None = None
    fresh: bool = True


def control_app(appliance: Appliance, door: Door) -> FastAPI:
    """The ASGI application of the control port."""
    app = FastAPI(title="VMA simulator control", redirect_slashes=False)
    for router in (_copies(appliance), _map(appliance), _faults(appliance, door), _requests(appliance)):
        app.include_router(router, prefix="/control")
    app.add_exception_handler(NoSuchCopyError, _refusal(404))
    app.add_exception_handler(WrongStateError, _refusal(409))
    app.add_exception_handler(BadBodyError, _refusal(422))
    return app


def _copies(appliance: Appliance) -> APIRouter:
    router = APIRouter(tags=["copies"])
    copies = appliance.copies

    @router.put("/plans/{job_id}", status_code=204)
    async def plan(job_id: str, plan: Plan) -> None:
        copies.plan(job_id, plan)

    @router.put("/default-plan", status_code=204)
    async def default_plan(plan: Plan) -> None:
        copies.plan_by_default(plan)

    @router.get("/copies")
    async def listing() -> list[CopyView]:
        return copies.views()

    @router.post("/copies/{job_id}/fail")
    async def fail(job_id: str, failure: Failure | None = None) -> CopyView:
        await copies.fail(job_id, (failure or Failure()).message)
        return copies.view(job_id)

    def command(name: str, act: Callable[[str], Awaitable[None]]) -> None:
        @router.post(f"/copies/{{job_id}}/{name}", name=name)
        async def commanded(job_id: str) -> CopyView:
            await act(job_id)
            return copies.view(job_id)

    command("hang", copies.hang)
    command("resume", copies.resume)
    command("kill", copies.kill)
    command("finish", copies.finish)
    return router


def _map(appliance: Appliance) -> APIRouter:
    router = APIRouter(tags=["progress map"])

    @router.post("/forget", status_code=204)
    async def forget(what: Forgetting) -> None:
        await appliance.forget(what.keys, copies_survive=what.copies_survive)

    @router.get("/entries")
    async def keys() -> list[str]:
        return appliance.progress.keys()

    @router.put("/entries/{key}", status_code=204)
    async def entry(key: str, text: EntryText) -> None:
        if text.raw is not None:
            appliance.progress.put_raw(key, text.raw)
            return
        updates = [decode_update(json.dumps(update).encode()) for update in text.updates]
        appliance.progress.put(key, updates, text.start_time, fresh=text.fresh)

    return router


def _faults(appliance: Appliance, door: Door) -> APIRouter:
    router = APIRouter(tags=["faults"])

    @router.get("/faults")
    async def current() -> Fault | None:
        return appliance.faults.current

    @router.put("/faults")
    async def put(fault: Fault) -> Fault:
        appliance.faults.set(fault)
        await door.settle()
        return fault

    @router.delete("/faults", status_code=204)
    async def clear() -> None:
        appliance.faults.set(None)
        await door.settle()

    return router


def _requests(appliance: Appliance) -> APIRouter:
    router = APIRouter(tags=["requests"])

    @router.get("/requests")
    async def report() -> Requests:
        return appliance.requests.report()

    @router.delete("/requests", status_code=204)
    async def clear() -> None:
        appliance.requests.clear()

    return router


def _refusal(status: int) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def refuse(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status)

    return refuse
