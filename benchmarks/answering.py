"""An appliance that can do one thing, and that fast: every question is answered with the same progress.

The body has the shape and length of one that was captured. Run by benchmarks/ask.py, in a process of its own.
"""

import asyncio
import json
from typing import cast

KEY = "migration-vol-0b7a3c1e-1111-4222-8333-944455566677"
TIMES = {"start_time": "2026-11-26T09:23:06Z", "last_update": "2026-11-26T09:23:07Z"}
PHASE = {"name": "Transfer", "status": "in_progress", "start_time": TIMES["start_time"], "end_time": ""}
PROGRESS = {
    "job_id": KEY,
    "status": "in_progress",
    "sync_type": "full",
    "phase": "Transfer",
    "percentage": 25,
    "current_operation": "Transferring Data",
    "bytes_transferred": 10 * 2**30,
    "total_bytes": 40 * 2**30,
    "throughput": {"current_mbps": 100, "average_mbps": 100, "peak_mbps": 100, "last_update": TIMES["last_update"]},
    "timing": TIMES
    | {"elapsed_ms": 1197, "phase_start": TIMES["start_time"], "phase_elapsed_ms": 1197, "eta_seconds": 307},
    "vm_info": {
        "name": "unknown",
        "path": "unknown",
        "disk_size_gb": 40,
        "disk_size_bytes": 40 * 2**30,
        "cbt_enabled": True,
    },
    "phases": [PHASE | {"duration_ms": 1197}],
    "errors": [],
    "last_error": None,
}
BODY = json.dumps(PROGRESS, separators=(",", ":")).encode()
FIELDS = b"Cache-Control: no-cache\r\nContent-Type: application/json\r\nDate: Thu, 26 Nov 2026 09:23:07 GMT\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (FIELDS, len(BODY), BODY)


class Answering(asyncio.Protocol):
    """Questions are counted by the ends of their heads, and not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def main() -> None:
    """Serve until killed; the port is printed."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
