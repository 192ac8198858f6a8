"""A way to a server that can be cut, and listened to: to its clients the server is restarted, or was never up."""

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from ports import held_port
from sqlalchemy import make_url


class Tunnel:
    """Listens on a port of its own and passes everything on, while it is open; `heard` is told of each piece."""

    def __init__(self, url: str, heard: Callable[[bytes], None] = lambda _: None) -> None:
        self._heard = heard
        target = make_url(url)
        self._target = (str(target.host), int(target.port or 0))
        self._listener: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self._turn = threading.Lock()
        self._holding = ExitStack()
        self._port = self._holding.enter_context(held_port())
        self.open()
        self.url = target.set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._holding.close()

    def open(self) -> None:
        """Let clients through, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        with self._turn:
            listener, self._listener = self._listener, None
            ends, self._ends = [*([listener] if listener else []), *self._ends], set()
        _break(*ends)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._turn:
                is_open = listener is self._listener
                self._ends |= {client, server} if is_open else set()
            if not is_open:  # it was cut while this one came through
                _break(client, server)
                return
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._heard(data)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _break(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
