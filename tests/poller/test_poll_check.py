"""The checker of poll logs, on logs made by hand: what can be wrong, and what is right though it looks odd."""

from typing import Any

import pytest

from poller.poll_check import check
from poller.poll_findings import Report, Wrong
from poller.poll_lines import Asks, Began, Ended, Left, Line, Lives, Must, Put, Settled, Waits

NOON = "2026-03-02T12:00:00+00:00"


class Log:
    """The log of one process run; times are its seconds of uptime."""

    def __init__(
        self, run: str = "a", began: float = 0.0, at: str = NOON, boot: str = "here", *, polls: bool = True
    ) -> None:
        self.run = run
        self.lines: list[Line] = [Began(run=run, up=0.0, at=at, monotonic=began, boot=boot, polls=polls)]

    def must(self, up: float, *jobs: str, read: float | None = None) -> "Log":
        return self._add(Must(run=self.run, up=up, read=up if read is None else read, jobs=list(jobs)))

    def put(self, up: float, job: str = "j") -> "Log":
        return self._add(Put(run=self.run, up=up, job=job))

    def left(self, up: float, job: str = "j", *, lost: bool = False) -> "Log":
        return self._add(Left(run=self.run, up=up, job=job, lost=lost))

    def asks(self, up: float, job: str = "j", **more: Any) -> "Log":
        return self._add(Asks(run=self.run, up=up, job=job, **{"version": 1, "polls": 0} | more))

    def settled(self, up: float, job: str = "j", pause: float | None = 5.0, **more: Any) -> "Log":
        values = {"became": "applied", "version": 1, "was": 1, "polls": 0, "had": 0} | more
        return self._add(Settled(run=self.run, up=up, job=job, pause=pause, **values))

    def poll(self, up: float, job: str = "j", pause: float | None = 5.0, **more: Any) -> "Log":
        """A question that is answered at once."""
        return self.asks(up, job).settled(up + 0.1, job, pause, **more)

    def polls(self, first: float, last: float, every: float = 5.0) -> "Log":
        """A healthy job."""
        up = first
        while up <= last:
            self.poll(up, pause=every - 0.1)
            up += every
        return self

    def ended(self, up: float) -> "Log":
        return self._add(Ended(run=self.run, up=up))

    def lives(self, *ups: float) -> "Log":
        for up in ups:
            self._add(Lives(run=self.run, up=up))
        return self

    def waits(self, up: float, why: str = "database", pause: float = 1.0) -> "Log":
        return self._add(Waits(run=self.run, up=up, jobs=["j"], why=why, pause=pause))

    def _add(self, line: Line) -> "Log":
        self.lines.append(line)
        return self


def checked(*logs: Log) -> Report:
    return check(lambda: [log.lines for log in logs])


def found(*logs: Log) -> list[tuple[Wrong, str]]:
    return [(finding.wrong, finding.job) for finding in checked(*logs).findings]


# --- gaps and silence ------------------------------------------------------------------------------------


def test_a_job_that_is_asked_in_time_is_in_order() -> None:
    report = checked(Log().put(0.0).polls(0.1, 300).must(301, "j"))
    assert (report.findings, report.jobs, report.runs, report.questions) == ([], 1, 1, 60)


def test_a_job_that_is_asked_too_late_is_a_gap() -> None:
    [finding] = checked(Log().put(0.0).poll(1).poll(40)).findings
    assert (finding.wrong, finding.job) == (Wrong.GAP, "j")
    assert finding.says == "due 33.9 s ago; last asked about 39.0 s ago"
    assert f"{finding.at:%H:%M:%S}" == "12:00:40"


def test_ten_seconds_past_its_time_is_still_in_time() -> None:
    assert found(Log().put(0.0).poll(1).poll(1.1 + 5 + 9.9)) == []
    assert found(Log().put(0.0).poll(1).poll(1.1 + 5 + 10.1)) == [(Wrong.GAP, "j")]


def test_a_gap_that_is_still_open_at_the_end_is_found() -> None:
    assert found(Log().put(0.0).poll(1).must(60, "j")) == [(Wrong.GAP, "j")]


def test_a_job_that_must_be_polled_and_never_is_is_silent() -> None:
    assert found(Log().must(0.0, "j", "k").poll(0.5, "k").poll(5.5, "k").poll(10.6, "k", 30).must(30, "j", "k")) == [
        (Wrong.SILENT, "j")
    ]


def test_a_job_that_came_into_the_schedule_and_is_not_asked_is_silent() -> None:
    assert found(Log().put(3.0).must(60)) == []
    assert found(Log().put(3.0).must(60, "j")) == [(Wrong.SILENT, "j")]


def test_a_job_that_was_dropped_and_must_still_be_polled_is_missed() -> None:
    assert found(Log().put(0.0).poll(1).left(2).must(60, "j").must(120, "j")) == [(Wrong.GAP, "j")]


def test_a_job_that_ended_is_not_missed() -> None:
    assert found(Log().put(0.0).poll(1, pause=None, over=True).left(1.1).must(60).must(120)) == []


def test_a_job_that_ended_since_the_database_was_read_is_not_missed() -> None:
    log = Log().put(58.0).asks(59.0).settled(60.0, pause=None, over=True).must(60.1, "j", read=59.9).must(120)
    assert found(log) == []


def test_a_job_that_was_ended_by_hand_is_not_missed() -> None:
    assert found(Log().put(0.0).poll(1).left(2).must(60).must(120)) == []


def test_a_question_that_is_never_answered_is_missed() -> None:
    assert found(Log().put(0.0).asks(1).must(60, "j").must(120, "j")) == [(Wrong.GAP, "j")]


def test_a_question_of_which_nothing_becomes_is_missed_when_its_answer_must_long_be_written() -> None:
    """A database that holds our statement says nothing; every job waits for it."""
    assert found(Log().put(0.0).asks(1).must(23, "j")) == []
    assert found(Log().put(0.0).asks(1).must(24, "j")) == [(Wrong.GAP, "j")]
    assert found(Log().put(0.0).asks(1).settled(41)) == [(Wrong.GAP, "j")]


@pytest.mark.parametrize("became", ["dropped", "away", "broken"])
def test_an_answer_that_came_to_nothing_must_be_asked_for_again(became: str) -> None:
    nothing = {"became": became, "was": None, "had": None}
    assert found(Log().put(0.0).asks(1).settled(1.1, pause=1.0, **nothing).poll(2.1)) == []
    assert found(Log().put(0.0).asks(1).settled(1.1, pause=1.0, **nothing).poll(15)) == [(Wrong.GAP, "j")]


def test_a_job_that_waits_for_the_database_or_its_appliance_is_not_missed() -> None:
    log = Log().put(0.0).poll(1)
    for up in range(6, 60):
        log.waits(float(up))
    assert found(log.poll(60)) == []
    assert found(Log().put(0.0).poll(1).waits(6, "paused", 5.0).poll(30)) == [(Wrong.GAP, "j")]


def test_a_pause_longer_than_any_rule_allows_is_slow() -> None:
    assert found(Log().put(0.0).poll(1, pause=60).poll(61)) == []
    assert found(Log().put(0.0).poll(1, pause=90).poll(62)) == [(Wrong.SLOW, "j")]


# --- runs that end, and begin ----------------------------------------------------------------------------


def test_while_no_process_runs_nothing_is_missed() -> None:
    killed, next_run = Log("a").put(0.0).poll(1), Log("b", began=2700.0).must(0.01, "j").put(0.01).poll(0.02)
    assert found(killed, next_run) == []
    stopped = Log("a").put(0.0).poll(1).ended(2)
    assert found(stopped, next_run) == []


def test_while_only_replicas_run_that_do_not_poll_nothing_is_missed() -> None:
    killed, answers = Log("a").put(0.0).poll(1), Log("c", polls=False).lives(*range(300))
    assert found(killed, answers) == []


def test_after_a_start_every_job_must_be_asked_within_ten_seconds() -> None:
    killed = Log("a").put(0.0).poll(1)
    assert found(killed, Log("b", began=50.0).must(0.1, "j").poll(9)) == []
    assert found(killed, Log("b", began=50.0).must(0.1, "j").poll(11)) == [(Wrong.GAP, "j")]


def test_a_wall_clock_that_was_set_hides_nothing() -> None:
    back = "2026-03-02T11:00:41+00:00"
    one, two = Log("a").put(0.0).poll(1), Log("b", began=41.0, at=back).must(0.0, "j").polls(0.1, 100)
    assert found(one, two) == []
    assert found(Log("a").put(0.0).poll(1).poll(40), two) == [(Wrong.GAP, "j")]


def test_the_jobs_of_a_dead_replica_must_be_asked_by_another() -> None:
    dead = Log("a").put(0.0).polls(1, 21)
    assert found(dead, Log("b").must(0.0, "j").must(60, "j").must(120, "j")) == [(Wrong.GAP, "j")]
    assert found(dead, Log("b").put(23).polls(23.0, 120)) == []


def test_a_replica_that_has_nothing_to_say_but_that_it_lives_is_not_dead() -> None:
    slow = Log("a").put(0.0).poll(1, pause=60).lives(*range(2, 60)).poll(61)
    assert found(slow, Log("b").must(5.0, "j").must(65.0, "j")) == []
    dead = Log("a").put(0.0).poll(1, pause=60)
    assert found(dead, Log("b").must(5.0, "j").must(65.0, "j")) == [(Wrong.GAP, "j")]


def test_a_question_that_a_dead_replica_left_open_is_put_by_another() -> None:
    dead = Log("a").put(0.0).polls(1, 16).asks(21)
    assert found(dead, Log("b").put(23).polls(23.0, 120)) == []
    assert found(dead, Log("b").must(0.0, "j").put(45).polls(45.0, 120)) == [(Wrong.GAP, "j")]


def test_machines_are_compared_by_their_wall_clocks() -> None:
    other = Log("b", began=90_000.0, at="2026-03-02T12:00:23+00:00", boot="there").put(0.0).polls(0.0, 100)
    assert found(Log("a").put(0.0).polls(1, 21), other) == []


def test_lines_of_a_run_whose_beginning_is_missing_are_left_out_and_counted() -> None:
    log = Log().put(0.0).poll(1)
    log.lines = log.lines[1:]
    report = checked(log, Log("b").put(0.0).polls(0.1, 20))
    assert (report.findings, report.left_out, report.runs) == ([], 3, 1)


def test_no_lines_are_in_order() -> None:
    assert check(lambda: [[]]) == Report()


# --- overlaps --------------------------------------------------------------------------------------------


def test_two_questions_of_one_run_at_once_overlap() -> None:
    [finding] = checked(Log().put(0.0).asks(1).asks(3).settled(3.1).settled(3.2)).findings
    assert (finding.wrong, finding.says) == (Wrong.OVERLAP, "asked again by a while a question is under way")


def test_a_question_that_was_lost_may_be_put_again() -> None:
    assert found(Log().put(0.0).asks(1).asks(20).settled(20.1).polls(25, 60)) == []


def test_two_replicas_that_ask_in_turn_overlap() -> None:
    one, two = Log("a").put(0.0).polls(1, 31), Log("b").put(0.0).polls(3, 33)
    assert Wrong.OVERLAP in {wrong for wrong, _ in found(one, two)}


def test_a_job_that_is_handed_over_does_not_overlap() -> None:
    gives = Log("a").put(0.0).polls(1, 16).asks(21).left(21.5, lost=True)
    takes = Log("b").put(21.6).polls(21.6, 60)
    gives.settled(22, pause=None).must(60, "j")
    assert found(gives, takes) == []


def test_a_job_that_a_replica_gave_up_and_nobody_takes_is_missed() -> None:
    """Both lose their shares at once; the monitor, which would say that somebody must ask, may hang as they do."""
    one, two = Log("a").put(0.0).polls(1, 16).asks(21).left(21.5, lost=True), Log("b").lives(21, 36, 42)
    one.settled(22, became="dropped", was=None, had=None, pause=None)
    assert found(one.lives(36.4), two) == []
    assert found(one.lives(36.6), two) == [(Wrong.GAP, "j")]


def test_a_job_that_a_replica_gave_up_and_that_ended_since_is_not_missed() -> None:
    one, two = Log("a").put(0.0).polls(1, 16).left(17, lost=True), Log("b").lives(18)
    assert found(one, two.asks(18, guest=True).settled(18.1, over=True, pause=None).must(60)) == []
    by_hand = Log("a").put(0.0).polls(1, 16).left(17, lost=True).must(60)
    assert found(by_hand.must(120), Log("b").lives(18, 120)) == []


def test_a_job_that_goes_to_and_fro_does_not_overlap() -> None:
    """A frozen replica is woken, and gets its share again soon after; then the other stops."""
    one, two = Log("a").put(0.0).polls(1, 6), Log("b").put(17).polls(17, 22).left(24, lost=True)
    one.left(23, lost=True).put(25).polls(25, 30).left(31, lost=True)
    assert found(one, two.put(32).polls(32, 60)) == []


def test_a_guest_may_be_asked_about_beside_its_owner() -> None:
    owner, other = Log("a").put(0.0).polls(1, 31), Log("b")
    for up in (2.0, 8.0, 14.0, 22.0):
        other.asks(up, guest=True).left(up + 0.1).settled(up + 0.1, pause=None)
    assert found(owner, other.must(30, "j")) == []


def test_a_guests_question_does_not_stand_for_its_owners() -> None:
    owner, other = Log("a").put(0.0).polls(1, 16).must(60, "j"), Log("b").asks(18, guest=True)
    assert found(owner, other.left(18.1).settled(18.1, pause=None).must(60, "j")) == [(Wrong.GAP, "j")]


# --- stale answers ---------------------------------------------------------------------------------------


def test_an_answer_applied_after_the_job_moved_is_stale() -> None:
    [finding] = checked(Log().put(0.0).asks(1, version=3).settled(2, version=3, was=4)).findings
    assert (finding.wrong, finding.says) == (Wrong.STALE, "asked for at version 3, applied at version 4")


def test_an_answer_applied_after_anothers_is_stale() -> None:
    quick = Log("a").put(0.0).asks(1, polls=7).settled(1.1, polls=7, had=7)
    slow = Log("b").put(0.0).asks(0.5, polls=7).settled(1.5, polls=7, had=8)
    assert found(quick, slow) == [(Wrong.STALE, "j")]


def test_our_own_earlier_answer_makes_none_stale() -> None:
    log = Log().put(0.0).asks(1, polls=7).settled(1.1, polls=7, had=7).asks(6, polls=7).settled(6.1, polls=7, had=8)
    assert found(log) == []


def test_an_answer_that_was_dropped_is_not_stale() -> None:
    log = Log().put(0.0).asks(1, version=3).settled(2, version=3, became="dropped", was=None, had=None, pause=1.0)
    assert found(log.poll(3)) == []


def test_a_question_beside_the_schedule_needs_no_line_of_its_own() -> None:
    assert found(Log().put(0.0).poll(1).settled(3, polls=None, had=1).poll(6)) == []
