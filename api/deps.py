"""What routes ask for."""

from typing import Annotated

from fastapi import Depends, Request

from api.errors import NotReadyError
from api.facade import OmaFsm


async def service_of(request: Request) -> OmaFsm:
    """The service that this app serves."""
    service: OmaFsm = request.app.state.service
    return service


Service = Annotated[OmaFsm, Depends(service_of)]


async def require_ready(service: Service) -> None:
    """NotReadyError until the database has answered for the first time."""
    if not service.ready:
        raise NotReadyError("the service is waiting for its database; it tries again every second")


def percent(part: int, whole: int) -> float | None:
    """A rate, 0-100 with two decimals; None if there is nothing to divide by."""
    return round(100.0 * part / whole, 2) if whole else None
