"""What is true of every request: a bounded body; and of every answer: nobody guesses its type."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer

MAX_BODY: Final = 1 << 20  # bytes


class BodyLimit:
    """Reads the body before the routes see it, and answers 413 to one that is longer than `MAX_BODY`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in one piece."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _nosniff(send)
        first = None if _announced(scope) > MAX_BODY else await _whole_body(receive)
        if first is None:
            problem = Problem(error="too_large", message=f"the body is longer than {MAX_BODY} bytes")
            await answer(413, problem, {"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _replayed(first, receive), send)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length[:19]) if length.isdecimal() else 0


async def _whole_body(receive: Receive) -> Message | None:
    """The body as one message (a client that hung up: that message); None if it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body), "more_body": False}


def _replayed(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _nosniff(send: Send) -> Send:
    async def with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["x-content-type-options"] = "nosniff"
        await send(message)

    return with_header
