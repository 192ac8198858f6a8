"""Several replicas of the service as real processes, at one database and one VMA."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
from ports import held_port
from process_stage import FAST, Stage, until

from cli.demo.service import ServiceProcess
from cli.demo.workflow import Workflow
from vma.simulator.plans import Plan
from vma.simulator.process import SimulatorProcess

SLOW = Plan(rate_mib_s=16, first_post_after_s=0.2, setup_s=0.2, gap_s=0.2, post_every_s=0.3)
JOBS = 24  # so that each replica has some, wherever their ids fall
CADENCE: dict[str, object] = FAST | {"policy__poll_interval": "1s", "policy__monitor_interval": "5s"}
look = partial(until, every=0.3)  # a look costs several processes something


class Replicas:
    """By name; `vmas` has the VMA's address for each. Those named in `guests` only answer the API.

    Everything is seen by the first guest, or the first of all.
    """

    def __init__(
        self, folder: Path, url: str, vma: SimulatorProcess, vmas: dict[str, str], guests: Collection[str] = (),
        **settings: object,
    ) -> None:  # fmt: skip
        self._ports = ExitStack()
        self._by_name = {
            name: self._process(
                folder / name, url, address, CADENCE | settings | {"replicas__poll": name not in guests}
            )
            for name, address in vmas.items()
        }
        self.all = tuple(self._by_name.values())
        self.guests = [self._by_name[name] for name in guests]
        seen_by = [*self.guests, *self.all][0]
        self.stage = Stage(vma, seen_by, Workflow(seen_by.url, vma.url))

    def _process(self, folder: Path, url: str, vma: str, settings: dict[str, object]) -> ServiceProcess:
        folder.mkdir()
        port, polls = self._ports.enter_context(held_port()), folder / "polls.jsonl"
        return ServiceProcess(folder, vma, database_url=url, port=port, poll_log=polls, **settings)

    def __getitem__(self, name: str) -> ServiceProcess:
        return self._by_name[name]

    def start(self) -> None:
        """All at once; returns when all serve."""
        for process in self.all:
            process.start(wait=False)
        for process in self.all:
            self.ready(process)

    @staticmethod
    def ready(process: ServiceProcess) -> None:
        """Returns when it serves."""
        process.wait_until_up(60)  # several at once share the machine
        look("it serves", lambda: httpx.get(f"{process.url}/readyz", trust_env=False).status_code == 200)

    def shares(self) -> dict[int, int]:
        """Shares by process id, of those that live."""
        return {one["pid"]: one["shares"] for one in self.stage.get("/replicas")["items"] if one["alive"]}

    def hold(self, *shares: tuple[ServiceProcess, int]) -> Callable[[], bool]:
        """True once the processes hold so many; those that only answer the API none."""
        wanted = {process.pid: number for process, number in shares} | {guest.pid: 0 for guest in self.guests}
        return lambda: self.shares() == wanted

    def shared_out(self) -> bool:
        """True if all live, every share is somebody's, and nobody has more than a fair part."""
        shares, polling = self.shares(), len(self.all) - len(self.guests)
        return len(shares) == len(self.all) and sum(shares.values()) == 64 and max(shares.values()) <= -(-64 // polling)

    def asked_by(self, *processes: ServiceProcess) -> Callable[[], bool]:
        """True if the last answers about all jobs came to these processes, and to each of them."""
        wanted = {process.pid for process in processes}

        def told() -> bool:
            pids = {one["id"]: one["pid"] for one in self.stage.get("/replicas")["items"]}
            jobs = self.stage.get("/vma-polling/status")["jobs"]
            return {pids.get(job["polled_by"]) for job in jobs} == wanted

        return told

    def jobs(self) -> list[str]:
        """Jobs whose copies run longer than any test."""
        return [self.stage.job(f"web-{n:02}", (8.0,), SLOW) for n in range(JOBS)]

    def all_asked(self, within: float) -> None:
        """Returns when the VMA was asked about every job, from now on."""
        self.stage.vma.control.clear_requests()
        look("every job is asked about", lambda: len(self.stage.vma.control.requests().keys) >= JOBS, within)

    def end(self) -> None:
        """Whatever happened."""
        for process in self.all:
            if process.running:
                process.kill()
        self.stage.workflow.close()
        self._ports.close()
