"""A model of one VM's copies and of the VMA that runs them: the truth that the machine is held against."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from builders import SIZE, Observer, answer
from hypothesis import event
from hypothesis import strategies as st

from fsm.cadence import interval
from fsm.decision import Decision, Outcome
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts
from fsm.policy import RecoveryPolicy
from fsm.states import VMA_EVENTS, Asker, Effect, Ending, Event, State, Verdict

# A short watch, so that random lives reach its end; longer than any surviving copy of the model stays silent.
POLICY = RecoveryPolicy(watch_for=timedelta(minutes=6), watch_fast_for=timedelta(minutes=1))
SILENT_FOR = (0, 5, 100, 180)  # seconds that a copy takes to post, again or for the first time
BYTES_PER_SECOND = 0.4
STEPS_OF_WORKFLOW = (Event.ATTACH, Event.CONFIGURE, Event.READY, Event.START)
POLL = Asked(Asker.POLL)
FIRST = st.integers(0, 1)  # which job, if there are two
STEPS = st.sampled_from((4, 4, 4, 4, 4, 3, 1, 0))
SILENT = st.sampled_from(SILENT_FOR)
DONE = st.sampled_from(
    (0, 500, 899, 901, 960)
)  # bytes at the start: a copy is slow, and its end must come within reach
END = st.sampled_from(
    (
        (Verdict.COMPLETED, False),
        (Verdict.COMPLETED, True),
        (Verdict.UNSETTLED, False),
        (Verdict.UNSETTLED, True),
        (Verdict.FAILED, False),
    )
)
SELDOM = st.sampled_from((False, False, False, True))
BEGIN = (Effect.START_POLLING, Effect.RESTART_POLLING, Effect.WATCH)


@dataclass
class Copy:
    """A copy as it really is. `posts_at`: from when on the VMA has an entry for it; None = never again."""

    posts_at: datetime | None
    done: float
    verdict: Verdict = Verdict.RUNNING
    end: tuple[Verdict, bool] = (Verdict.COMPLETED, False)  # it will come to, and whether under its own key
    counts: float = 1.0  # of the bytes that it really did, what the VMA says: it may count wrong
    own_key_completed: bool = False
    hangs: bool = False
    heard: bool = False  # answered as running since it posted last

    @property
    def runs(self) -> bool:
        """True while bytes are, or ought to be, copied."""
        return self.verdict is Verdict.RUNNING

    def finish(self, verdict: Verdict, own_key_completed: bool, now: datetime) -> None:
        """It ends; one that the VMA does not know of by now will never post."""
        self.verdict, self.own_key_completed = verdict, own_key_completed
        self.posts_at = self.posts_at if self.known(now) else None

    def known(self, now: datetime) -> bool:
        """True if the VMA has an entry for it."""
        return self.posts_at is not None and self.posts_at <= now


COPY = st.builds(Copy, st.none(), DONE, end=END, counts=st.sampled_from((1.0, 1.0, 1.0, 1.2, -0.1)))


@dataclass
class ModelVma:
    """The truth about the copies, and what an asker is told of it."""

    copies: dict[str, Copy] = field(default_factory=dict)
    link: Verdict | None = None  # unreachable or unintelligible; None if it answers
    retry_after: float | None = None

    def runs(self, job_id: str) -> bool:
        """True while the copy of a job runs, whatever an asker is told."""
        return job_id in self.copies and self.copies[job_id].runs

    def work(self, time: timedelta, now: datetime) -> None:
        """Let the copies go on for a time, until now."""
        for copy in self.copies.values():
            if copy.runs and not copy.hangs:
                copy.done = min(copy.done + time.total_seconds() * BYTES_PER_SECOND, SIZE)
                if copy.done == SIZE:
                    copy.finish(*copy.end, now)

    def tell(self, job_id: str, at: datetime, observer: Observer) -> Evidence:
        """What is answered about a job."""
        copy = self.copies.get(job_id)
        if self.link is not None:
            return answer(self.link, at, observer, retry_after=self.retry_after)
        if copy is None or not copy.known(at):
            return answer(Verdict.NOT_FOUND, at, observer)
        copy.heard = copy.heard or copy.runs
        done = 100.0 * copy.done * copy.counts / SIZE
        return answer(copy.verdict, at, observer, percent=done, own_key_completed=copy.own_key_completed)


@dataclass
class Life:
    """What a store and a schedule would keep of one job. The schedule follows nothing but the effects."""

    facts: JobFacts
    moves: list[Decision] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)  # of the moves
    due: datetime | None = None
    errors: int = 0
    heard: list[Evidence] = field(default_factory=list)

    def follow(self, decision: Decision) -> None:
        """Take a decision over."""
        _check(decision)
        if decision.moved:
            self.moves.append(decision)
            self.effects.extend(decision.effects)
        if Effect.STOP_POLLING in decision.effects:
            self.due = None
        elif set(BEGIN) & set(decision.effects):
            self.due = decision.at
        self.facts = decision.after
        if decision.evidence is not None:
            self.heard.append(decision.evidence)
            self._was_ripe(decision, decision.evidence)
            self._plan(decision.evidence, decision.at)
        event(f"{decision.edge or decision.outcome}")

    def _was_ripe(self, decision: Decision, said: Evidence) -> None:
        """A copy is not given up before one run of ours has heard the silence three times over a minute."""
        silence = (
            said.verdict in (Verdict.NOT_FOUND, Verdict.UNREACHABLE) and decision.before.state is State.REPLICATING
        )
        if decision.moved and silence:
            like = [e.uptime for e in self.heard if (e.verdict, e.observer) == (said.verdict, said.observer)]
            assert len(like) >= 3
            assert like[-1] - like[0] >= 60.0

    def _plan(self, said: Evidence, now: datetime) -> None:
        self.errors = 0 if said.verdict not in (Verdict.UNREACHABLE, Verdict.UNINTELLIGIBLE) else self.errors + 1
        if self.due is None:
            return
        pause = interval(self.facts, self.errors, now, POLICY, said.retry_after)
        slowest = POLICY.backoff_max if self.facts.active else POLICY.watch_interval
        bound = max(slowest, timedelta(seconds=said.retry_after or 0))
        assert timedelta(0) < pause <= bound
        self.due = now + pause


def _check(decision: Decision) -> None:
    before, after = decision.before, decision.after
    assert after.version == before.version + decision.moved
    if decision.event not in VMA_EVENTS:
        return
    assert decision.outcome.accepted
    if before.ending in (Ending.CONFIRMED, Ending.MANUAL):
        assert after == before, "a final end never changes by an answer"
        assert decision.outcome is Outcome.IGNORED
    if before.watched and not before.vm_taken and decision.event is Event.VMA_RUNNING:
        assert after.state is State.REPLICATING, "the first running answer overturns an inference"
