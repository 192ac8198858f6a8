"""The poll log that a service writes: what it says of each question, and that the checker finds it in order."""

import errno
from pathlib import Path
from typing import Any

import pytest
from model_vma import Clock
from structlog.testing import capture_logs
from world import Process, World, run

from fsm.states import State
from poller.ownership import SOLE, SoleOwnership
from poller.poll_check import check, check_files
from poller.poll_lines import Asks, Began, Ended, Left, Line, Must, Put, Settled, Waits
from poller.poll_log import File, PollLogError, WrittenLog, open_log
from poller.poll_timeline import PollLogDamagedError, read_file


class Logged(Process):
    """A process that keeps a log."""

    def __init__(self, world: World, path: Path | None = None) -> None:
        super().__init__(world)
        self.lines: list[Line] = []
        sink = self.lines.append if path is None else File(str(path))
        self.poller.poll_log = WrittenLog(sink, self.observer)

    def told(self, *kinds: type) -> list[Any]:
        return [line for line in self.lines if isinstance(line, kinds)]


def test_every_question_is_told_and_what_became_of_it(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def story() -> Logged:
        us = Logged(world)
        await us.start()
        await us.pass_time(11)
        world.vma.complete(job)
        await us.pass_time(5)
        await us.service.stop()
        return us

    us = run(story())
    assert [type(line) for line in us.lines[:3]] == [Began, Must, Put]
    assert us.told(Must)[0].jobs == [job]
    questions, answers = us.told(Asks), us.told(Settled)
    assert [(q.by, q.version, q.polls, q.guest) for q in questions[:2]] == [
        ("startup", 5, 1, False),
        ("poll", 5, 2, False),
    ]
    assert [(a.became, a.verdict, a.was, a.had, a.pause) for a in answers[:2]] == [
        ("applied", "running", 5, 1, 5.0),
        ("applied", "running", 5, 2, 5.0),
    ]
    assert (answers[-1].verdict, answers[-1].state, answers[-1].over, answers[-1].pause) == (
        "completed",
        State.COMPLETED,
        True,
        None,
    )
    assert len(questions) == len(answers) == 4
    assert [type(line) for line in us.lines[-1:]] == [Ended]
    assert [line.job for line in us.told(Left)] == [job]
    assert check(lambda: [us.lines]).findings == []


def test_an_answer_to_a_job_that_moved_is_told_as_dropped(world: World) -> None:
    job = world.job("ready_for_sync")
    world.vma.run(job, 40)

    async def story() -> Logged:
        us = Logged(world)
        world.vma.hold(job)
        await us.start()
        world.sql("UPDATE vma_polling_state SET total_polls = 7, polled_by = 'other' WHERE job_id = :job", job=job)
        world.vma.release(job)
        await us.settle()
        await us.kill()
        return us

    [first, *_] = run(story()).told(Settled)
    assert (first.became, first.was, first.pause) == ("dropped", None, 2.0)


@pytest.mark.parametrize("works", ["load", "answer"])
def test_a_database_that_is_away_is_told(world: World, monkeypatch: pytest.MonkeyPatch, works: str) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)
    monkeypatch.setattr("poller.poller.RETRY", 0.01)
    real, left = getattr(world.store, works), [1]

    def away(*args: Any) -> Any:
        if left:
            left.pop()
            raise ConnectionError("away")
        return real(*args)

    monkeypatch.setattr(world.store, works, away)

    async def story() -> Logged:
        us = Logged(world)
        await us.start()
        await us.pass_time(3)
        await us.kill()
        return us

    us = run(story())
    if works == "load":
        assert [(line.jobs, line.why) for line in us.told(Waits)] == [([job], "database")]
    else:
        assert [line.became for line in us.told(Settled)] == ["away", "applied"]


def test_a_question_that_raises_is_told_as_broken(world: World) -> None:
    job = world.job(percent=30)
    world.vma.explode(job, RuntimeError("a bug"))

    async def story() -> Logged:
        us = Logged(world)
        await us.start()
        await us.kill()
        return us

    assert [(line.became, line.pause) for line in run(story()).told(Settled)] == [("broken", 1.0)]


def test_a_paused_appliance_is_told(world: World) -> None:
    job = world.job(percent=30)
    world.vma.at_rest.add("default")

    async def story() -> Logged:
        us = Logged(world)
        await us.start()
        await us.kill()
        return us

    assert [(line.jobs, line.why, line.pause) for line in run(story()).told(Waits)] == [([job], "paused", 5.0)]


# --- the file ----------------------------------------------------------------------------------------------


def test_runs_append_to_one_file_and_the_checker_reads_it(world: World, tmp_path: Path) -> None:
    path = tmp_path / "polls.jsonl"
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def life() -> None:
        us = Logged(world, path)
        await us.start()
        await us.pass_time(11)
        await us.kill()
        us.poller.poll_log.close()

    run(life())
    world.clock.advance("45m")
    run(life())
    report = check_files([str(path)])
    assert (report.findings, report.runs, report.jobs, report.questions) == ([], 2, 1, 6)
    assert b'"is":"asks"' in path.read_bytes()


def test_a_last_line_that_was_cut_off_is_left_out_and_any_other_damage_is_named(world: World, tmp_path: Path) -> None:
    path = tmp_path / "polls.jsonl"
    log = open_log(str(path), world.clock.observer(), SOLE)
    log.began()
    log.close()
    with path.open("ab") as file:
        file.write(b'{"is":"asks","run"')
    assert [type(line) for line in read_file(str(path))] == [Began]
    with path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(PollLogDamagedError, match=r"polls\.jsonl, line 2: not a line of a poll log"):
        list(read_file(str(path)))


def test_a_file_that_cannot_be_opened_is_named_with_its_setting(world: World, tmp_path: Path) -> None:
    with pytest.raises(PollLogError, match=r"poll_log: .* cannot be appended to \(Is a directory\)"):
        open_log(str(tmp_path), world.clock.observer(), SOLE)


def test_a_full_disk_is_said_once_and_costs_no_poll(tmp_path: Path) -> None:
    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    file = File(str(tmp_path / "polls.jsonl"))
    file._file.close()
    file._file = Full()  # type: ignore[assignment]
    with capture_logs() as logs:
        for up in range(3):
            file(Left(run="a", up=float(up), job="j"))
    [said] = logs
    assert (said["log_level"], said["why"]) == ("error", "[Errno 28] No space left on device")


def test_of_a_job_that_leaves_it_is_told_whether_another_replica_is_to_ask_about_it() -> None:
    class Some(SoleOwnership):
        def owns(self, job_id: str) -> bool:
            return job_id in mine

    mine, lines = {"ended", "lost"}, list[Line]()
    log = WrittenLog(lines.append, Clock().observer(), Some(), "here")
    for job in ("ended", "lost", "guest"):
        log.put(job, 0.0)
    mine.discard("lost")
    for job in ("ended", "lost", "guest"):
        log.left(job)
    assert {line.job: line.lost for line in lines if isinstance(line, Left)} == {
        "ended": False,
        "lost": True,
        "guest": False,
    }
