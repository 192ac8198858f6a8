"""The rules as a table of verdicts, written by hand from the requirement and not from the specification.

A row is: what it shows; the job; what was heard, as `verdict@age` counted back from the moment of the last one;
what must come of the last one, as `outcome state/ending: reason [effects] !attention`.
Answers older than `up` (how long our process has been up) were heard by the process before it.
"""

import re

import pytest
import verdict_rows as alive
import verdict_rows_ended as over
from builders import NOW, Observer, Story, ended, job, span
from verdict_rows import VERDICTS, Row

from fsm.facts import Asked
from fsm.policy import RecoveryPolicy
from fsm.states import Event

EXPECTED = re.compile(r"(\w+) (\w+)(?:/(\w+))?(?:: ([^\[!]*?))?(?: \[([\w, ]*)\])?(?: !(\w+))?$")
SHORT = {
    "start": "start_polling",
    "restart": "restart_polling",
    "keep": "keep_polling",
    "stop": "stop_polling",
    "record": "record_progress",
    "claim": "claim_context",
    "reclaim": "reclaim_context",
    "settle": "settle_context",
}
GROUPS = {
    "create": alive.CREATE,
    "workflow": alive.WORKFLOW_ROWS,
    "found": alive.FOUND,
    "unsettled": alive.UNSETTLED,
    "setup": alive.ABSENT_IN_SETUP,
    "absent": alive.ABSENT_WHILE_REPLICATING,
    "outage": alive.OUTAGE,
    "garbage": alive.GARBAGE,
    "watched": over.WATCHED,
    "people": over.PEOPLE,
    "stories": over.STORIES,
}
ROWS = [
    pytest.param(r, id=f"{group}-{n}-{r.state}-{r.said[:30].replace(' ', '_')}-{r.shows.replace(' ', '_')}")
    for group, rows in GROUPS.items()
    for n, r in enumerate(rows)
]


def play(told: Row) -> Story:
    """The story of a row; what happens before our process was up is heard by the one before it."""
    given = dict(told.given)
    evidence, asked = given.pop("ev", {}), given.pop("asked", None)
    vm, policy = given.pop("vm", None), given.pop("policy", RecoveryPolicy())
    ours = Observer("ours", NOW - span(given.pop("up", "10d")))
    before = Observer("the one before", NOW - span("20d"))
    facts = ended(told.state, **given) if "ending" in given else job(told.state, **given)
    story = Story(facts, policy=policy)
    for token in told.said.split():
        word, ago = token.split("@")
        story.now = NOW - span(ago)
        story.observer = ours if story.now >= ours.started_at else before
        if word in VERDICTS:
            known = {} if word in ("not_found", "unreachable", "unintelligible") else evidence
            story.hear(word, asked=asked, **known)
        else:
            story.ask(word, asked or Asked(), vm)
    return story


@pytest.mark.parametrize("told", ROWS)
def test_the_table_gives_the_verdict_that_the_requirement_wants(told: Row) -> None:
    match = EXPECTED.match(told.expected)
    assert match is not None, told.expected
    outcome, state, ending, reason, effects, attention = match.groups()
    story = play(told)
    last = story.decisions[-1]
    found = (last.outcome.value, last.after.state.value, last.after.ending, last.reason, last.after.memory.attention)
    assert found == (outcome, state, ending, reason, attention), last.says
    if effects is not None:
        wanted = {SHORT.get(e, e) for e in effects.split(", ") if e}
        assert {e.value for e in last.effects} == wanted


def test_a_new_job_starts_with_version_one() -> None:
    born = Story(job("initializing", version=0)).ask(Event.CREATE)
    assert born.after.version == 1
    assert born.source is None


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(ROWS) >= 100
    assert len({p.id for p in ROWS}) == len(ROWS)
