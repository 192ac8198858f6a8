"""Which coordination servers can say who lives, and what of their URLs may be shown."""

import re
from typing import Final
from urllib.parse import urlsplit

EXAMPLES: Final = "redis://host:6379, etcd3+http://host:2379, zookeeper://host:2181"
PACKAGES: Final = {  # what serves an URL of the scheme, by pip
    "redis": "oma-fsm[tooz]",
    "etcd3+http": "tooz[etcd3gw]",
    "etcd3+https": "tooz[etcd3gw]",
    "zookeeper": "tooz[zookeeper]",
    "kazoo": "tooz[zookeeper]",
}
_OF_ONE_HOST: Final = "it is of one host, and replicas are there for when a host is lost"
_LOCKS_ONLY: Final = (
    "set replicas.mode = database, which shares the jobs by its locks; by tooz it cannot tell who lives"
)
UNFIT: Final = {
    "file": f"{_OF_ONE_HOST}; and it never forgets who died",
    "ipc": _OF_ONE_HOST,
    "memcached": "it forgets who lives whenever its memory is short: all replicas would then ask about all jobs",
    "kubernetes": "tooz makes only locks of it and cannot tell who lives",
    "postgresql": _LOCKS_ONLY,
    "mysql": _LOCKS_ONLY,
}
_SECRET: Final = re.compile(r"([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&#]*", re.IGNORECASE)


def refusal(url: str) -> str | None:
    """Why replicas cannot find each other at this address, without its secrets; None if they can."""
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme in UNFIT:
        return f"{scheme} cannot coordinate replicas: {UNFIT[scheme]}"
    if scheme not in PACKAGES:
        return f"it must be the URL of a coordination server: {EXAMPLES}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"it is no URL; expected is {EXAMPLES}"
    return None if parts.netloc.rpartition("@")[2] or parts.path.strip("/") else f"it names no host: {EXAMPLES}"


def redacted(url: str) -> str:
    """The URL as it may be logged and shown."""
    scheme, colons, rest = url.partition("://")
    if not colons:
        return "(not a URL)"
    netloc, slash, more = re.fullmatch(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    account, at, hosts = netloc.rpartition("@")
    user, colon, _ = account.partition(":")
    shown = f"{scheme}://{user}{':***' if colon else ''}{at}{hosts}{slash}{more}"
    return _SECRET.sub(r"\1***", shown)
