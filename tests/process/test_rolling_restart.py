"""Three replicas as real processes, each stopped and started again in turn while copies run."""

import re
import time
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from process_stage import until
from replicas_stage import JOBS, Replicas, look
from servers import empty, kinds
from tunnel import Tunnel

from vma.simulator.process import SimulatorProcess

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]  # every wait has a bound of its own
KINDS = [kind for kind in ("postgresql", "mariadb") if kind in kinds()][:1]
NAMES = ("a", "b", "c")
LONGEST = 8.0  # seconds of silence: 15 where each job is asked about every 5; here it is every second, and takes 2
MOVES = 6  # three that leave and three that come: each takes a job from one replica to another once at most
QUESTION = re.compile(rb"GET /api/v1/progress/(\S+) ")


class Ear:
    """Hears who asks about what; each replica has its own way to the VMA."""

    def __init__(self) -> None:
        self.asked: defaultdict[bytes, list[tuple[float, str]]] = defaultdict(list)

    def hear(self, name: str, piece: bytes) -> None:
        for key in QUESTION.findall(piece):
            self.asked[key].append((time.monotonic(), name))


@pytest.mark.parametrize("kind", KINDS)
def test_no_job_is_silent_or_asked_about_by_two_when_one_replica_after_the_other_is_restarted(
    kind: str, tmp_path: Path
) -> None:
    ear = Ear()
    with ExitStack() as stack:
        url = stack.enter_context(empty(kind, tmp_path))
        vma = stack.enter_context(SimulatorProcess(state=tmp_path / "vma.json"))
        ways = {name: stack.enter_context(Tunnel(vma.url, partial(ear.hear, name))).url for name in NAMES}
        us = Replicas(tmp_path, url, vma, ways, replicas__mode="database")
        stack.callback(us.end)
        us.start()
        look("the jobs are shared out", us.shared_out)
        jobs = us.jobs()
        look(
            "the VMA's names for all are known", lambda: all(us.stage.workflow.job(j)["progress_percent"] for j in jobs)
        )
        ear.asked.clear()
        until("every job is asked about", lambda: len(ear.asked) == JOBS)
        began = time.monotonic()

        for name in NAMES:
            assert us[name].stop() == 0
            us.all_asked(5)
            us[name].start()
            us.ready(us[name])
        look("the jobs are shared out again", us.shared_out)
        us.all_asked(5)

        ended = time.monotonic()
        for key, questions in ear.asked.items():
            times = [began, *(at for at, _ in questions), ended]
            assert max(later - earlier for earlier, later in pairwise(times)) < LONGEST, key
            moves = sum(one != other for (_, one), (_, other) in pairwise(questions))
            assert moves <= MOVES, f"{key!r} was asked about by two at once: {questions}"
        assert len(ear.asked) == JOBS
        assert {us.stage.state(job) for job in jobs} == {"replicating"}
        assert us.stage.get("/vma-polling/status")["performance"]["success_rate"] == 100
