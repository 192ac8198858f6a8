"""Three replicas as real processes: started at once on an empty database, killed, frozen, stopped."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from coordination_servers import PASSWORD, RedisServer, no_redis
from process_stage import Stage
from replicas_stage import JOBS, Replicas, look
from servers import empty, kinds

from poller.poll_check import check_files
from poller.poll_findings import Finding
from vma.simulator.process import SimulatorProcess

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]  # every wait has a bound of its own
# One server is enough for what takes so long: what differs between them, tests/db/test_replicas.py tells of both.
BY_LOCKS = [kind for kind in ("mariadb", "postgresql") if kind in kinds()][:1]
BY_MEMBERS = [kind for kind in ("postgresql", "mariadb") if kind in kinds() and not no_redis()][:1]


@contextmanager
def replicas(
    kind: str, folder: Path, names: tuple[str, ...], guests: tuple[str, ...] = (), **settings: object
) -> Iterator[Replicas]:
    """On an empty database; gone afterwards, whatever happens."""
    with ExitStack() as stack:
        url = stack.enter_context(empty(kind, folder))
        vma = stack.enter_context(SimulatorProcess(state=folder / "vma.json"))
        them = Replicas(folder, url, vma, dict.fromkeys(names, vma.url), guests, **settings)
        stack.callback(them.end)
        yield them


def percents(play: Stage, job_id: str) -> list[float]:
    """What was kept of a job's progress, first to last."""
    polls: list[dict[str, Any]] = play.polling(job_id)["history"]
    return [poll["percent"] for poll in reversed(polls)]


def check(us: Replicas, jobs: list[str]) -> None:
    """Nothing stale was applied, nothing ended, nothing failed to be polled."""
    for job_id in jobs:
        seen = percents(us.stage, job_id)
        assert seen == sorted(seen), "something stale was applied"
        assert [move["to_state"] for move in us.stage.workflow.history(job_id)][-1] == "replicating"
    assert us.stage.get("/vma-polling/status")["performance"]["success_rate"] == 100


def poll_logs(folder: Path) -> list[Finding]:
    """A job that was silent, asked by two at once, or moved by an answer that came too late."""
    report = check_files(str(path) for path in folder.glob("*/polls.jsonl"))
    assert (report.jobs, report.runs > 2) == (JOBS, True)
    return report.findings


@pytest.mark.parametrize("kind", BY_LOCKS)
def test_whatever_becomes_of_a_replica_the_others_poll_its_jobs(kind: str, tmp_path: Path) -> None:
    with replicas(kind, tmp_path, ("a", "b", "api"), ("api",), replicas__mode="database") as us:
        a, b, api = us["a"], us["b"], us["api"]
        us.start()
        look("the jobs are shared out", us.hold((a, 32), (b, 32)))
        jobs = us.jobs()
        us.all_asked(5)
        look("only those that poll ask", us.asked_by(a, b))

        a.kill()
        us.all_asked(10)
        look("the survivor carries all", us.hold((b, 64)))

        a.start()
        look("they share again", us.hold((a, 32), (b, 32)))
        us.all_asked(5)
        os.kill(a.pid, signal.SIGSTOP)
        us.all_asked(15)
        look("the frozen one is taken for dead", lambda: us.shares() == {b.pid: 64, api.pid: 0})
        os.kill(a.pid, signal.SIGCONT)
        look("the woken one has its part again", us.hold((a, 32), (b, 32)))

        assert b.stop() == 0
        us.all_asked(5)
        look("the other carries all", us.hold((a, 64)))
        check(us, jobs)
    assert poll_logs(tmp_path) == []


@pytest.mark.parametrize("kind", BY_MEMBERS)
def test_by_a_coordination_server_too_the_others_poll_the_jobs_of_whoever_is_gone(kind: str, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        settings = {"replicas__mode": "tooz", "replicas__coordination_url": redis.url}
        with replicas(kind, tmp_path, ("seen", "killed", "frozen"), **settings) as us:
            seen, killed, frozen = us.all
            us.start()
            look("the jobs are shared out", us.shared_out)
            jobs = us.jobs()
            us.all_asked(5)
            look("all ask", us.asked_by(*us.all))

            killed.kill()
            os.kill(frozen.pid, signal.SIGSTOP)
            us.all_asked(10)
            look("the survivor carries all", us.hold((seen, 64)))
            os.kill(frozen.pid, signal.SIGCONT)
            look("the woken one has a part again", us.hold((seen, 32), (frozen, 32)))
            check(us, jobs)

            assert seen.stop() == 0
            us.all_asked(5)
            assert not [one for one in us.all if PASSWORD in one.log.read_text()]
        assert poll_logs(tmp_path) == []
