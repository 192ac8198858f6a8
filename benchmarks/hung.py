"""An appliance that accepts and never answers, with many jobs, beside a healthy one with few.

Prints seconds from the start of the process until all jobs of the healthy appliance were heard of, and until every job
was looked at (those of the hung one found unreachable, none ended).

Run: python benchmarks/hung.py [HUNG_JOBS] [HEALTHY_JOBS]
"""

import os
import platform
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from worlds import fill, simulated_vma

from cli.demo.service import ServiceProcess

PATIENCE = 120.0  # seconds
HEARD = "SELECT count(*) FROM replication_jobs WHERE appliance = 'default' AND vma_validated_at IS NOT NULL"
ENDED = "SELECT count(*) FROM replication_jobs WHERE status <> 'replicating'"


@contextmanager
def hung_vma() -> Iterator[str]:
    """Accepts every connection, and says nothing."""
    kept: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)

    def accept() -> None:
        with suppress(OSError):
            while True:
                kept.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def add_hung(file: Path, url: str, healthy: int) -> None:
    """All jobs but the first belong to the hung appliance."""
    with sqlite3.connect(file) as database:
        now = "2026-01-01 00:00:00.000000"
        database.execute(
            "INSERT INTO vma_appliances (name, url, created_at, updated_at) VALUES ('hung', ?, ?, ?)", (url, now, now)
        )
        of_hung = "UPDATE replication_jobs SET appliance = 'hung' WHERE CAST(substr(id, 5) AS INTEGER) > ?"
        database.execute(of_hung, (healthy,))
        database.execute("UPDATE replication_jobs SET vma_validated_at = NULL WHERE appliance = 'default'")


def measure(file: Path, vma_url: str, count: int, healthy: int) -> tuple[float, float]:
    """Seconds until the healthy ones were heard of, and until recovery was over."""
    service = ServiceProcess(file.parent, vma_url, log_level="WARNING")
    began = time.perf_counter()
    service.start(wait=False)
    heard = 0.0
    try:
        with httpx.Client(base_url=service.url, trust_env=False, timeout=10) as api:
            while time.perf_counter() - began < PATIENCE:
                if not heard and _count(file, HEARD) == healthy:
                    heard = time.perf_counter() - began
                if (run := _over(api)) is not None:
                    _require(run, count, healthy, _count(file, ENDED))
                    return heard, time.perf_counter() - began
                time.sleep(0.05)
    finally:
        service.kill()
    raise SystemExit("recovery is not over")


def _count(file: Path, query: str) -> int:
    with sqlite3.connect(file, timeout=10) as database:
        return int(database.execute(query).fetchone()[0])


def _over(api: httpx.Client) -> dict[str, int] | None:
    with suppress(httpx.TransportError):
        answer = api.get("/api/v1/job-recovery/status")
        if answer.status_code == 200 and (run := answer.json()["last_recovery"]):
            return dict(run["outcomes"])
    return None


def _require(outcomes: dict[str, int], count: int, healthy: int, ended: int) -> None:
    if outcomes != {"running": healthy, "waiting_unreachable": count - healthy} or ended:
        raise SystemExit(f"{outcomes}, {ended} ended")


def main() -> None:
    """Measure and print."""
    given = [int(word) for word in sys.argv[1:]]
    hung, healthy = [*given, *(1000, 100)[len(given) :]]
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fill(f"sqlite:///{folder / 'oma-fsm.db'}", hung + healthy, "job_id")
        with hung_vma() as silent, simulated_vma(folder, hung + healthy, "job_id") as vma:
            add_hung(folder / "oma-fsm.db", silent, healthy)
            heard, over = measure(folder / "oma-fsm.db", vma.url, hung + healthy, healthy)
    print(f"{hung} jobs on an appliance that hangs, {healthy} on a healthy one: the healthy ones heard of after"
          f" {heard:.2f} s, all looked at after {over:.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
