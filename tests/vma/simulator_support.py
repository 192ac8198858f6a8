"""Shared by the tests of the simulator."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vma.simulator.plans import Disk, Plan
from vma.simulator.wire import ProgressUpdate

MIB = 2**20
SPEED = 200.0
DISKS = [
    Disk(disk_id="disk-2000", export="migration-vol-1", size_bytes=600 * MIB),
    Disk(disk_id="disk-2001", export="migration-vol-2", size_bytes=200 * MIB),
]
PLAN = Plan(rate_mib_s=100, first_post_after_s=1, setup_s=4, gap_s=3, post_every_s=1)
Posts = list[tuple[str, ProgressUpdate]]


WITHIN_S = 30.0


def until(value: Callable[[], Any]) -> Any:
    """The first true value of `value`, asked again and again: for what is seen from outside, without an event."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        found = value()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"did not happen within {WITHIN_S} s")


def words(posts: Posts) -> list[str]:
    """What was said, without repetitions in a row."""
    said = [f"{update.disk_id or key} {update.stage} {update.status}" for key, update in posts]
    return [word for word, before in zip(said, ["", *said], strict=False) if word != before]


@dataclass
class TinyOma:
    url: str = ""
    known: str = ""
    status_of_post: int = 200
    calls: list[str] = field(default_factory=list)
    stored: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(oma: TinyOma) -> Iterator[TinyOma]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            oma.calls.append(f"ask {parse_qs(urlsplit(self.path).query)}")
            self.answer(200, {"change_id": oma.known})

        def do_POST(self) -> None:
            oma.calls.append(f"store {self.path}")
            oma.stored.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(oma.status_of_post, {})

        def answer(self, status: int, body: dict[str, str]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        oma.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield oma
        server.shutdown()
        thread.join()
