"""The running service as the commands see it: over REST, with errors an operator can mend."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from cli.common import fail, load_settings

Service = Annotated[str | None, typer.Option("--service", help="Where the service answers, instead of the settings.")]
NO_SUCH_PATH = "Not Found"  # of the service itself too, if its address is given with a path
TIMEOUT = 60.0  # seconds; a rehearsal asks about every job before it answers


class ServiceClient:
    """GET and POST on the service's API; whatever goes wrong ends the command with a message."""

    def __init__(self, http: Any, url: str) -> None:
        self._http, self._url = http, url

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The body of a GET."""
        return self._do("GET", path, query)

    def post(self, path: str, **query: Any) -> dict[str, Any]:
        """The body of a POST."""
        return self._do("POST", path, query)

    def _do(self, method: str, path: str, query: dict[str, Any]) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 # slow import

        try:
            answer = self._http.request(method, f"/api/v1{path}", params=query)
        except httpx.ReadTimeout:
            fail(f"the service at {self._url} has not answered within {TIMEOUT:g} s, and may still do what it was"
                 f" asked; {self._url}/readyz says whether its database does")  # fmt: skip
        except httpx.TransportError as error:
            fail(f"no service answers at {self._url} ({error}); is it running? --service names another address")
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            fail(f"{self._url} is not this service: HTTP {answer.status_code}, no JSON of ours")
        if answer.is_error:
            ours = isinstance(body.get("error"), str) and body.get("message") != NO_SUCH_PATH
            fail(str(body["message"]) if ours else f"{self._url} is not this service: HTTP {answer.status_code}")
        return body


@contextmanager
def service_at(url: str | None) -> Iterator[ServiceClient]:
    """The service at `url`, or where the settings say that it listens."""
    import httpx  # noqa: PLC0415 # slow import

    settings = load_settings()
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 # where it listens
    base = url or f"http://{host}:{settings.port}"
    try:
        http = httpx.Client(base_url=base, timeout=TIMEOUT, trust_env=False)
    except (httpx.InvalidURL, ValueError) as error:
        fail(f"{base}: {error}")
    with http:
        try:
            yield ServiceClient(http, base)
        except KeyError as missing:
            fail(f"{base} is not this service, or one of another release: its answer has no {missing}")
