"""A request as it goes over the wire, made once and sent as often as wanted."""

import math
import re
from dataclasses import dataclass, replace
from typing import Final

import httpx

from vma.transport.pool import Pool

_QUOTED: Final = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+")
_BODY: Final = frozenset((b"content-length", b"transfer-encoding"))


@dataclass(frozen=True, slots=True)
class Written:
    """Head and all, to whom it goes, and how many seconds it may take (as in `VmaTransport`)."""

    message: bytes
    pool: Pool
    connect: float
    read: float
    total: float

    @classmethod
    def of(cls, request: httpx.Request, pool: Pool) -> "Written":
        """Raises httpx.LocalProtocolError as `message_of` does."""
        limits = request.extensions.get("timeout") or {}
        found = (limits.get(name) for name in ("connect", "read", "total"))
        return cls(message_of(request), pool, *(math.inf if value is None else value for value in found))

    def below(self, name: str) -> "Written":
        """The same request for what is called `name`, quoted, below this one's path; a fifth of what a new one costs.

        Raises httpx.LocalProtocolError if the name is not quoted.
        """
        if not _QUOTED.fullmatch(name):
            raise httpx.LocalProtocolError(f"{name!r} is not quoted as a part of a path")
        path, version, rest = self.message.partition(b" HTTP/1.1\r\n")
        return replace(self, message=b"%b%b%b%b" % (path, name.encode(), version, rest))


def message_of(request: httpx.Request) -> bytes:
    """The bytes of a request. Raises httpx.LocalProtocolError unless it is a GET without a body, and well formed."""
    fields = request.headers.raw
    if request.method != "GET" or not _BODY.isdisjoint(name.lower() for name, _ in fields):
        raise httpx.LocalProtocolError("this transport only asks: GET without a body")
    lines = [b"GET %b HTTP/1.1" % request.url.raw_path, *(b"%b: %b" % field for field in fields)]
    if any(byte in line for line in lines for byte in b"\r\n\0"):
        raise httpx.LocalProtocolError("control characters in the head of a request")
    return b"\r\n".join([*lines, b"", b""])
