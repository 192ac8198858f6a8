"""Reading raw captures of appliances: one HTTP response per file, as it came over the wire."""

import os
from pathlib import Path

from vma.wire_models import Reply

_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "domain" / "vma-captures"
FOLDER = Path(os.environ.get("OMA_FSM_CAPTURES", _BESIDE_THE_CHECKOUT))


def capture_names() -> set[str]:
    return {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.http")}


def reply_in(name: str) -> Reply:
    head, _, body = (FOLDER / name).read_bytes().partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("Transfer-Encoding") == "chunked":
        body = _unchunked(body)
    return Reply(int(status_line.split()[1]), headers, body)


def _unchunked(framed: bytes) -> bytes:
    size, _, rest = framed.partition(b"\r\n")
    length = int(size, 16)
    return rest[:length] + _unchunked(rest[length + 2 :]) if length else b""
