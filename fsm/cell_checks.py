"""The checks that judge guards: over all witnesses of a cell, exactly one of its edges passes."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cache
from typing import Final

from msgspec.structs import replace

from fsm.facts import Situation, VmFacts, later
from fsm.findings import Finding, Rule
from fsm.guard import Guard
from fsm.guards import by_operator
from fsm.spec import Edge, Kind
from fsm.states import ACTIVE, ENDED, VMA_EVENTS, Effect, Ending, Event, State, Verdict
from fsm.witnesses import TICK, much_later, plain, situations

Cell = tuple[State | None, Event]
# A copy that runs is not silence; one that runs and moves no byte is the condition `Progressing`'s business.
_MAY_GO_ON: Final = frozenset({Event.VMA_RUNNING})
_TAKES: Final = frozenset({Effect.CLAIM_CONTEXT, Effect.RECLAIM_CONTEXT})
_NOT_FREE: Final = (VmFacts("job-other"), VmFacts(None, "job-older", Verdict.RUNNING))
FAR: Final = timedelta(days=400)  # longer than any rule waits


def cell_findings(table: tuple[Edge, ...]) -> Iterator[Finding]:
    """Overlaps, gaps, answers that lead to nothing, ends that can be left, and VMs that are taken from others."""
    must_answer = {(state, event) for state in State for event in VMA_EVENTS}
    used = {(source, edge.event) for edge in table for source in edge.sources}
    for cell in sorted(must_answer | used, key=_where):
        edges = tuple(e for e in table if e.event is cell[1] and cell[0] in e.sources)
        yield from _judged(cell, edges)


@cache  # a table that differs in one edge is judged again only where it differs
def _judged(cell: Cell, edges: tuple[Edge, ...]) -> tuple[Finding, ...]:
    return tuple(_first_of_each_rule(_judge(cell, edges)))


def _where(cell: Cell) -> str:
    return f"{cell[0] or '(new)'} on {cell[1]}"


def _first_of_each_rule(findings: Iterable[Finding]) -> Iterator[Finding]:
    """One finding of a kind tells as much as the hundred situations in which it is seen."""
    yield from {finding.rule: finding for finding in reversed(list(findings))}.values()


def _judge(cell: Cell, edges: tuple[Edge, ...]) -> Iterator[Finding]:
    guards = {g.name: g for e in edges for g in e.guards}
    taken: set[str] = set()
    try:
        for situation in situations(plain(*cell), guards.values()):
            taken.update(e.name for e in _passing(edges, situation))
            yield from _judge_situation(cell, edges, situation)
    except Exception as error:  # whatever a guard of a broken table does, it is a finding
        yield Finding(Rule.WITNESS, _where(cell), f"a guard cannot be judged here: {error!r}")
        return
    if dead := [e.name for e in edges if e.name not in taken]:
        yield Finding(Rule.UNREACHABLE, _where(cell), f"no situation leads over {', '.join(dead)}")


def _judge_situation(cell: Cell, edges: tuple[Edge, ...], situation: Situation) -> Iterator[Finding]:
    state, event = cell
    passing = _passing(edges, situation)
    if len(passing) > 1:
        yield Finding(Rule.OVERLAP, _where(cell), f"{' and '.join(e.name for e in passing)} pass together")
    if event in VMA_EVENTS and not passing:
        yield Finding(Rule.GAP, _where(cell), f"no edge passes{_refusals(edges, situation)}")
    if event in VMA_EVENTS:
        yield from _late(cell, passing, situation)
    if state in ACTIVE and event in VMA_EVENTS and event not in _MAY_GO_ON:
        yield from _silence(cell, edges, situation)
    if state in ENDED:
        yield from _final(cell, edges, situation)
    yield from _beside(cell, edges, situation)


def _passing(edges: Iterable[Edge], situation: Situation) -> list[Edge]:
    return [e for e in edges if all(g.test(situation) for g in e.guards)]


def _refusals(edges: Iterable[Edge], situation: Situation) -> str:
    failed = {e.name: [g.name for g in e.guards if not g.test(situation)] for e in edges}
    return "".join(f"; {name} fails at {', '.join(guards)}" for name, guards in failed.items())


def _late(cell: Cell, passing: Iterable[Edge], situation: Situation) -> Iterator[Finding]:
    """An answer is ignored if nobody asks about the job any more, and only then."""
    polled = situation.facts.polled
    for edge in passing:
        if (edge.kind is Kind.IGNORE) == polled:
            text = "ignores an answer about a job that is polled" if polled else "heeds a late answer"
            yield Finding(Rule.POLLING, _where(cell), f"{edge.name} {text}")


def _silence(cell: Cell, edges: tuple[Edge, ...], situation: Situation) -> Iterator[Finding]:
    then = _passing(edges, much_later(situation))
    if not any(e.kind is Kind.MOVE or e.attention for e in then):
        names = ", ".join(e.name for e in then) or "no edge"
        text = f"said for ever, it neither moves the job nor calls an operator ({names})"
        yield Finding(Rule.SILENCE, _where(cell), text)


def _final(cell: Cell, edges: tuple[Edge, ...], situation: Situation) -> Iterator[Finding]:
    """A confirmed end is left by nobody, a manual one by an operator only."""
    for ending in (Ending.CONFIRMED, Ending.MANUAL):
        facts = replace(situation.facts, ending=ending, watched=False)
        for edge in _passing((e for e in edges if e.kind is Kind.MOVE), replace(situation, facts=facts)):
            if ending is Ending.CONFIRMED or by_operator not in edge.guards:
                yield Finding(Rule.CONFIRMED, _where(cell), f"{edge.name} leaves a {ending} end")


def _beside(cell: Cell, edges: tuple[Edge, ...], situation: Situation) -> Iterator[Finding]:
    """Nobody takes a VM that another job has, nor one whose last copy may still run."""
    taking = [e for e in edges if _TAKES & set(e.effects)]
    for vm in _NOT_FREE if taking else ():
        facts = replace(situation.facts, vm_taken=True)
        for edge in _passing(taking, replace(situation, facts=facts, vm=vm)):
            yield Finding(Rule.CONTEXT, _where(cell), f"{edge.name} takes a VM that is not free")


def guard_findings(table: tuple[Edge, ...]) -> Iterator[Finding]:
    """Every guard, and every part of one, is seen true and false; one that time flips says when."""
    seen: dict[str, tuple[Guard, Cell]] = {}
    for edge in table:
        for guard in (member for g in edge.guards for member in g.family()):
            for source in edge.sources:
                seen.setdefault(guard.name, (guard, (source, edge.event)))
    for guard, cell in seen.values():
        yield from _shown(guard, cell)


@cache
def _shown(guard: Guard, cell: Cell) -> tuple[Finding, ...]:
    try:
        return tuple(_first_of_each_rule(_witnessed(guard, plain(*cell))))
    except Exception as error:  # as above
        return (Finding(Rule.WITNESS, guard.name, f"cannot be judged in {_where(cell)}: {error!r}"),)


def _witnessed(guard: Guard, situation: Situation) -> Iterator[Finding]:
    found = [(s, guard(s)) for s in situations(situation, [guard])]
    for outcome in (True, False):
        if outcome not in {v.passed for _, v in found}:
            yield Finding(Rule.WITNESS, guard.name, f"no witness makes it {str(outcome).lower()}")
    ahead = [(s, v.passed, v.flips_at - s.now) for s, v in found if v.flips_at is not None]
    if ahead and min(span for _, _, span in ahead) > TICK:
        yield Finding(Rule.WITNESS, guard.name, "time flips it, and no witness sits just before its limit")
    if any(v.flips_at is None and guard(later(s, FAR)).passed is not v.passed for s, v in found):
        yield Finding(Rule.WITNESS, guard.name, "time flips it, and it does not say when")
    for s, passed, span in ahead:
        if guard(later(s, span)).passed is passed or guard(later(s, span - TICK)).passed is not passed:
            yield Finding(Rule.WITNESS, guard.name, f"it does not flip {span} later, when it says that it does")
