"""A tiny HTTP server on a raw socket: it says exactly what a test wants, and how."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOST = "127.0.0.1"
PROGRESS = "/api/v1/progress/"


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


def json_response(body: object) -> bytes:
    return response(200, json.dumps(body).encode(), Content_Type="application/json")


NOT_FOUND = response(404, b"job not found\n")


def say(*parts: bytes, close: bool = False) -> Say:
    """Say these bytes, one after another."""

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.close()

    return speak


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Never answer; ends when the other side gives up."""
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection without a word."""
    writer.transport.abort()


@dataclass
class RawServer:
    """`targets` are the request targets as they came over the wire; unknown ones are answered "job not found"."""

    answers: Mapping[str, Say | bytes] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                await self._exchange((await reader.readuntil(b"\r\n\r\n")).decode(), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has gone
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = head.split(" ")[1]
        self.heads.append(head)
        self.targets.append(target)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        answer = self.answers.get(target.removeprefix(PROGRESS), self.answers.get("*", NOT_FOUND))
        try:
            await (say(answer) if isinstance(answer, bytes) else answer)(reader, writer)
        finally:
            self.in_flight -= 1


@asynccontextmanager
async def serving(answers: Mapping[str, Say | bytes] | None = None) -> AsyncIterator[RawServer]:
    """A server on a free port, for as long as it is needed. Keys are those of the progress API, `*` is any other."""
    raw = RawServer(answers or {})
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(raw.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, HOST, 0)
    raw.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
