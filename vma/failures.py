"""What went wrong on the way to an appliance, in an operator's words."""

import errno
import socket
from collections.abc import Iterator
from typing import Final

import httpx

from vma.limits import VmaLimits
from vma.transport import TotalTimeout
from vma.wire_models import Kind


def describe(failure: Exception, limits: VmaLimits) -> tuple[Kind, str]:
    """What a failed exchange says: mostly that the VMA is unreachable; another program there is unintelligible."""
    if isinstance(failure, httpx.ConnectError):
        return Kind.UNREACHABLE, _why_no_connection(failure)
    for kind, text in _TEXTS.items():
        if isinstance(failure, kind):
            return Kind.UNREACHABLE, text.format(limits=limits)
    if isinstance(failure, httpx.RemoteProtocolError) and _closed(failure):
        return Kind.UNREACHABLE, "the connection was closed before the answer was complete"
    return Kind.UNINTELLIGIBLE, f"no HTTP answer, perhaps another program on the port: {failure}"


_TEXTS: Final = {
    TotalTimeout: "the answer was not complete within {limits.total:g} s",
    httpx.ConnectTimeout: "no connection within {limits.connect:g} s",
    httpx.TimeoutException: "connected, but no answer within {limits.read:g} s",
    httpx.NetworkError: "the connection broke before the answer was complete",
}


def _closed(failure: httpx.RemoteProtocolError) -> bool:
    text = str(failure)
    return "disconnected without sending" in text or "closed connection without sending" in text


def _why_no_connection(failure: httpx.ConnectError) -> str:
    for cause in _causes(failure):
        if isinstance(cause, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
            return "connection refused"
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"no connection: {cause.strerror or cause}"
    return f"no connection: {failure}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from, and the members of groups among them."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause)


def internal(error: Exception) -> str:
    """A fault of our own."""
    return f"internal error while asking the VMA: {type(error).__name__}: {error}"
