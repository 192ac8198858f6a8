"""Requests per second that the simulated VMA serves on one core, beside a bare FastAPI route and its own slow way.

The servers run in processes of their own; this process asks, over 64 connections that are kept alive, by a parser that
reads no more than it must. Three questions are compared: a FastAPI route that returns a ready dict of an envelope's
size; the simulator with a fault on for a key that nobody asks (gate and FastAPI, as all requests went before the hot
path); the simulator as it is. Each simulator has ten thousand copies of two disks under way.

Run: python benchmarks/serve_vma.py
"""

import asyncio
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vma.simulator.process import SimulatorProcess

CONNECTIONS = 64
WARM_UP, SECONDS, ROUNDS = 1.0, 3.0, 2  # the better round counts: the other was disturbed
JOBS = 10_000
SCENARIO = Path(__file__).resolve().parents[1] / "docs" / "scenarios" / "ten-thousand-jobs.yaml"
KEYS = [f"job-load-{n:05}" for n in range(1, JOBS + 1)]
BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()

@app.get("/api/v1/progress/{key}")
async def progress(key: str):
    return {"job_id": key, "disk_progresses": ["x" * 900]}

uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="asyncio", log_level="critical", access_log=False)
"""


class Asker(asyncio.Protocol):
    """One connection: asks the next key as soon as the last is answered."""

    def __init__(self, keys: list[str], tally: dict[str, int]) -> None:
        self._requests = [f"GET /api/v1/progress/{key} HTTP/1.1\r\nHost: vma\r\n\r\n".encode() for key in keys]
        self._tally = tally
        self._next = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask()

    def _ask(self) -> None:
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.find(b"content-length: ", 0, head) + 16  # never chunked: two disks stay below 2 KiB
        end = self._buffer.find(b"\r\n", at)
        if len(self._buffer) < head + 4 + int(self._buffer[at:end]):
            return
        self._tally["good" if self._buffer[9:12] == b"200" else "bad"] += 1
        self._buffer = b""
        self._ask()


async def asked(url: str) -> float:
    """Good answers per second. Raises SystemExit if there is any other."""
    loop, tally = asyncio.get_running_loop(), {"good": 0, "bad": 0}
    host, port = url.removeprefix("http://").split(":")
    transports = [
        (await loop.create_connection(lambda n=n: Asker(KEYS[n::CONNECTIONS], tally), host, int(port)))[0]
        for n in range(CONNECTIONS)
    ]
    await asyncio.sleep(WARM_UP)
    before, began = tally["good"], time.perf_counter()
    await asyncio.sleep(SECONDS)
    rate = (tally["good"] - before) / (time.perf_counter() - began)
    for transport in transports:
        transport.close()
    if tally["bad"]:
        raise SystemExit(f"{tally['bad']} answers were not 200: what was measured is not what it is called")
    return rate


def best(url: str) -> float:
    """Of some rounds."""
    return max(asyncio.run(asked(url)) for _ in range(ROUNDS))


@contextmanager
def bare_fastapi(port: int = 9399) -> Iterator[str]:
    """A FastAPI route and nothing else."""
    with subprocess.Popen([sys.executable, "-c", BARE, str(port)]) as process:  # noqa: S603 - our own interpreter
        time.sleep(2)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def memory_mib(pid: int | None) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    names = ("uvicorn", "httptools", "fastapi", "msgspec")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with bare_fastapi() as url:
        bare = best(url)
    with SimulatorProcess() as simulator:
        empty = memory_mib(simulator.pid)
    with SimulatorProcess(scenario=SCENARIO) as simulator:
        loaded = memory_mib(simulator.pid)
        quick = best(simulator.url)
        asked_about = memory_mib(simulator.pid)
        simulator.control.fault("503", keys=["nobody"])
        slow = best(simulator.url)
    for name, rate in {"bare FastAPI route": bare, "simulator, slow way": slow, "simulator": quick}.items():
        print(f"{name:22}{rate:>8,.0f} requests/s  {rate / bare:.2f} times the bare route")
    print(f"memory, MiB: empty {empty:.0f}, {JOBS:,} copies {loaded:.0f}, after each was asked {asked_about:.0f}")


if __name__ == "__main__":
    main()
