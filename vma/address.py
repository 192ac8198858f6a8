"""What counts as the address of an appliance."""

import ipaddress
from urllib.parse import SplitResult, urlsplit


def checked_base_url(url: str) -> str:
    """The URL of an appliance without a trailing slash.

    Raises ValueError, saying what is wrong, unless it is plain http or https to a host, without
    credentials, query or fragment, and not to a link-local address (cloud metadata lives there).
    """
    shown = _without_credentials(url)
    try:
        parts = urlsplit(url)
        wrong = _wrong(url, parts)
    except ValueError as error:
        raise ValueError(f"VMA address {shown!r}: {error}") from None
    if wrong:
        raise ValueError(f"VMA address {shown!r}: {wrong}")
    return url.rstrip("/")


def _without_credentials(url: str) -> str:
    scheme, slashes, rest = url.partition("//")
    return scheme + slashes + rest.rpartition("@")[2]


def _wrong(url: str, parts: SplitResult) -> str | None:
    checks = {
        "it has spaces or control characters": not url.isprintable() or " " in url or "\\" in url,
        f"the scheme must be http or https, not {parts.scheme!r}": parts.scheme not in ("http", "https"),
        "credentials are not allowed in it": "@" in parts.netloc,
        "the host is missing": not parts.hostname,
        "the port must be 1 to 65535": parts.port == 0,  # above 65535, reading it raises
        "a query or fragment is not allowed in it": "?" in url or "#" in url,
        "link-local addresses are not allowed": _is_link_local(parts.hostname or ""),
    }
    return next((text for text, holds in checks.items() if holds), None)


def _is_link_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local
