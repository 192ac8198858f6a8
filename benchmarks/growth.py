"""What a poll costs as jobs grow in number, and as replicas share them.

For each number of jobs (of two disks, each asked every five seconds) a database, a simulated VMA and so many replicas
are started; when all jobs are asked as they should be, it is measured for a while. Prints polls a second, the processor
time of all replicas together and per poll, the p99 of lateness (upper bound of its bucket), and resident memory.

Run: python benchmarks/growth.py KIND REPLICAS JOBS[@SECONDS]…   (e.g. sqlite 1 100 10000; postgresql 3 3000 30000@20)
SECONDS: between two polls of a job, where the machine cannot do them all in five.
"""

import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
from recover import _usage
from steady import lateness
from worlds import ROOT, fill, simulated_vma

sys.path[:0] = [str(ROOT / "tests")]

from servers import empty  # noqa: E402

from cli.demo.service import ServiceProcess  # noqa: E402

SECONDS, INTERVAL, LOOK = 30.0, 5.0, 5.0
PATIENCE = 120.0  # seconds until all are asked


class Fleet:
    """Replicas that serve one database, and what they say of themselves together."""

    def __init__(self, stack: ExitStack, folder: Path, url: str, vma_url: str, replicas: int, every: float) -> None:
        mode: dict[str, object] = {"replicas__mode": "database"} if replicas > 1 else {}
        mode["policy__poll_interval"] = f"{every:g}s"
        places = [folder / f"replica-{n}" for n in range(replicas)]
        for place in places:
            place.mkdir()
        self.all = [
            stack.enter_context(ServiceProcess(place, vma_url, database_url=url, log_level="WARNING", **mode))
            for place in places
        ]
        self.apis = [
            stack.enter_context(httpx.Client(base_url=one.url, trust_env=False, timeout=10)) for one in self.all
        ]

    def polls(self) -> dict[float, float]:
        """Polls by how late they were at most, counted up."""
        told = [lateness(api) for api in self.apis]
        return {le: sum(one[le] for one in told) for le in told[0]}

    def usage(self) -> tuple[float, float]:
        """Processor seconds together, MiB of the largest."""
        used = [_usage(one.pid) for one in self.all]
        return sum(cpu for cpu, _ in used), max(rss for _, rss in used)

    def settle(self, rate: float) -> None:
        """Returns when so many polls a second are asked, and the recovery, which asks as fast as it can, is over."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            before = self.polls()[float("inf")]
            time.sleep(LOOK)
            if 0.97 < (self.polls()[float("inf")] - before) / LOOK / rate < 1.1:
                return
        raise SystemExit(f"{rate:.0f} polls/s were not reached within {PATIENCE:.0f} s: more than this machine can do")


def measure(kind: str, replicas: int, count: int, every: float) -> None:
    """One number of jobs."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        url = stack.enter_context(empty(kind, folder))
        fill(url, count, "job_id")
        vma = stack.enter_context(simulated_vma(folder, count, "job_id"))
        fleet = Fleet(stack, folder, url, vma.url, replicas, every)
        fleet.settle(count / every)
        before, (cpu, _), began = fleet.polls(), fleet.usage(), time.perf_counter()
        time.sleep(SECONDS)
        after, (spent, rss), took = fleet.polls(), fleet.usage(), time.perf_counter() - began
        polls = {le: after[le] - before[le] for le in after}
        total = polls[float("inf")]
        p99 = min(le for le, n in polls.items() if n >= 0.99 * total)
        print(f"{count:6} jobs: {total / took:6,.0f} polls/s, {(spent - cpu) / took:.2f} cores,"
              f" {1000 * (spent - cpu) / total:.2f} ms a poll, p99 {p99 * 1000:g} ms late at most, {rss:.0f} MiB",
              flush=True)  # fmt: skip


def main() -> None:
    """Measure and print."""
    kind, replicas, words = sys.argv[1], int(sys.argv[2]), [word.partition("@") for word in sys.argv[3:]]
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f};"
          f" {kind}, replicas: {replicas}")  # fmt: skip
    for count, _, every in words:
        measure(kind, replicas, int(count), float(every or INTERVAL))


if __name__ == "__main__":
    main()
