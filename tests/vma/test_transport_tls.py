"""The transport over TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from raw_server import HOST, response

from vma.transport import VmaTransport

OK = response(200, b"{}")
LOOPBACK = Path(__file__).with_name("loopback_for_tests.pem")  # certificate and key of a made-up 127.0.0.1


async def fetch(transport: VmaTransport, url: str) -> bytes:
    return await (await transport.handle_async_request(httpx.Request("GET", url))).aread()


@asynccontextmanager
async def serving_tls(answer: bytes) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOOPBACK)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
        writer.close()

    async with await asyncio.start_server(speak, HOST, 0, ssl=context) as server:
        yield f"https://{HOST}:{server.sockets[0].getsockname()[1]}/"


def test_an_appliance_may_speak_tls() -> None:
    body = b"x" * 300_000

    async def work() -> None:
        context = ssl.create_default_context(cafile=str(LOOPBACK))
        async with serving_tls(response(200, body)) as url, VmaTransport(tls=context) as transport:
            for _ in range(2):
                assert await fetch(transport, url) == body
            (pool,) = transport._pools.values()
            assert len(pool._open) == 1

    asyncio.run(work())


def test_a_certificate_that_nobody_vouches_for_is_no_connection() -> None:
    async def work() -> None:
        async with serving_tls(OK) as url, VmaTransport() as transport:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await fetch(transport, url)

    asyncio.run(work())
