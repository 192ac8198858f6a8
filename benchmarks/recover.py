"""From the start of a process to all jobs validated and polled again, beside a poller as one would write it.

Both are processes of their own beside a simulated VMA on the same machine, on SQLite; jobs have two disks, one of them
is copied. `remembered`: it is stored that the job's own id answers (one request a job). `exports`: both disks are asked
under their export names (two requests a job).

Run: python benchmarks/recover.py [JOBS] [remembered|exports] [--alone]
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from worlds import fill, simulated_vma

from cli.demo.service import ServiceProcess

KEYS = {"remembered": "job_id", "exports": "export"}
PATIENCE = 300.0  # seconds
START_EVERY = 0.02  # seconds between two looks whether it is up
LOOK_EVERY = 0.1  # seconds; each look is a request that the service has to answer meanwhile


def ours(folder: Path, vma_url: str, count: int) -> dict[str, float]:
    """Seconds from the start of the process; milliseconds of the API's answers meanwhile."""
    service = ServiceProcess(folder, vma_url, log_level="WARNING", policy__monitor_interval="10m")
    began, began_at = time.perf_counter(), datetime.now(UTC)
    service.start(wait=False)
    try:
        with httpx.Client(base_url=service.url, trust_env=False, timeout=10) as api:
            up = _until_up(api, began)
            waits, run = _until_over(api, began)
            _require(run, count)
            cpu, rss = _usage(service.pid)
    finally:
        service.kill()
    over = (datetime.fromisoformat(run["finished_at"]) - began_at).total_seconds()
    return {"API up": up, "all validated": over, "API p99 ms": _p99(waits) * 1000, "CPU s": cpu, "RSS MiB": rss}


def _until_up(api: httpx.Client, began: float) -> float:
    while time.perf_counter() - began < PATIENCE:
        try:
            api.get("/healthz")
        except httpx.TransportError:
            time.sleep(START_EVERY)
        else:
            return time.perf_counter() - began
    raise SystemExit("the service did not come up")


def _until_over(api: httpx.Client, began: float) -> tuple[list[float], dict[str, Any]]:
    """How long the API took each time, and the run when it is over."""
    waits: list[float] = []
    while time.perf_counter() - began < PATIENCE:
        asked = time.perf_counter()
        answer = api.get("/api/v1/job-recovery/status")
        waits.append(time.perf_counter() - asked)
        if answer.status_code == 200 and (run := answer.json()["last_recovery"]):
            return waits, dict(run)
        time.sleep(LOOK_EVERY)
    raise SystemExit("recovery is not over")


def _require(run: dict[str, Any], count: int) -> None:
    if run["outcomes"] != {"running": count}:
        raise SystemExit(f"of {count} jobs: {run['outcomes']}")


def _usage(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return (int(fields[11]) + int(fields[12])) / ticks, rss / (1 << 20)


def naive(folder: Path, vma_url: str, count: int, key: str) -> dict[str, float]:
    """The same with the baseline."""
    database = f"sqlite:///{folder / 'oma-fsm.db'}"
    began = time.perf_counter()
    script = str(Path(__file__).with_name("naive_poller.py"))
    done = subprocess.run([sys.executable, script, database, vma_url, key], check=True, capture_output=True, text=True)  # noqa: S603
    over = time.perf_counter() - began
    if int(done.stdout.split()[0]) != count:
        raise SystemExit(f"the baseline found {done.stdout} of {count}")
    return {"all validated": over}


def _p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100, method="inclusive")[-1] if len(waits) > 1 else waits[0]


def main() -> None:
    """Measure and print."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    count = int(words[0]) if words else 1000
    way = words[1] if len(words) > 1 else "remembered"
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    found: dict[str, dict[str, float]] = {}
    contenders = ["oma-fsm"] if "--alone" in sys.argv else ["oma-fsm", "transitions + SQLModel + httpx"]
    for name in contenders:
        with tempfile.TemporaryDirectory() as place, simulated_vma(Path(place), count, KEYS[way]) as vma:
            folder = Path(place)
            fill(f"sqlite:///{folder / 'oma-fsm.db'}", count, KEYS[way])
            measured = ours(folder, vma.url, count) if name == "oma-fsm" else naive(folder, vma.url, count, KEYS[way])
            found[name] = measured
            shown = ", ".join(f"{what} {value:,.2f}" for what, value in measured.items())
            print(f"{count} jobs of 2 disks, {way}; {name}: {shown} (seconds unless said)", flush=True)
    if len(found) > 1:
        first, second = (measured["all validated"] for measured in found.values())
        print(f"ratio {second / first:.1f}")


if __name__ == "__main__":
    main()
