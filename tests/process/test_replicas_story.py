"""Three replicas as real processes: started at once on an empty database, killed, frozen, stopped."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from process_stage import FAST, Stage, until
from servers import empty, kinds

from cli.demo.service import ServiceProcess
from cli.demo.workflow import Workflow
from vma.simulator.plans import Plan
from vma.simulator.process import SimulatorProcess

pytestmark = pytest.mark.process
SLOW = Plan(rate_mib_s=16, first_post_after_s=0.2, setup_s=0.2, gap_s=0.2, post_every_s=0.3)
JOBS = 8
# One server is enough for what takes so long: what differs between them, tests/db/test_replicas.py tells of both.
KINDS = [kind for kind in ("mariadb", "postgresql") if kind in kinds()][:1]
look = partial(until, every=0.3)  # a look costs several processes something
CADENCE: dict[str, object] = FAST | {"policy__poll_interval": "1s", "policy__monitor_interval": "5s"}


class Replicas:
    """Two that poll, `a` and `b`, and one that only answers the API, by which everything else is seen."""

    def __init__(self, folder: Path, url: str, vma: SimulatorProcess) -> None:
        self.a, self.b, self.api = (self._process(folder / name, url, vma, name != "api") for name in ("a", "b", "api"))
        self.all = (self.a, self.b, self.api)
        self.stage = Stage(vma, self.api, Workflow(self.api.url, vma.url))

    @staticmethod
    def _process(folder: Path, url: str, vma: SimulatorProcess, polls: bool) -> ServiceProcess:
        folder.mkdir()
        more = {"replicas__mode": "database", "replicas__poll": polls}
        return ServiceProcess(folder, vma.url, database_url=url, **more | CADENCE)

    def start(self) -> None:
        """All at once; returns when all serve."""
        for process in self.all:
            process.start(wait=False)
        for process in self.all:
            process.wait_until_up(60)  # three at once share the machine
            look("it serves", lambda url=process.url: httpx.get(f"{url}/readyz", trust_env=False).status_code == 200)

    def shares(self) -> dict[int, int]:
        """Shares by process id, of those that live."""
        return {one["pid"]: one["shares"] for one in self.stage.get("/replicas")["items"] if one["alive"]}

    def hold(self, *shares: tuple[ServiceProcess, int]) -> Callable[[], bool]:
        """True once the processes hold so many; the one that only answers the API none."""
        wanted = {process.pid: number for process, number in shares} | {self.api.pid: 0}
        return lambda: self.shares() == wanted

    def asked_by(self, *processes: ServiceProcess) -> Callable[[], bool]:
        """True if the last answers about all jobs came to these processes, and to each of them."""
        wanted = {process.pid for process in processes}

        def told() -> bool:
            pids = {one["id"]: one["pid"] for one in self.stage.get("/replicas")["items"]}
            jobs = self.stage.get("/vma-polling/status")["jobs"]
            return {pids.get(job["polled_by"]) for job in jobs} == wanted

        return told

    def all_asked(self, within: float) -> None:
        """Returns when the VMA was asked about every job, from now on."""
        self.stage.vma.control.clear_requests()
        look("every job is asked about", lambda: len(self.stage.vma.control.requests().keys) >= JOBS, within)


@contextmanager
def replicas(kind: str, folder: Path) -> Iterator[Replicas]:
    """On an empty database; gone afterwards, whatever happens."""
    with ExitStack() as stack:
        url = stack.enter_context(empty(kind, folder))
        vma = stack.enter_context(SimulatorProcess(state=folder / "vma.json"))
        them = Replicas(folder, url, vma)
        stack.callback(lambda: [process.kill() for process in them.all if process.running])
        stack.callback(them.stage.workflow.close)
        yield them


def percents(play: Stage, job_id: str) -> list[float]:
    """What was kept of a job's progress, first to last."""
    polls: list[dict[str, Any]] = play.polling(job_id)["history"]
    return [poll["percent"] for poll in reversed(polls)]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_becomes_of_a_replica_the_others_poll_its_jobs(kind: str, tmp_path: Path) -> None:
    with replicas(kind, tmp_path) as us:
        us.start()
        look("the jobs are shared out", us.hold((us.a, 32), (us.b, 32)))
        jobs = [us.stage.job(f"web-{n:02}", (8.0,), SLOW) for n in range(JOBS)]
        us.all_asked(5)
        look("only those that poll ask", us.asked_by(us.a, us.b))

        us.a.kill()
        us.all_asked(10)
        look("the survivor carries all", us.hold((us.b, 64)))

        us.a.start()
        look("they share again", us.hold((us.a, 32), (us.b, 32)))
        us.all_asked(5)
        os.kill(us.a.pid, signal.SIGSTOP)
        us.all_asked(15)
        look("the frozen one is taken for dead", lambda: us.shares() == {us.b.pid: 64, us.api.pid: 0})
        os.kill(us.a.pid, signal.SIGCONT)
        look("the woken one has its part again", us.hold((us.a, 32), (us.b, 32)))

        assert us.b.stop() == 0
        us.all_asked(5)
        look("the other carries all", us.hold((us.a, 64)))

        for job_id in jobs:
            seen = percents(us.stage, job_id)
            assert seen == sorted(seen), "something stale was applied"
            assert [move["to_state"] for move in us.stage.workflow.history(job_id)][-1] == "replicating"
        assert us.stage.get("/vma-polling/status")["performance"]["success_rate"] == 100
