"""What must hold in every simulation, whatever happens in it.

While it goes on: what a VMA plainly says is followed; no end contradicts the truth of the copy; no job is given up by
silence while it could be heard; after a start, and when a replica is gone, every job is asked about in time. At its
end: nothing is stuck, histories fold to their rows, counters are right, and the poll log shows no job that was
silent, asked twice at once, or moved by a late answer.
"""

import math
from bisect import bisect_left
from collections import Counter
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from sim_plan import MINUTE
from sim_vma import FAILED, FINISHED, FLAPPING, GATEWAY, HUNG, REFUSED, RUNNING, Appliance

from fsm.conditions import conditions
from fsm.decision import Decision
from fsm.facts import JobFacts
from fsm.states import ENDED, Asker, Ending, State, Verdict
from poller.ownership import SOLE, Ownership
from poller.poll_check import check
from poller.poll_findings import Finding
from poller.poll_lines import Asks, Ended, Settled
from poller.service import DRAIN

if TYPE_CHECKING:
    from sim_process import SimProcess
    from simulation import World

LOOK_EVERY: Final = 45.0  # seconds
FOLLOWS: Final = 75.0  # seconds in which what is plainly said is followed: the pace of a watch, and an answer's time
AGAIN: Final = 10.0  # seconds from a start, or the death of another replica, to every job's next question
MISSED: Final = 15.0  # the same for a replica that was frozen, or whose host is gone
MONITOR: Final = 60.0  # seconds between two looks of the monitor
WOKEN: Final = 0.5  # seconds after a long freeze in which a replica cannot have got shares again
BACK: Final = 12.0  # seconds from the end of an outage to an answer: a probe that hung, the next, and their spread
OUTAGES: Final = (REFUSED, HUNG, GATEWAY, FLAPPING)
STOPS: Final = 8.0  # seconds that an orderly end may take
HEARABLE: Final = 60.0  # seconds of a plain answer that nobody can have missed
GIVEN_UP: Final = 29 * MINUTE


class Span(NamedTuple):
    """A time in which something was not as it should be; `what`: of which job, appliance or process; all: ''."""

    begin: float
    end: float
    kind: str
    what: str = ""


class Owed(NamedTuple):
    """Jobs that must be asked about, from `at` on within `seconds`, by one run or by any."""

    at: float
    seconds: float
    jobs: frozenset[str]
    run: str
    why: str
    answered: bool = False  # by the VMA, not only asked


class Judge:
    """`wrong`: what was wrong, in words."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.wrong: list[str] = []
        self.edges: Counter[str] = Counter()
        self.spans: list[Span] = []
        self.owed: list[Owed] = []
        self.silent: list[tuple[str, float, float]] = []  # (run, from, until): it must ask about nothing of its own
        self.triggers: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.down_since: float | None = 0.0  # since when no process runs
        self._ran: list[tuple[float, float]] = []

    # --- what happens ----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.world.time.seconds

    def begin(self) -> None:
        """The story begins."""
        self.world.store.on_move = self._moved
        self.world.at(LOOK_EVERY, self._look)
        for name, troubles in self.world.plan.troubles.items():
            for trouble in troubles:
                if trouble.kind in OUTAGES and trouble.length > 2 * BACK:
                    self.world.at(trouble.end, partial(self._answers_again, name))

    def say(self, what: str) -> None:
        whole = int(self.now)
        self.wrong.append(f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} {what}")

    def clock(self, at: datetime) -> str:
        """A time of the world's wall clock, for people."""
        return f"{at:%H:%M:%S}"

    def disturb(self, kind: str, length: float, what: str = "") -> None:
        """Something is not as it should be, from now on for so many seconds."""
        self.happened[kind] += 1
        self.spans.append(Span(self.now, self.now + length, kind, what))

    def began(self, process: "SimProcess") -> None:
        """A process starts: all jobs are to be asked about."""
        self.happened["start"] += 1
        self.spans.append(Span(self.now, self.now, "start"))
        if self.world.locks is None:
            self._owe(AGAIN, process.name, "after a start")

    def killed(self, process: "SimProcess", *, host: bool) -> None:
        """A process is gone."""
        self._gone(process, "host lost" if host else "kill", MISSED if host else AGAIN)

    def froze(self, process: "SimProcess", length: float) -> None:
        """A process stands still for a while."""
        self.disturb("frozen", length)
        if length > MISSED:
            self._gone(process, "freeze", MISSED)
            if self.world.locks is not None and self._others(process):
                self.silent.append((process.name, self.now + length, self.now + length + WOKEN))

    def _others(self, process: "SimProcess") -> list["SimProcess"]:
        return [p for p in self.world.processes if p.runs and p.polls and p is not process]

    def _gone(self, process: "SimProcess", how: str, seconds: float) -> None:
        self.happened[how] += 1
        self.spans.append(Span(self.now, self.now, how))
        if self.world.locks is not None and self._others(process):
            self._owe(seconds, "", f"after a {how}", process.service.ownership)

    def _owe(self, seconds: float, run: str, why: str, owner: Ownership = SOLE) -> None:
        must = frozenset(job.job_id for job in self.world.store.polled_jobs() if owner.owns(job.job_id))
        self.owed.append(Owed(self.now, seconds, must, run, why))

    def _answers_again(self, appliance: str) -> None:
        """An outage is over: with the next probe of an open breaker all its jobs are due, within a second."""
        jobs = self.world.store.polled_jobs()
        asking = [p.fleet.clients[appliance].breaker for p in self.world.processes if p.serves and p.polls]
        waits = bool(asking) and all(b.is_open for b in asking) and not self.world.database_slow
        others = [t for t in self.world.appliances[appliance].troubles if t.begin <= self.now + BACK]
        if waits and all(t.end <= self.now for t in others):
            must = frozenset(j.job_id for j in jobs if j.appliance == appliance and not j.watched)
            self.owed.append(Owed(self.now, BACK, must, "", "after an outage", answered=True))

    def stopped(self, process: "SimProcess", seconds: float) -> None:
        """A process stopped in order."""
        if seconds > STOPS:
            self.say(f"{process.name} took {seconds:.1f} s to stop")

    def lost(self, job_id: str, process: "SimProcess") -> None:
        """A job was removed from the schedule by hand."""
        self.disturb("removed", MONITOR + 1.0, job_id)
        self.owed.append(Owed(self.now, MONITOR + 2.0, frozenset([job_id]), process.name, "removed by hand"))

    def triggered(self, process: "SimProcess", asked: datetime, running: int | None, refused_by: int | None) -> None:
        """A recovery was triggered by hand; `running`: the one that was under way at that process when it was asked."""
        self.triggers["began" if refused_by is None else "refused"] += 1
        if running not in (None, refused_by):
            self.say(f"a recovery was triggered at {process.name} while {running} ran, and refused by {refused_by}")
        over = None if refused_by is None else self.world.store.runs[refused_by - 1].finished_at
        if over is not None and over < asked:
            self.say(f"a recovery triggered at {process.name} was refused for {refused_by}, which was over")
        self._one_of_all_jobs()

    def _one_of_all_jobs(self) -> None:
        """Among the processes that know of each other; one whose session was lost has another nobody knew of it."""
        known = {p.name for p in self.world.processes} if self.world.locks is None else self.world.locks.sessions
        runs = [p.service.recovery.run for p in self.world.processes if p.runs and p.name in known]
        of_all = [run.run_id for run in runs if run is not None and run.asked.by is Asker.TRIGGER]
        if len(of_all) > 1:
            self.say(f"recoveries {of_all} of all jobs run at once")

    # --- decisions -------------------------------------------------------------------------------

    def _moved(self, decision: Decision) -> None:
        after = decision.after
        self.edges[decision.edge or ""] += 1
        planned = next((p for p in self.world.plan.jobs if p.job_id == after.job_id), None)
        if planned is None or after.state not in ENDED:
            return
        appliance = self.world.appliances[planned.appliance]
        truth = appliance.copies[after.job_id].truth(self.now)
        if after.ending is Ending.CONFIRMED and truth != (FINISHED if after.state is State.COMPLETED else FAILED):
            self.say(f"{after.job_id} is {after.state}, confirmed, and its copy is {truth}")
        if after.ending is Ending.INFERRED and truth == RUNNING:
            self._inferred(decision, planned.appliance)

    def _inferred(self, decision: Decision, appliance: str) -> None:
        job_id = decision.after.job_id
        hearable = self._hearable(job_id, appliance, self.now - GIVEN_UP) or self._flaps(appliance)
        vma = self.world.appliances[appliance]
        if decision.edge == "setup_lost":  # the time in its state decides, and one answer
            hearable = vma.shown(job_id, self.now - 7.0) is not None
        elif decision.edge in ("lost", "lost_when_nearly_done"):
            hearable = self._just_shown(decision.before, vma)
        if hearable:
            self.say(f"{job_id} is {decision.after.state} by {decision.edge}; its copy runs and could be heard")

    def _flaps(self, appliance: str) -> bool:
        """True if nothing is wrong with it but that it comes and goes: then every job is heard of now and then."""
        wrong = [t for t in self.world.appliances[appliance].troubles if t.end > self.now - GIVEN_UP]
        begun = [t for t in wrong if t.begin <= self.now]
        return bool(begun) and all(t.kind == FLAPPING and t.begin < self.now - MINUTE for t in begun)

    def _just_shown(self, job: JobFacts, vma: Appliance) -> bool:
        """True if the VMA held the job when it was asked, or held and said so until within the last minute."""
        copy, forgot = vma.copies[job.job_id], vma.restarts[-1].at if vma.restarts else -math.inf
        was_known = job.heard_at is not None and copy.started + copy.first_post < forgot
        was_said = was_known and vma.trouble(forgot - 1.0) is None
        return vma.shown(job.job_id, self.now - 7.0) is not None or (was_said and self.now - forgot < MINUTE)

    def _hearable(self, job_id: str, appliance: str, since: float) -> bool:
        """True if the VMA said plainly that the job runs, for long enough, while we could listen."""
        bad = [s for s in self.spans if s.end >= since and s.what in ("", job_id, appliance)]
        bad += [Span(t.begin, t.end, t.kind) for t in self.world.appliances[appliance].troubles if t.end >= since]
        bad += [Span(begin, end, "down") for begin, end in self._downtimes() if end >= since]
        last = since
        for span in sorted(s for s in bad if s.begin <= self.now):
            if span.begin - last >= HEARABLE and self._shown_all_through(job_id, appliance, last, span.begin):
                return True
            last = max(last, span.end)
        return self.now - last >= HEARABLE and self._shown_all_through(job_id, appliance, last, self.now)

    def _shown_all_through(self, job_id: str, appliance: str, begin: float, end: float) -> bool:
        vma = self.world.appliances[appliance]
        shown = vma.shown(job_id, end)
        return shown is not None and shown[1] <= end - HEARABLE and begin <= end - HEARABLE

    def _downtimes(self) -> list[tuple[float, float]]:
        return self._ran + ([(self.down_since, math.inf)] if self.down_since is not None else [])

    # --- looking now and then --------------------------------------------------------------------

    def _look(self) -> None:
        self.world.at(self.now + LOOK_EVERY, self._look)
        self._note_downtime()
        for planned in self.world.plan.jobs:
            facts = self.world.facts(planned.job_id)
            if facts is not None:
                self._follows(facts, planned.appliance)

    def _note_downtime(self) -> None:
        runs = any(p.runs and p.polls for p in self.world.processes)
        if runs and self.down_since is not None:
            self._ran.append((self.down_since, self.now))
            self.down_since = None
        elif not runs and self.down_since is None:
            self.down_since = self.now - LOOK_EVERY

    def _follows(self, facts: JobFacts, appliance: str) -> None:
        """What the VMA has plainly said for a while has become of the job."""
        shown = self.world.appliances[appliance].shown(facts.job_id, self.now)
        if shown is None or facts.vm_taken or facts.ending is Ending.MANUAL:
            return
        calm = self._calm_since(facts, appliance)
        if self.now - max(shown[1], calm) < FOLLOWS:
            return
        stands = {RUNNING: (State.REPLICATING, None), FINISHED: (State.COMPLETED, Ending.CONFIRMED),
                  FAILED: (State.FAILED, Ending.CONFIRMED)}[shown[0]]  # fmt: skip
        if (facts.state, facts.ending) != stands:
            self.say(f"{facts.job_id} is {facts.state} {facts.ending or ''}, and its VMA says: {shown[0]},"
                     f" for {self.now - shown[1]:.0f} s")  # fmt: skip

    def _calm_since(self, facts: JobFacts, appliance: str) -> float:
        """Since when nothing is in the way of a question about a job."""
        if not any(p.runs and p.polls for p in self.world.processes):
            return self.now
        ends = [s.end for s in self.spans if s.what in ("", facts.job_id, appliance)]
        ends += [t.end for t in self.world.appliances[appliance].troubles if t.begin <= self.now]
        if self.world.locks is not None:
            ends = [end + MISSED for end in ends]
        poison = [s.end + MONITOR for s in self.spans if s.kind == "poison" and s.what == facts.job_id]
        return max([0.0, *ends, *poison])

    # --- at the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """The story is over."""
        self._note_downtime()
        for planned in self.world.plan.jobs:
            facts = self.world.facts(planned.job_id)
            if facts is None and not self.world.tried_in_vain(planned.job_id):
                self.say(f"{planned.job_id} was never made")
            if facts is not None:
                self._not_stuck(facts, planned.appliance)
                self._history(facts)
        self._in_time()
        self._poll_log()
        self._counters()
        self._processes()

    def _not_stuck(self, facts: JobFacts, appliance: str) -> None:
        """Its copy is long over: it has ended, or a person was called."""
        copy = self.world.appliances[appliance].copies[facts.job_id]
        quiet = self.now - max(copy.over if copy.started < math.inf else 0.0, self._calm_since(facts, appliance))
        if not facts.active or copy.truth(self.now) == RUNNING or quiet < 100 * MINUTE:
            return
        found = conditions(facts, scheduled=True, now=self.world.time.wall(), policy=self.world.store.policy)
        if not next(c.holds for c in found if c.name == "NeedsOperator"):
            self.say(f"{facts.job_id} is stuck: {facts.state}, and its copy is {copy.truth(self.now)}")

    def _history(self, facts: JobFacts) -> None:
        state, seq, over = None, 0, False
        for move in self.world.store.moves[facts.job_id]:
            if move.seq != seq + 1 or move.from_state is not state:
                self.say(f"{facts.job_id}: move {move.seq} from {move.from_state} follows {seq}, {state}")
            if over:
                self.say(f"{facts.job_id}: moved by {move.edge} after a confirmed end")
            state, seq, over = move.to_state, move.seq, move.ending is Ending.CONFIRMED
            ending = move.ending
        if (state, seq, ending) != (facts.state, facts.version, facts.ending):
            self.say(f"{facts.job_id}: its history leads to {state} {ending}, its row says {facts.state}")

    def _in_time(self) -> None:
        asked: dict[str, list[tuple[float, str]]] = {}
        answered: dict[str, list[tuple[float, str]]] = {}
        for line in self.world.lines:
            if isinstance(line, Asks) and not line.guest:
                asked.setdefault(line.job, []).append((self.world.bases[line.run] + line.up, line.run))
            elif isinstance(line, Settled) and line.verdict != Verdict.UNREACHABLE:
                answered.setdefault(line.job, []).append((self.world.bases[line.run] + line.up, line.run))
        for owed in self.owed:
            if not self._excused(owed):
                for job_id in sorted(owed.jobs):
                    self._asked_in_time(owed, job_id, (answered if owed.answered else asked).get(job_id, []))

        for run, begin, end in self.silent:
            for job_id, some in asked.items():
                if any(by == run and begin <= at <= end for at, by in some):
                    self.say(f"{run}, woken from a long freeze, asked about {job_id}, which others had taken")

    def _asked_in_time(self, owed: Owed, job_id: str, asked: list[tuple[float, str]]) -> None:
        first = bisect_left(asked, (owed.at, ""))
        by = owed.at + owed.seconds
        if any(at <= by and owed.run in ("", run) for at, run in asked[first:]):
            return
        removed = "removed" if owed.answered else "poison"
        ours = [s for s in self.spans if s.what == job_id and s.kind in ("poison", removed)]
        if self._ended_by(job_id, by) or any(s.begin <= by and s.end >= owed.at for s in ours):
            return
        self.say(f"{job_id} was not asked about within {owed.seconds:g} s {owed.why} at {owed.at:.1f}")

    def _ended_by(self, job_id: str, by: float) -> bool:
        """Somebody ended it, or it came to its end by an answer that was under way."""
        moves = self.world.store.moves[job_id]
        ended = [self.world.log_time(m.at) for m in moves if m.to_state in ENDED]
        return bool(ended) and min(ended) <= by

    def _excused(self, owed: Owed) -> bool:
        """Something else came between, or at the same moment; or the story was over."""
        until = owed.at + owed.seconds
        kinds = ("kill", "host lost", "freeze", "frozen", "database", "pause", "start", "stop", "session")
        between = [s for s in self.spans if s.kind in kinds and s.begin <= until and s.end + 1.0 >= owed.at]
        then = [s for s in between if s.begin == owed.at]
        rivals = sum(s.kind != "frozen" for s in then) > 1  # a freeze is told as both
        return until > self.now or rivals or len(between) > len(then)

    def _poll_log(self) -> None:
        for finding in check(lambda: [self.world.lines]).findings:
            if not self._explained(finding):
                self.say(f"poll log: {finding.wrong} of {finding.job}: {finding.says}")

    def _explained(self, finding: Finding) -> bool:
        """We did that ourselves: stood still, or took the job away by hand."""
        slack = {"frozen": 15.0, "removed": 12.0, "poison": 75.0}
        return any(
            s.what in ("", finding.job) and s.begin <= finding.until and s.end + slack[s.kind] >= finding.since
            for s in self.spans
            if s.kind in slack
        )

    def _counters(self) -> None:
        applied = Counter(s.job for s in self.world.lines if isinstance(s, Settled) and s.became == "applied")
        unlogged = self.happened["kill"] + self.happened["host lost"] + self.happened["stop"]
        for planned in self.world.plan.jobs:
            row = self.world.store.load([planned.job_id]).get(planned.job_id)
            polls = row.polls if row else 0
            if not applied[planned.job_id] <= polls <= applied[planned.job_id] + unlogged:
                self.say(f"{planned.job_id}: {polls} polls counted, {applied[planned.job_id]} logged")
        for process in self.world.processes:
            told = (m for c in process.service.metrics.polls.values() for m in c.collect())
            counted = sum(s.value for m in told for s in m.samples if s.name.endswith("_total"))
            logged = sum(isinstance(s, Settled) and s.became == "applied" and s.run == process.name
                         for s in self.world.lines)  # fmt: skip
            if counted != logged:
                self.say(f"{process.name} has counted {counted:g} polls, and logged {logged}")

    def _processes(self) -> None:
        for process in self.world.processes:
            for context in process.loop.errors:
                self.say(f"{process.name}: {context.get('message')} {context.get('exception')!r}")
            self._monitored(process)
            if not process.polls and any(isinstance(s, Asks) and s.run == process.name and not s.guest
                                         for s in self.world.lines):  # fmt: skip
                self.say(f"{process.name} only answers the API, and polls")
        self._nothing_dropped()
        calm = self.now - max((s.end for s in self.spans), default=0.0) > 2 * MINUTE and not self.world.database_away
        if calm and any(run.finished_at is None for run in self.world.store.runs):
            self.say("a recovery run is still open")
        if calm and any(p.runs and p.polls for p in self.world.processes):
            self._runs_recorded()

    def _nothing_dropped(self) -> None:
        """Who stopped in order has settled every question that was not slower than the time that there is for it."""
        under_way: dict[tuple[str, str], float] = {}
        for line in self.world.lines:
            if isinstance(line, Asks):
                under_way[line.run, line.job] = line.up
            elif isinstance(line, Settled):
                under_way.pop((line.run, line.job), None)
            elif isinstance(line, Ended):
                for (run, job_id), asked in under_way.items():
                    if run == line.run and line.up - asked < DRAIN:
                        self.say(f"{run} stopped in order, and lost an answer about {job_id}")

    def _monitored(self, process: "SimProcess") -> None:
        lived = self.now - max(process.began, max((s.end for s in self.spans), default=0.0))
        if not process.runs or not process.polls or lived < 3 * MONITOR:
            return
        last = process.service.monitor.last_cycle_at
        age = math.inf if last is None else (self.world.time.wall() - last).total_seconds()
        if age > MONITOR + 5.0:
            self.say(f"the monitor of {process.name} looked {age:.0f} s ago")

    def _runs_recorded(self) -> None:
        started = sum(run.asked.by is Asker.STARTUP for run in self.world.store.runs)
        if started == 0:
            self.say("no start was recorded as a recovery run")
        if started > self.happened["start"]:
            self.say(f"{started} recoveries for {self.happened['start']} starts")
