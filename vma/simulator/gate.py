"""What stands before the data API: counters, faults, the Date header and the tidy path."""

import asyncio
import json
import posixpath
import re
from collections.abc import Callable
from datetime import datetime

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vma.simulator.fault_answers import answer_for, plausible
from vma.simulator.faults import FaultMode, FaultSwitch
from vma.simulator.hot import DateHeader
from vma.simulator.requests_log import RequestLog

PROGRESS = re.compile(r"/api/v1/progress/(?P<key>[^/]+)(/update)?")
SECONDS_PER_BYTE = 1.0


class Gate:
    """ASGI middleware around the data API. `now` is the appliance's own time."""

    def __init__(self, app: ASGIApp, faults: FaultSwitch, log: RequestLog, now: Callable[[], datetime]) -> None:
        self._app = app
        self._faults = faults
        self._log = log
        self._now = now
        self._date = DateHeader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        key = progress_key(path)
        self._log.note(scope["method"], path, key)
        send = self._dated(send)
        mode = self._faults.strike(key)
        if mode is not None:
            await self._strike(mode, key or "", scope, receive, send)
        elif (tidy := _tidy(path)) != path:
            await Response(status_code=301, headers={"Location": tidy})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _strike(self, mode: FaultMode, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        if mode == "hang":
            await _until_gone(receive)
        elif mode in ("reset", "refuse"):  # refuse: a request that was under way when the port closed
            await _hang_up(scope, receive)
        elif mode == "cut":
            await self._cut(key, scope, receive, send)
        elif mode == "slow":
            await self._app(scope, receive, _dribbling(send))
        else:
            await answer_for(mode, key, self._now())(scope, receive, send)

    async def _cut(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.dumps(plausible(key, self._now())).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _hang_up(scope, receive)

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._date(self._now())]
            await send(message)

        return dated


def progress_key(path: str) -> str | None:
    """The key in a path of the progress endpoints, else None."""
    found = PROGRESS.fullmatch(path)
    return found["key"] if found else None


def _tidy(path: str) -> str:
    """The appliance redirects paths with `//`, `.` or `..` in them; a trailing slash stays."""
    tidy = posixpath.normpath("/" + path.lstrip("/"))
    return f"{tidy}/" if path.endswith("/") and tidy != "/" else tidy


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _hang_up(scope: Scope, receive: Receive) -> None:
    transport: asyncio.Transport = scope["state"]["transport"]
    transport.close()
    await _until_gone(receive)


def _dribbling(send: Send) -> Send:
    async def dribble(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        for byte in message.get("body", b""):
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(SECONDS_PER_BYTE)
        await send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})

    return dribble
