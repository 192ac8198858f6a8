"""oma-fsm serve: the service."""

import signal
import sys
from typing import Annotated

import typer

from cli.common import fail, load_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (loopback by default).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    database_url: Annotated[str | None, typer.Option(help="SQLite, PostgreSQL or MariaDB.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
) -> None:
    """Serve the API and poll the VMA until told to stop (SIGTERM)."""
    settings = load_settings(host=host, port=port, database_url=database_url, log_format=log_format)

    import uvicorn  # noqa: PLC0415 # settings are checked before anything slow is loaded
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from api import logs  # noqa: PLC0415
    from api.app import create_app  # noqa: PLC0415
    from api.facade import OmaFsm  # noqa: PLC0415
    from db.errors import StoreError  # noqa: PLC0415

    signal.signal(signal.SIGTERM, _orderly)  # uvicorn raises it again once everything is written
    logs.configure(settings.log_level, settings.log_format)
    try:
        service = OmaFsm(settings)
        service.prepare()
    except (StoreError, ValueError) as error:
        fail(str(error))
    except DBAPIError:
        pass  # the service waits for it, and says so
    config = uvicorn.Config(
        create_app(service),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run()


def _orderly(_signal: int, _frame: object) -> None:
    """SIGTERM is how a supervisor stops us: that is no failure."""
    sys.exit(0)
