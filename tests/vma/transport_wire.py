"""What lies below a connection, without a socket."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from vma.transport.connection import READ_SIZE, Connection
from vma.transport.exchange import Exchange


@dataclass
class Wire:
    """The transport below a connection, without a socket; connections that are given back are counted."""

    released: int = 0
    paused: bool = False
    closed: bool = False
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        buffer, loop = memoryview(bytearray(READ_SIZE)), asyncio.get_running_loop()
        self.connection = Connection(buffer, loop, self._release, lambda _: None)
        self.connection.connection_made(cast("asyncio.Transport", self))

    def _release(self, _: Connection) -> None:
        self.released += 1

    def ask(self) -> Exchange:
        return self.connection.ask(b"GET / HTTP/1.1\r\n\r\n", 60, asyncio.get_running_loop().time() + 60)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            for at in range(0, len(piece), READ_SIZE):
                part = piece[at : at + READ_SIZE]
                self.connection.get_buffer(-1)[: len(part)] = part
                self.connection.buffer_updated(len(part))

    def end(self, error: Exception | None = None) -> None:
        if error is None:
            self.connection.eof_received()
        self.connection.connection_lost(error)

    # what a connection wants of its transport

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
