"""oma-fsm serve: the service."""

import gc
import os
import signal
import socket
import sys
import threading
from typing import Annotated

import typer

from cli.common import fail, load_settings

STOPS_WITHIN = 8.0  # seconds
GARBAGE = 20_000  # objects made before the young ones are looked through


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (loopback by default).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    database_url: Annotated[str | None, typer.Option(help="SQLite, PostgreSQL or MariaDB.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
) -> None:
    """Serve the API and poll the VMA until told to stop (SIGTERM)."""
    settings = load_settings(host=host, port=port, database_url=database_url, log_format=log_format)
    _require_free(settings.host, settings.port)  # before anything is claimed or asked
    gc.disable()  # until all is loaded: looking for garbage in it takes a tenth of a start

    import uvicorn  # noqa: PLC0415 # settings are checked before anything slow is loaded
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from api import logs  # noqa: PLC0415
    from api.app import create_app  # noqa: PLC0415
    from api.facade import OmaFsm  # noqa: PLC0415
    from api.health import STALE_BEAT, heartbeat_age  # noqa: PLC0415
    from cli.systemd import NotifyingServer  # noqa: PLC0415
    from db.errors import StoreError  # noqa: PLC0415

    signal.signal(signal.SIGTERM, _orderly)  # uvicorn raises it again once everything is written
    logs.configure(settings.log_level, settings.log_format)
    try:
        service = OmaFsm(settings)
        service.prepare()
    except (StoreError, ValueError) as error:
        fail(str(error))
    except DBAPIError as error:
        service.is_away(error)
    config = uvicorn.Config(
        create_app(service),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    _spare_the_collector()
    NotifyingServer(config, lambda: heartbeat_age(service) < STALE_BEAT, _leave_in_time).run()


def _require_free(host: str, port: int) -> None:
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                probe.bind(address)
    except OSError as error:
        fail(
            f"cannot listen on {host} port {port}: {error.strerror}; nothing was started."
            " If another service is there, stop it, or choose another port (--port, OMA_FSM_PORT)"
        )


def _spare_the_collector() -> None:
    """What is loaded stays: looking at it again and again takes a fifth of a recovery of thousands of jobs."""
    gc.freeze()  # without a look at it before, which takes a tenth of a second and finds little
    gc.set_threshold(GARBAGE, 20, 50)
    gc.enable()


def _leave_in_time() -> None:
    """A database that holds a statement would hold our threads, and those our end."""
    timer = threading.Timer(STOPS_WITHIN, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    import structlog  # noqa: PLC0415

    structlog.get_logger(__name__).error(
        "The stop takes too long, most likely because the database holds a statement: we leave without it;"
        " what was not written is asked for again"
    )
    os._exit(0)


def _orderly(_signal: int, _frame: object) -> None:
    """SIGTERM is how a supervisor stops us: that is no failure."""
    sys.exit(0)
