"""A listening port that can be shut and opened again without anybody else getting it."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PortTakenError(Exception):
    """Another program has the port, or the address is not of this machine."""


class _Protocol(HttpToolsProtocol):
    """Lets the application hang up: `scope["state"]["transport"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}

    def shutdown(self) -> None:
        """A request under way ends with the connection, not with uvicorn's 500."""
        super().shutdown()
        self.transport.close()


class _Server(uvicorn.Server):
    """Leaves signals to the program it runs in, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Port:
    """Binds at once (raises PortTakenError), serves after `open`; shut, it is still bound: nobody else gets it."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._socket = _bound(host, port)
        self.number: int = self._socket.getsockname()[1]
        self._app: ASGIApp | None = None
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.number}"

    def serve(self, app: ASGIApp) -> None:
        """What to serve once open."""
        self._app = app

    async def open(self) -> None:
        """Listen; done when connections are accepted. Nothing happens if it is open already."""
        if self._task is not None or self._app is None:
            return
        self._server = server = _Server(_config(self._app))
        self._task = task = asyncio.create_task(server.serve(sockets=[self._socket]))
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait((task, listening), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            listening.cancel()
            await task

    async def shut(self) -> None:
        """Refuse connections and drop those there are; done when that is so."""
        if self._task is not None:
            await self.close()
            self._socket = _bound(self._host, self.number)

    async def close(self) -> None:
        """Stop for good."""
        if self._task is not None and self._server is not None:
            self._server.should_exit = True
            await self._task
        self._socket.close()
        self._server = self._task = None


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=0,
    )


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTakenError(f"{host} is no address to listen on: {error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise PortTakenError(f"cannot listen on {host}:{port} ({error.strerror}): choose another port") from error
    return bound
