"""Pictures over REST: of the machine, of one job's path, and of all jobs."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.deps import Service, require_ready
from api.facade import OmaFsm
from api.fields import JobId
from api.problems import documented
from db import diagrams
from db.errors import NotFoundError
from fsm.render.formats import DEFAULT, FORMATS, UnknownFormatError, format_of
from fsm.render.model import Diagram
from fsm.render.views import UnknownViewError, names, view

router = APIRouter(prefix="/api/v1", tags=["diagrams"])


def _known(name: str) -> str:
    try:
        format_of(name)
    except UnknownFormatError as error:
        raise PydanticCustomError("unknown_format", "{why}", {"why": str(error)}) from None
    return name


FormatName = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "enum": list(FORMATS)}),
    Query(alias="format", max_length=32, description="how it is drawn"),
]
_DRAWN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "the picture", "content": {form.media_type: {} for form in FORMATS.values()}}
}


class Views(BaseModel):
    """What can be shown of the machine, and how."""

    views: list[str]
    formats: list[str] = Field(description="of every picture")


@router.get("/diagrams")
async def list_views() -> Views:
    """The views of the machine, and the formats of all pictures."""
    return Views(views=list(names()), formats=list(FORMATS))


@router.get(
    "/diagrams/fleet",
    dependencies=[Depends(require_ready)],
    response_class=Response,
    responses=_DRAWN | documented(422, 501, 503),
)
async def get_fleet(service: Service, form: FormatName = DEFAULT) -> Response:
    """All jobs: how many are in each state, how long jobs stay there, and over which moves they fail."""
    return await _drawn(service, await service.read(diagrams.fleet_map), form)


@router.get("/diagrams/{view_name}", response_class=Response, responses=_DRAWN | documented(404, 422, 501))
async def get_view(view_name: str, service: Service, form: FormatName = DEFAULT) -> Response:
    """The machine, or a part of it, with the limits of this service's policy."""
    try:
        shown = view(view_name, service.settings.policy)
    except UnknownViewError:
        raise NotFoundError("diagram view", view_name[:100]) from None
    return await _drawn(service, shown, form)


@router.get(
    "/replications/{job_id}/diagram",
    dependencies=[Depends(require_ready)],
    response_class=Response,
    responses=_DRAWN | documented(404, 422, 501, 503),
)
async def get_path(job_id: JobId, service: Service, form: FormatName = DEFAULT) -> Response:
    """What a job really went through: its moves, numbered, who asked for them, and the time in each state."""
    return await _drawn(service, await service.read(diagrams.job_path, job_id, service.observer.now()), form)


async def _drawn(service: OmaFsm, shown: Diagram, form: str) -> Response:
    drawn = format_of(form)
    content = await service.work(drawn.bytes, shown)
    kind = drawn.media_type + ("; charset=utf-8" if drawn.media_type.startswith("text/") else "")
    return Response(content, headers={"content-type": kind})
