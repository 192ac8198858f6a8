"""The steady poll: so many jobs of two disks, each every five seconds. How late, at what cost, and does it grow?

Prints, for each half of the time: polls a second, the share of polls taken from the schedule later than 100 ms, the p99
of that lateness (upper bound of its bucket), requests that wait for room at the appliance, processor time, and
resident memory.

`remembered`: it is known that the job's own id answers (one request a poll). `exports`: the first disk is being copied,
so both are asked under their export names (two requests a poll).

Run: python benchmarks/steady.py [JOBS] [SECONDS] [remembered|exports]
"""

import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

import httpx
from recover import KEYS, _until_over, _usage
from worlds import fill, simulated_vma

from cli.demo.service import ServiceProcess

WAITING = re.compile(r"^oma_fsm_requests_waiting (\S+)", re.MULTILINE)
BUCKET = re.compile(r'oma_fsm_poll_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)')
Buckets = dict[float, float]


def lateness(api: httpx.Client) -> Buckets:
    """Polls by how late they were at most, counted up."""
    return {float(le): float(n) for le, n in BUCKET.findall(api.get("/metrics").text)}


def waiting(api: httpx.Client) -> float:
    """Requests that wait until their appliance has room: their jobs are late, whatever the schedule says."""
    found = WAITING.search(api.get("/metrics").text)
    return float(found[1]) if found else 0.0


def half(api: httpx.Client, pid: int, seconds: float) -> None:
    """Wait, and print what happened meanwhile."""
    before, (cpu, _), began = lateness(api), _usage(pid), time.perf_counter()
    time.sleep(seconds)
    after, (spent, rss), took = lateness(api), _usage(pid), time.perf_counter() - began
    polls = {le: after[le] - before[le] for le in after}
    total = polls[float("inf")]
    p99 = min(le for le, n in polls.items() if n >= 0.99 * total)
    late = 100 * (1 - polls[0.1] / total) if total else 0.0
    print(f"{total / took:,.0f} polls/s, {late:.1f} % later than 100 ms, p99 of lateness {p99 * 1000:g} ms at most,"
          f" {waiting(api):.0f} requests wait,"
          f" {(spent - cpu) / took:.2f} cores, {rss:.0f} MiB", flush=True)  # fmt: skip


def main() -> None:
    """Measure and print."""
    given = [int(word) for word in sys.argv[1:] if word not in KEYS]
    count, seconds = [*given, *(1000, 60)[len(given) :]]
    way = next((word for word in sys.argv[1:] if word in KEYS), "remembered")
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {count} jobs, {way}"
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fill(f"sqlite:///{folder / 'oma-fsm.db'}", count, KEYS[way])
        with (
            simulated_vma(folder, max(count, 1), KEYS[way], first=1 if way == "remembered" else 300) as vma,
            ServiceProcess(folder, vma.url, log_level="WARNING") as oma,
            httpx.Client(base_url=oma.url, trust_env=False, timeout=10) as api,
        ):
            _until_over(api, time.perf_counter())
            time.sleep(10)  # jobs that were recovered together spread by their own pace
            for _ in range(2):
                half(api, oma.pid, seconds / 2)


if __name__ == "__main__":
    main()
