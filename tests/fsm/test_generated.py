"""Every cell, edge, guard and boundary of the specification, generated from it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as altered
from datetime import UTC, datetime, timedelta

import pytest
from builders import LONG_UP, NOW, Observer, answer, job
from freezegun import freeze_time
from msgspec.structs import replace
from witnesses import KNOBS, Cell, Witness, cells, witnesses

from fsm.decision import Decision, Outcome
from fsm.facts import JobFacts
from fsm.machine import decide
from fsm.memory import Memory, Still, Streak
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.spec import EDGES, Edge, Kind, edges
from fsm.states import ACTIVE, ENDED, SETUP, Effect, Ending, Event, State

EDGE = {e.name: e for e in EDGES}
OUTCOMES = {Kind.MOVE: Outcome.MOVED, Kind.STAY: Outcome.STAYED, Kind.IGNORE: Outcome.IGNORED}


def _named(cell: Cell) -> str:
    return f"{cell[0] or 'new'}-{cell[1]}"


CELLS = cells()
IN_TABLE = [c for c in CELLS if edges(*c)]
EDGE_CELLS = [(e, (s, e.event)) for e in EDGES for s in e.sources]


def taken(edge: Edge, cell: Cell) -> list[Witness]:
    return [w for w in witnesses(cell) if w.decision.edge == edge.name]


@pytest.mark.parametrize("cell", CELLS, ids=_named)
def test_every_cell_is_either_illegal_or_has_an_answer(cell: Cell) -> None:
    outcomes = {w.decision.outcome for w in witnesses(cell)}
    assert outcomes
    if edges(*cell):
        assert Outcome.ILLEGAL not in outcomes
    else:
        assert outcomes == {Outcome.ILLEGAL}
    if cell[1].value.startswith("vma_"):
        assert not outcomes & {Outcome.ILLEGAL, Outcome.REFUSED}, "an answer of the VMA is never refused"


@pytest.mark.parametrize("cell", IN_TABLE, ids=_named)
def test_at_most_one_edge_of_a_cell_passes_and_it_is_the_one_that_is_taken(cell: Cell) -> None:
    for witness in witnesses(cell):
        passing = [e.name for e in witness.passing()]
        assert passing == ([witness.decision.edge] if witness.decision.edge else []), witness.decision.says
        assert (witness.decision.outcome is Outcome.REFUSED) == (not passing)


@pytest.mark.parametrize(("edge", "cell"), EDGE_CELLS, ids=[f"{e.name}-{c[0] or 'new'}" for e, c in EDGE_CELLS])
def test_every_edge_is_reachable_and_does_what_its_row_says(edge: Edge, cell: Cell) -> None:
    found = taken(edge, cell)
    assert found, f"no situation leads over {edge.name}"
    for witness in found:
        _as_the_row_says(edge, cell, witness.facts, witness.decision)


def _as_the_row_says(edge: Edge, cell: Cell, before: JobFacts, decision: Decision) -> None:
    after = decision.after
    moved = edge.kind is Kind.MOVE
    assert decision.outcome is OUTCOMES[edge.kind]
    assert decision.effects == edge.effects
    assert decision.source == cell[0]
    assert decision.at == NOW
    assert decision.policy == DEFAULT_POLICY.fingerprint
    assert after.state is (edge.target if moved else before.state)
    assert after.ending is (edge.ending if moved else before.ending)
    assert after.version == before.version + moved
    assert after.entered_at == (NOW if moved else before.entered_at)
    assert after.memory.attention is edge.attention
    assert [v.name for v in decision.verdicts if v.passed][-len(edge.guards) :] == [
        g.name for g in edge.guards
    ] or not (edge.guards)
    if edge.reason and not decision.asked.reason:
        assert decision.reason == edge.reason
    _polling_follows(edge, before, after)


def _polling_follows(edge: Edge, before: JobFacts, after: JobFacts) -> None:
    effects = set(edge.effects)
    starts = bool(effects & {Effect.START_POLLING, Effect.RESTART_POLLING})
    assert after.polling_since == (NOW if starts else before.polling_since)
    if edge.kind is Kind.MOVE:
        assert after.watched == (Effect.WATCH in effects)
    elif Effect.STOP_POLLING in effects:
        assert not after.watched
    else:
        assert after.watched == before.watched


GUARDED = [(e, c, g) for e, c in EDGE_CELLS for g in e.guards]


@pytest.mark.parametrize(
    ("edge", "cell", "guard"),
    [(e, c, g.name) for e, c, g in GUARDED],
    ids=[f"{e.name}-{c[0]}-{g.name}" for e, c, g in GUARDED],
)
def test_one_false_guard_is_enough_and_the_verdict_names_it(edge: Edge, cell: Cell, guard: str) -> None:
    alone = [w for w in witnesses(cell) if _failed(edge, w) == [guard]]
    assert alone, f"{guard} is never the only thing that stands in the way of {edge.name}"
    order = [e.name for e in edges(*cell)]
    for witness in alone:
        decision = witness.decision
        assert decision.edge != edge.name
        tried = decision.edge is None or order.index(decision.edge) > order.index(edge.name)
        if tried:
            assert guard in [v.name for v in decision.refusals]
            assert guard in " ".join(map(str, decision.refusals))


def _failed(edge: Edge, witness: Witness) -> list[str]:
    return [g.name for g in edge.guards if not g(witness.situation).passed]


def test_every_edge_of_the_specification_is_covered() -> None:
    seen = Counter(w.decision.edge for cell in IN_TABLE for w in witnesses(cell) if w.decision.edge)
    missing = [e.name for e in EDGES if e.name not in seen]
    print(f"{len(EDGES) - len(missing)} of {len(EDGES)} edges, {len(CELLS)} cells, {sum(seen.values())} situations")  # noqa: T201
    assert not missing


def test_every_guard_of_the_specification_has_knobs_and_no_knob_is_stale() -> None:
    assert set(KNOBS) == {g.name for e in EDGES for g in e.guards}


# --- boundaries: every age and every percentage just before, at, and just after ------------------------------------

TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Age:
    """A rule that waits: the policy's field, where, which edge is taken before and after, and the job `since` NOW."""

    setting: str
    state: State
    event: Event
    before: str
    after: str
    waiting: Callable[[State], JobFacts]
    observer: Observer = LONG_UP


def _fresh(state: State) -> JobFacts:
    return job(state, entered=0, created=0)


def _old(state: State, **memory: object) -> JobFacts:
    ripe = Streak(NOW, LONG_UP.name, 0.0, 1.0, 9)
    return job(state, memory=Memory(not_found=ripe, unreachable=ripe, **memory))  # type: ignore[arg-type]


def _setup(state: State) -> Age:
    return Age(f"grace_{state}", state, Event.VMA_NOT_FOUND, "setup_absent", "setup_lost", _fresh)


def _ages() -> list[Age]:
    up_since_now = Observer(LONG_UP.name, NOW)
    found = [_setup(s) for s in SETUP]
    found += [altered(a, waiting=job, observer=up_since_now) for a in found]
    found += [
        Age("unreachable_after", s, Event.VMA_UNREACHABLE, "unreachable", "silent", lambda s: replace(
            _old(s), heard_at=NOW)) for s in ACTIVE
    ]  # fmt: skip
    found += [
        Age("unintelligible_after", s, Event.VMA_UNINTELLIGIBLE, "garbled", "garbled_long",
            lambda s: _old(s, unintelligible_since=NOW)) for s in ACTIVE
    ]  # fmt: skip
    found += [
        Age("completion_settle", s, Event.VMA_UNSETTLED, "settling", "setup_cannot_settle",
            lambda s: _old(s, settling=Still(NOW, None, None))) for s in SETUP
    ]  # fmt: skip
    replicating = State.REPLICATING
    return [
        *found,
        Age("completion_settle", replicating, Event.VMA_UNSETTLED, "settling", "cannot_settle",
            lambda s: _old(s, settling=Still(NOW, None, None))),
        Age("completion_settle", replicating, Event.VMA_UNSETTLED, "settling", "settled",
            lambda s: replace(_old(s, settling=Still(NOW, None, None)), percent=91.0)),
        Age("polling_grace", replicating, Event.VMA_NOT_FOUND, "absent", "lost",
            lambda s: replace(_old(s), polling_since=NOW, heard_at=NOW)),
        Age("absence_grace", replicating, Event.VMA_NOT_FOUND, "absent", "lost",
            lambda s: replace(_old(s), entered_at=NOW)),
    ]  # fmt: skip


AGES = _ages()


@pytest.mark.parametrize("age", AGES, ids=[f"{a.setting}-{a.state}-{a.after}-{a.waiting.__name__}" for a in AGES])
def test_every_age_turns_exactly_at_its_limit(age: Age) -> None:
    limit = getattr(DEFAULT_POLICY, age.setting)
    facts = age.waiting(age.state)
    with freeze_time(NOW) as clock:
        for moment, edge in ((limit - TICK, age.before), (limit, age.after), (limit + TICK, age.after)):
            clock.move_to(NOW + moment)
            now = datetime.now(UTC)
            evidence = answer(age.event.value.removeprefix("vma_"), now, age.observer)
            decision = decide(facts, age.event, evidence, now)
            assert decision.edge == edge, f"{moment}: {decision.says}"
            if moment < limit:
                assert NOW + limit in [v.flips_at for v in decision.verdicts]
            else:
                assert now not in [v.flips_at for v in decision.verdicts]


def test_every_age_of_the_rules_is_tried_at_its_limit() -> None:
    """The others are spans on the monotonic clock, tried in the verdict table, or no concern of the judge."""
    elsewhere = {"inference_ripe", "watch_for", "watch_fast_for", "stalled_after", "stalled_alarm_after"}
    pace = {n for n in RecoveryPolicy.model_fields if n.startswith(("poll_", "watch_", "backoff", "retry", "monitor"))}
    pace |= {"overdue_after", "unclaimed_after"}
    ages = {n for n, f in RecoveryPolicy.model_fields.items() if isinstance(getattr(DEFAULT_POLICY, n), timedelta)}
    assert {a.setting for a in AGES} == ages - elsewhere - pace


PROGRESS = (
    (Event.VMA_NOT_FOUND, "lost", "lost_when_nearly_done", lambda s: replace(_old(s), heard_at=NOW)),
    (Event.VMA_UNSETTLED, "cannot_settle", "settled", lambda s: _old(s, settling=Still(NOW, None, None))),
)


@pytest.mark.parametrize(("event", "below", "above", "waiting"), PROGRESS, ids=[str(p[0]) for p in PROGRESS])
@pytest.mark.parametrize(
    ("percent", "is_above"),
    [(89.9, False), (90.0, False), (90.1, True), (90.0 + 1e-9, True), (0.0, False), (100.0, True)],
)
def test_progress_turns_just_above_its_limit(
    event: Event, below: str, above: str, waiting: Callable[[State], JobFacts], percent: float, is_above: bool
) -> None:
    facts = replace(waiting(State.REPLICATING), percent=percent)
    now = NOW + timedelta(hours=1)
    decision = decide(facts, event, answer(event.value.removeprefix("vma_"), now), now)
    assert decision.edge == (above if is_above else below)
    assert decision.after.percent == percent


def test_ended_cells_know_all_verdicts_and_active_cells_as_well() -> None:
    for state in (*ACTIVE, *ENDED):
        for event in Event:
            if event.value.startswith("vma_"):
                assert edges(state, event), f"{event} has no row in {state}"


def test_endings_go_with_ended_states_and_with_no_other() -> None:
    for edge in EDGES:
        assert (edge.ending is not None) == (edge.target in ENDED), edge.name
        assert (edge.ending is Ending.INFERRED) == (Effect.WATCH in edge.effects), edge.name
