"""`oma-fsm audit replay`: a past that was really lived through the store, judged under other numbers."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result
from unguarded import unguarded

from cli.common import out
from cli.main import app
from db import past
from db.engine import make_engine, read, write
from db.jobs import NewDisk, NewJob, NewVolume
from db.store import Answer, Store
from db.tables import HISTORY, POLLS
from fsm.evidence import DiskEvidence, Evidence
from fsm.facts import Asked
from fsm.machine import decide
from fsm.policy import DEFAULT_POLICY
from fsm.states import Asker, Event, Verdict
from migrations import runner

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
SIZE = 1000
HEADS = ("moves that would have come out differently", "silences that would have ended the job (estimated)")


@dataclass
class Life:
    """One job in a store, and its clock."""

    store: Store
    now: datetime = NOON
    job_id: str = ""

    def start(self, vm: str = "web-01") -> "Life":
        """Through the whole workflow."""
        new = NewJob(vm, f"id-{vm}", f"/DC1/vm/{vm}", "vcenter", disks=(NewDisk("disk-2000", SIZE),))
        self.job_id = self.store.create(new, self.now, asked=Asked(), asked_about={}).after.job_id
        for event in (Event.ATTACH, Event.CONFIGURE, Event.READY, Event.START):
            self.now += timedelta(seconds=10)
            self.store.fire(self.job_id, event, self.now, asked=Asked())
            if event is Event.ATTACH:
                self.store.record_volume(self.job_id, "disk-2000", NewVolume(f"vol-{vm}"), self.now)
        return self

    def hear(self, verdict: str, times: int = 1, every: float = 5, percent: int | None = None) -> "Life":
        """The same answer several times."""
        for _ in range(times):
            self.now += timedelta(seconds=every)
            self.store.answer([self._answer(Verdict(verdict), percent)], self.now)
        return self

    def _answer(self, verdict: Verdict, percent: int | None) -> Answer:
        done = None if percent is None else percent * SIZE // 100
        told = DiskEvidence("disk-2000", verdict, bytes_transferred=done, total_bytes=SIZE)
        disks = () if done is None else (told,)
        up = (self.now - NOON).total_seconds() + 1e6
        evidence = Evidence(verdict, self.now, "run-1", up, bytes_transferred=done, percent=percent, disks=disks)
        version = self.store.facts(self.job_id).version
        return Answer(self.job_id, version, evidence, Asked(Asker.POLL))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A job that bore an outage of 25 minutes, ran on to 85 % and was then lost. To be copied only."""
    engine = make_engine(f"sqlite:///{tmp_path_factory.mktemp('lived') / 'jobs.db'}")
    runner.upgrade(engine)
    life = Life(Store(engine, DEFAULT_POLICY)).start().hear("running", percent=10)
    life.hear("unreachable", times=50, every=30).hear("running", percent=85).hear("not_found", times=13)
    assert life.store.facts(life.job_id).ending == "inferred"
    engine.dispose()
    return life


@pytest.fixture
def life(lived: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    """The same job in a database that the settings name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(out, "width", 400)
    shutil.copy(str(lived.store.engine.url.database), tmp_path / "jobs.db")
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", url)
    engine = make_engine(url)
    yield replace(lived, store=Store(engine, DEFAULT_POLICY))
    engine.dispose()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", "replay", *arguments])


def test_what_is_kept_of_a_move_is_all_that_deciding_it_needs(life: Life) -> None:
    with read(life.store.engine) as connection:
        moves = list(past.moves(connection))
    assert [m.edge for m in moves] == ["create", "attach", "configure", "ready", "start", "lost"]
    for move in moves:
        assert move.before is not None
        again = decide(move.before, move.event, move.evidence, move.at, asked=move.asked)
        assert (again.edge, again.after.version, again.verdicts) == (move.edge, move.before.version + 1, move.verdicts)


def test_under_the_numbers_of_the_day_nothing_differs(life: Life) -> None:
    result = run("--policy", "unreachable_after=30m")
    assert result.exit_code == 0
    assert "6 moves judged, 0 would differ; 2 silences, 0 would have ended their jobs" in result.output
    assert not any(head in result.output for head in HEADS)
    assert "Decisions to stay are not kept" in result.output


def test_a_move_that_would_differ_is_shown_with_the_guard_and_its_limit(life: Life) -> None:
    result = run("--policy", "nearly_done_percent=80")
    assert result.exit_code == 0
    assert "6 moves judged, 1 would differ" in result.output
    (row,) = [line for line in result.output.splitlines() if line.startswith(life.job_id)]
    assert "vma_not_found: failed, inferred (lost)" in row
    assert "completed, inferred (lost_when_nearly_done)" in row
    assert "not_nearly_done: wants <= 80 %, is 85 % (then: <= 90 %)" in row


def test_an_outage_that_was_borne_and_would_not_have_been_is_estimated(life: Life) -> None:
    result = run("--policy", "unreachable_after=20m")
    assert "0 would differ; 2 silences, 1 would have ended their jobs" in result.output
    (row,) = [line for line in result.output.splitlines() if line.startswith(life.job_id)]
    assert "2026-11-24 12:01:15Z" in row
    assert "unreachable for 1475s: replicating and stayed" in row
    assert "failed, inferred (silent)" in row
    assert "silent_too_long: wants >= 20m, is 1470s" in row


def test_several_numbers_may_be_changed_at_once(life: Life) -> None:
    result = run("--policy", "unreachable_after=20m", "--policy", "nearly_done_percent=80")
    assert "1 would differ; 2 silences, 1 would have ended" in result.output
    assert all(head in result.output for head in HEADS)


def test_only_what_came_later_and_only_one_job(life: Life) -> None:
    late = (life.now - timedelta(seconds=1)).isoformat()
    assert "1 moves judged, 0 would differ; 0 silences" in run("--policy", "watch_for=1d", "--since", late).output
    first = life.job_id
    life.start("web-02")
    assert "11 moves judged" in run("--policy", "watch_for=1d").output
    assert "6 moves judged" in run("--policy", "watch_for=1d", "--job", first).output
    assert "0 moves judged" in run("--policy", "watch_for=1d", "--since", "2026-11-25").output


def test_moves_of_older_releases_are_counted_and_not_judged(life: Life) -> None:
    with unguarded(life.store.engine), write(life.store.engine) as connection:
        connection.execute(update(HISTORY).where(HISTORY.c.seq == 2).values(facts_before=None))
        connection.execute(update(HISTORY).where(HISTORY.c.seq == 3).values(spec_hash="0123456789ab"))
    output = run("--policy", "watch_for=1d").output
    assert "5 moves judged" in output
    assert "1 moves cannot be judged: history did not yet keep the job as it was before" in output
    assert "1 of the moves were decided by specification 0123456789ab: `oma-fsm spec diff 0123456789ab`" in output


STRANGE = {"event": "vma_sleeping", "to_state": "paused", "asked_by": "cron", "facts_before": {"state": "paused"}}


@pytest.mark.parametrize("column", STRANGE)
def test_a_move_in_words_of_another_release_is_counted_with_where_they_are_explained(life: Life, column: str) -> None:
    with unguarded(life.store.engine), write(life.store.engine) as connection:
        strange = {column: STRANGE[column], "spec_hash": "0123456789ab"}
        connection.execute(update(HISTORY).where(HISTORY.c.seq == 6).values(strange))
    result = run("--policy", "unreachable_after=20m")
    assert (result.exit_code, "5 moves judged" in result.output) == (0, True), result.output
    assert "1 moves cannot be judged: they are told in words of specification 0123456789ab" in result.output
    assert "2 silences, 1 would have ended" in result.output


def test_what_another_release_remembered_or_heard_is_no_silence(life: Life) -> None:
    with unguarded(life.store.engine), write(life.store.engine) as connection:
        connection.execute(update(POLLS).where(POLLS.c.verdict != "not_found").values(verdict="asleep"))
    assert "1 silences, 0 would have ended" in run("--policy", "unreachable_after=20m").output
    with unguarded(life.store.engine), write(life.store.engine) as connection:
        connection.execute(update(HISTORY).where(HISTORY.c.seq == 5).values(facts={"state": "paused"}))
    assert "0 silences, 0 would have ended" in run("--policy", "unreachable_after=20m").output


def test_a_silence_by_which_the_job_did_end_is_told_as_such(life: Life) -> None:
    result = run("--policy", "inference_answers=1", "--policy", "inference_ripe=0")
    assert "not_found for 1m: replicating, then failed, inferred (lost)" in result.output


WRONG = {
    "unreachable_after": "--policy unreachable_after: expected NAME=VALUE, e.g. unreachable_after=20m",
    "unreachable_after=": "--policy unreachable_after=: expected NAME=VALUE",
    "unreachable_afer=20m": "no such threshold; did you mean unreachable_after?",
    "qqq=1": "no such threshold; known are grace_initializing",
    "unreachable_after=soon": "--policy: unreachable_after: a duration is written 90s, 20m, 1.5h or PT20M",
    "poll_interval=0s": "--policy: poll_interval: must be more than 0",
    "nearly_done_percent=101": "--policy: nearly_done_percent: Input should be less than or equal to 100",
    "stalled_after=2h": "--policy: stalled_after (2:00:00) must not exceed stalled_alarm_after (1:00:00)",
}


@pytest.mark.parametrize("policy", WRONG)
def test_a_wrong_threshold_is_named_with_what_is_wrong(life: Life, policy: str) -> None:
    _refused(run("--policy", policy), WRONG[policy])


def test_a_wrong_time_or_job_is_named(life: Life) -> None:
    wanted = "--since yesterday: expected a date or time as in 2026-11-01"
    _refused(run("--policy", "watch_for=1d", "--since", "yesterday"), wanted)
    _refused(run("--policy", "watch_for=1d", "--job", "job-0"), "no job 'job-0'")


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_outside_the_calendar_is_a_wrong_time(life: Life, since: str) -> None:
    _refused(run("--policy", "watch_for=1d", "--since", since), f"--since {since}: expected a date or time")


def _refused(result: Result, said: str) -> None:
    assert (result.exit_code, said in " ".join(result.stderr.split())) == (2, True), result.stderr


def test_a_database_of_another_release_or_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    result = run("--policy", "watch_for=1d", "--database-url", url)
    assert (result.exit_code, "no such database" in result.stderr) == (2, True)
    engine = make_engine(url)
    runner.upgrade(engine, "20261124200000")
    result = run("--policy", "watch_for=1d", "--database-url", url)
    assert (result.exit_code, "oma-fsm db upgrade" in result.stderr) == (2, True)
