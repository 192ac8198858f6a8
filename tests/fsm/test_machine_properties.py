"""Random lives of one job: whatever is heard, asked or restarted, these things hold."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from builders import TWO_DISKS, Story, answer, disk, job, span
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fsm.decision import Decision, Outcome
from fsm.facts import Asked, JobFacts
from fsm.machine import decide, decide_on
from fsm.policy import DEFAULT_POLICY
from fsm.states import ACTIVE, ENDED, SETUP, Asker, Ending, Event, State, Verdict

DISK_IDS = ("disk-2000", "disk-2001")
GAPS = (0, 1, 5, 20, 30, 60, 61, 90, 300, 899, 900, 1800, 7200, 90_000)
PEOPLE = (Event.ATTACH, Event.CONFIGURE, Event.READY, Event.START, Event.FAIL, Event.COMPLETE, Event.REOPEN)

bytes_said = st.one_of(st.none(), st.integers(-10, 1500))
percent_said = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
disk_said = st.builds(
    disk,
    st.sampled_from(DISK_IDS),
    st.sampled_from(list(Verdict)),
    proven=st.booleans(),
    bytes_transferred=bytes_said,
    total_bytes=st.one_of(st.none(), st.integers(0, 1000)),
    unfinished=st.booleans(),
)
hearing = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from(list(Verdict)),
        "bytes_transferred": bytes_said,
        "total_bytes": st.one_of(st.none(), st.integers(0, 2000)),
        "percent": percent_said,
        "disks": st.lists(disk_said, max_size=2).map(tuple),
        "own_key_completed": st.booleans(),
        "error": st.one_of(st.none(), st.just("boom")),
    }
)
asking = st.builds(
    Asked,
    st.sampled_from([Asker.WORKFLOW, Asker.OPERATOR, Asker.OPERATOR]),
    st.sampled_from(["anna", None]),
    st.sampled_from(["because", None]),
)
# The same answer several times in a row, else no inference would ever ripen.
step = st.one_of(
    st.tuples(st.just("hear"), st.sampled_from(GAPS), hearing, st.integers(1, 4)),
    st.tuples(st.just("hear"), st.sampled_from((20, 30, 60)), hearing, st.integers(3, 5)),
    st.tuples(st.just("ask"), st.sampled_from(GAPS), st.sampled_from(PEOPLE), asking),
    st.tuples(st.just("restart"), st.sampled_from(GAPS), st.none(), st.none()),
    st.tuples(st.just("take"), st.just(0), st.none(), st.none()),
)
begin = st.builds(
    lambda state, percent, disks: job(state, entered=0, percent=percent, disks=disks, version=1),
    st.sampled_from(ACTIVE),
    st.floats(0, 100),
    st.sampled_from([(), TWO_DISKS[:1], TWO_DISKS]),
)


@dataclass
class Ledger:
    """What an inference may rest on, counted a second time and in another way."""

    heard: list[tuple[str, float, str]] = field(default_factory=list)  # verdict, uptime, observer

    def listen(self, verdict: str, story: Story) -> None:
        self.heard.append((verdict, story.observer.uptime(story.now), story.observer.name))

    def ripe(self, verdict: str, contradicted_by: set[str], observer: str) -> bool:
        likes = []
        for said, up, who in reversed(self.heard):
            if said in contradicted_by or who != observer:
                break
            if said == verdict:
                likes.append(up)
        return len(likes) >= 3 and likes[0] - likes[-1] >= 60


FOUND = {"running", "completed", "failed", "unsettled"}


def live(facts: JobFacts, steps: list[Any]) -> tuple[Story, list[Decision]]:
    """Play a life, and check every single decision on the way."""
    story, ledger = Story(facts), Ledger()
    for kind, gap, what, how in steps:
        if kind == "restart":
            story.restart(gap)
        elif kind == "take":
            story.take_vm()
        elif kind == "ask":
            story.wait(gap)
            before = story.facts
            _check(before, story.ask(what, how), story, ledger)
        else:
            for _ in range(how):
                story.wait(gap)
                before = story.facts
                ledger.listen(what["verdict"].value, story)
                _check(before, _hear(story, what), story, ledger)
    return story, story.decisions


def _hear(story: Story, said: dict[str, Any]) -> Decision:
    """The builders' `percent` stands for bytes; here it is only what the answer says."""
    told = replace(answer(said["verdict"], story.now, story.observer), **said)
    return story.follow(decide_on(story.facts, told, story.now, asked=Asked(Asker.POLL)))


def _check(before: JobFacts, decision: Decision, story: Story, ledger: Ledger) -> None:
    after = decision.after
    _is_well_formed(after)
    assert after.version == before.version + decision.moved
    heard = decision.evidence is not None
    if heard:
        assert decision.outcome not in (Outcome.REFUSED, Outcome.ILLEGAL)
    if heard and before.ending in (Ending.CONFIRMED, Ending.MANUAL):
        assert after == before
        assert decision.outcome is Outcome.IGNORED
    if before.ending is Ending.CONFIRMED:
        assert not decision.moved
    if before.state in ENDED and before.vm_taken and heard:
        assert not decision.moved
    if decision.moved and after.ending is Ending.INFERRED:
        _was_ripe(before, decision, story, ledger)
    again = decide(before, decision.event, decision.evidence, decision.at, asked=decision.asked)
    assert again == decision
    event(f"{decision.event} {decision.outcome}")


def _is_well_formed(facts: JobFacts) -> None:
    assert 0.0 <= facts.percent <= 100.0
    assert facts.bytes_transferred >= 0
    assert (facts.ending is not None) == (facts.state in ENDED)
    assert not facts.watched or facts.ending is Ending.INFERRED
    assert facts.memory.watched_seconds >= 0


def _was_ripe(before: JobFacts, decision: Decision, story: Story, ledger: Ledger) -> None:
    assert decision.evidence is not None
    here = story.observer.name
    match decision.event:
        case Event.VMA_UNREACHABLE:
            others = {v.value for v in Verdict} - {"unreachable"}
            assert ledger.ripe("unreachable", others, here)
            assert decision.at - max(before.signs_of_life) >= DEFAULT_POLICY.unreachable_after
        case Event.VMA_NOT_FOUND if before.state in SETUP:
            grace = DEFAULT_POLICY.setup_grace(before.state)
            assert decision.at - before.entered_at >= grace
            assert decision.evidence.uptime >= grace.total_seconds()
        case Event.VMA_NOT_FOUND:
            assert ledger.ripe("not_found", FOUND, here)
            assert (decision.after.state is State.COMPLETED) == (before.percent > 90.0)
        case _:
            assert decision.event is Event.VMA_UNSETTLED
            assert decision.at - before.entered_at >= span("15m")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(begin, st.lists(step, min_size=1, max_size=14))
def test_whatever_happens_to_a_job_the_rules_hold(facts: JobFacts, steps: list[Any]) -> None:
    story, decisions = live(facts, steps)
    assert story.facts.version == 1 + sum(d.moved for d in decisions)


@settings(max_examples=100, deadline=None)
@given(
    begin,
    st.lists(
        st.tuples(st.sampled_from((1, 5, 30, 59)), st.sampled_from(["unreachable", "unintelligible"])), max_size=30
    ),
)
def test_no_garbage_and_no_short_outage_ends_a_job(facts: JobFacts, steps: list[tuple[int, str]]) -> None:
    story = Story(facts)
    for gap, verdict in steps:
        story.wait(gap).hear(verdict)
    assert story.now - facts.entered_at < timedelta(minutes=30)
    assert not story.moves
    assert (story.facts.state, story.facts.percent) == (facts.state, facts.percent)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 59), st.integers(1, 40), st.sampled_from(["not_found", "unreachable"]), st.floats(0, 100))
def test_a_process_that_is_restarted_within_a_minute_never_infers(
    up: int, times: int, verdict: str, percent: float
) -> None:
    story = Story(job(heard="1d", percent=percent))
    for _ in range(times):
        story.restart(30)
        story.hear(verdict)
        story.wait(up / 2).hear(verdict)
        story.wait(up / 2).hear(verdict)
    assert not story.moves
