"""The two questions that are asked thousands of times a second, answered without a framework."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from vma.simulator.appliance import Appliance
from vma.simulator.pages import encode, rfc3339

PROGRESS: Final = "/api/v1/progress/"
HEALTH: Final = "/api/v1/health"
CHUNKED_ABOVE_BYTES: Final = 2048
_UNTIDY: Final = frozenset({"", ".", ".."})
_JSON: Final = (b"content-type", b"application/json")
_NO_CACHE: Final = (b"cache-control", b"no-cache")


class HotPath:
    """ASGI: GET of a known key and of health, while no fault is on; all else goes to `app`."""

    def __init__(self, app: ASGIApp, appliance: Appliance) -> None:
        self._app = app
        self._body = appliance.progress.body
        self._now = appliance.now
        self._faults = appliance.faults
        self._note = appliance.requests.note
        self._cache = [] if appliance.generation == "errors_as_objects" else [_NO_CACHE]
        self._date = DateHeader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        key = path.removeprefix(PROGRESS) if path.startswith(PROGRESS) else None
        now = self._now()
        body = self._look(key, path, now) if scope["method"] == "GET" and self._faults.quiet else None
        if body is None:
            await self._app(scope, receive, send)
            return
        self._note("GET", path, key)
        headers = [_JSON, self._date(now)] if key is None else [*self._cache, _JSON, self._date(now)]
        if len(body) <= CHUNKED_ABOVE_BYTES:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _look(self, key: str | None, path: str, now: datetime) -> bytes | None:
        """The body; None for what is not known or not of these two."""
        if key is None:
            return health_body(now) if path == HEALTH else None
        return None if key in _UNTIDY or "/" in key else self._body(key, now)


class DateHeader:
    """`Date` by the appliance's clock, written once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._header = (b"date", b"")

    def __call__(self, now: datetime) -> tuple[bytes, bytes]:
        second = int(now.timestamp())
        if second != self._second:
            self._second = second
            self._header = (b"date", format_datetime(now.astimezone(UTC), usegmt=True).encode())
        return self._header


def health_body(now: datetime) -> bytes:
    """The body of GET /health; its uptime is as meaningless as the appliance's."""
    return encode({"status": "healthy", "timestamp": rfc3339(now), "uptime": "661ns"})
