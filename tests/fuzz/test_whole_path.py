"""Whatever comes over the wire is read, weighed and decided: no exception, no absurd number, no end from garbage."""

import json
from copy import deepcopy
from typing import Any

import pytest
from examples import ALL, KNOWN, TOKENS
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_path import JOBS, STATUSES, Heard, decide_and_check, states_an_end

from fsm.states import Ending

unhurried = settings(deadline=None, max_examples=500)
NUMBERS = (-1, -0.5, 250, 99.9, 7.5, 2**63, -(2**70), 10**30, 1e300, float("nan"), float("inf"), "42", None)
TEXTS = (
    "incomplete",
    "failed over",
    "Odd",
    "",
    "\ud800",
    "\x1b[31m",
    "x" * 20_000,
    "0001-01-01T00:00:00Z",
    None,
    7,
    {},
)
DECISIVE = {
    **dict.fromkeys(("percentage", "percent", "bytes_transferred", "total_bytes"), NUMBERS),
    **dict.fromkeys(("status", "phase", "stage", "disk_id", "start_time"), TEXTS),
}
values = st.recursive(
    st.sampled_from((*NUMBERS, *TEXTS)) | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bent_bytes(draw: st.DrawFn) -> bytes:
    """An example that was cut, flipped, spliced, doubled, or had something put in or in place of something."""
    body = draw(st.sampled_from(ALL))
    for _ in range(draw(st.integers(1, 4))):
        at, to = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
        pieces = {
            "cut": (body[:at],),
            "flipped": (body[:at], bytes(255 - b for b in body[at : at + 1]), body[at + 1 :]),
            "spliced": (body[:at], draw(st.sampled_from(ALL))[to:]),
            "doubled": (body[:to], body[at:to], body[to:]),
            "left out": (body[:at], body[to:]),
            "put in": (body[:at], draw(st.sampled_from(TOKENS)), body[at:]),
            "replaced": (body[:at], draw(st.sampled_from(TOKENS)), body[to:]),
        }
        body = b"".join(pieces[draw(st.sampled_from(sorted(pieces)))])
    return body


def places(said: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value within a JSON value."""
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    return [deeper for key, value in inner for deeper in ((*path, key), *places(value, (*path, key)))]


@st.composite
def bent_values(draw: st.DrawFn) -> bytes:
    """An example that is still JSON, with some values, at any depth, of another type or size."""
    said: Any = json.loads(draw(st.sampled_from(KNOWN)))
    for _ in range(draw(st.integers(1, 4))):
        anywhere = places(said)
        decisive = draw(st.booleans()) and [way for way in anywhere if way[-1] in DECISIVE]
        *way, last = draw(st.sampled_from(decisive or anywhere))
        holder = said
        for step in way:
            holder = holder[step]
        value = draw(st.sampled_from(DECISIVE[last]) if decisive else values)
        holder[last] = deepcopy(value)  # whatever is sampled is shared
    return json.dumps(said).encode()


bodies = bent_values() | bent_bytes() | st.sampled_from(ALL) | st.binary(max_size=200)
replies = st.tuples(st.sampled_from((200,) * 12 + STATUSES), bodies)
under_every_key = st.tuples(st.tuples(st.just(200), bent_values()))
heards = st.builds(Heard, st.integers(0, len(JOBS) - 1), under_every_key | st.tuples(replies, replies, replies))


@unhurried
@given(heards)
def test_any_bytes_come_to_a_decision_and_never_to_an_end_that_nobody_stated(heard: Heard) -> None:
    decide_and_check(heard)


@pytest.mark.parametrize("job", range(len(JOBS)))
@pytest.mark.parametrize("body", ALL, ids=lambda body: repr(body[:30]))
def test_every_example_comes_to_a_decision(job: int, body: bytes) -> None:
    decide_and_check(Heard(job, ((200, body),)))


def test_the_check_would_see_an_end() -> None:
    """What is stated ends a job: an oracle that never saw an end would prove nothing."""
    done = KNOWN[0].replace(b"in_progress", b"Completed")
    assert states_an_end(200, done)
    assert decide_and_check(Heard(0, ((200, done),))).after.ending is Ending.CONFIRMED
    assert not any(states_an_end(*reply) for reply in ((404, done), (200, done[:-1]), (200, b"[" + done + b"]")))
