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
_HOST: Final = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::\d+)?")
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
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts and not parts.path.strip("/"):
        return f"it names no host: {EXAMPLES}"
    if "@" in parts.path + parts.fragment or not all(map(_HOST.fullmatch, hosts.split(","))):
        return f"its host is none; in a password / ? # must be written as %2F %3F %23; expected is {EXAMPLES}"
    return None


def redacted(url: str) -> str:
    """The URL as it may be logged and shown."""
    scheme, colons, rest = url.partition("://")
    if not colons:
        return "(not a URL)"
    account, at, more = _SECRET.sub(r"\1***", rest).rpartition("@")  # also if its password has a / that ends a host
    user, colon, _ = account.partition(":")
    return f"{scheme}://{user}{':***' if colon else ''}{at}{more}"
