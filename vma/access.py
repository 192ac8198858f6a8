"""How an appliance is reached where a site has put TLS or a login in front of it. Secrets stay in files."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vma.address import checked_base_url

MAX_TOKEN: Final = 4096  # characters


class AccessError(ValueError):
    """An appliance that cannot be asked as it is configured; the text names the appliance, the file, and why."""


@dataclass(frozen=True, slots=True)
class Access:
    """Address and files of one appliance. Paths; None where there is none.

    `ca_file` is the only authority that is then believed (pinned); `token_file` holds a bearer token; `cert_file` and
    `key_file` are the client's own certificate.
    """

    url: str
    ca_file: str | None = None
    token_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def check(self, name: str, hosts: Sequence[str] = ()) -> None:
        """AccessError unless everything is there and the host is one of `hosts` (patterns; none: any host)."""
        checked(name, self.url, hosts)
        if (self.cert_file is None) != (self.key_file is None):
            raise AccessError(f"appliance {name}: a client certificate needs both its files, certificate and key")
        if not self.url.startswith("https:") and (self.ca_file or self.token_file or self.cert_file):
            raise AccessError(
                f"appliance {name}: files for TLS or a token, but {self.url} is not https: the token would be readable"
                " by anyone on the way"
            )
        self.tls(name)
        self.headers(name)

    def tls(self, name: str) -> ssl.SSLContext | None:
        """What TLS is spoken with; None for plain HTTP. AccessError."""
        if not self.url.startswith("https:"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file and self.key_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(f for f in (self.ca_file, self.cert_file, self.key_file) if f)
            raise AccessError(f"appliance {name}: {files}: {error.strerror or error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def headers(self, name: str) -> Mapping[str, str]:
        """The bearer token, read afresh. AccessError."""
        if self.token_file is None:
            return {}
        try:
            token = Path(self.token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AccessError(f"appliance {name}: token file {self.token_file}: {error}") from error
        if not token or len(token) > MAX_TOKEN or not token.isprintable() or " " in token:
            raise AccessError(f"appliance {name}: token file {self.token_file} does not hold one token on one line")
        return {"authorization": f"Bearer {token}"}


def checked(name: str, url: str, hosts: Sequence[str] = ()) -> str:
    """The URL without a trailing slash. AccessError if it is none of an appliance, or its host is not allowed."""
    try:
        base = checked_base_url(url)
    except ValueError as error:
        raise AccessError(f"appliance {name}: {error}") from None
    host = (urlsplit(base).hostname or "").lower()
    if hosts and not any(fnmatchcase(host, pattern.lower()) for pattern in hosts):
        raise AccessError(f"appliance {name}: host {host} is not one of those allowed: {', '.join(hosts)} (vma.hosts)")
    return base
