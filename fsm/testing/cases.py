"""The whole machine as cases for `pytest.mark.parametrize`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from msgspec.structs import replace

from fsm.decision import OUTCOME, Decision, Outcome
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts, Situation, VmFacts
from fsm.machine import decide
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.spec import EDGES, Edge, edges
from fsm.states import Effect, Ending, Event, State
from fsm.witnesses import plain, situations


@dataclass(frozen=True, slots=True)
class Case:
    """One edge of the machine from one state: a situation that leads over it, and what comes of it.

    `source` is None for a job that is only now created; `target` and `ending` are the job's afterwards.
    """

    edge: str
    why: str
    source: State | None
    event: Event
    facts: JobFacts
    evidence: Evidence | None
    asked: Asked
    vm: VmFacts
    now: datetime
    outcome: Outcome
    target: State
    ending: Ending | None
    effects: tuple[Effect, ...]
    policy: RecoveryPolicy = DEFAULT_POLICY

    def __str__(self) -> str:
        return f"{self.source or 'new'}-{self.edge}"

    def decide(self, policy: RecoveryPolicy | None = None) -> Decision:
        """Have the case decided, by the policy that it was made for unless another is given."""
        by = policy or self.policy
        return decide(self.facts, self.event, self.evidence, self.now, asked=self.asked, policy=by, vm=self.vm)


@cache
def transition_cases(policy: RecoveryPolicy = DEFAULT_POLICY) -> tuple[Case, ...]:
    """A case for every edge from every state that it leaves. Use `ids=str` with it.

    What must come of a case is read from the specification; that the situation leads over the edge is tried out.
    LookupError if an edge cannot be reached under the policy.
    """
    cells = dict.fromkeys((source, edge.event) for edge in EDGES for source in edge.sources)
    return tuple(case for source, event in cells for case in _cell(source, event, policy))


def _cell(source: State | None, event: Event, policy: RecoveryPolicy) -> Iterator[Case]:
    wanted = {edge.name: edge for edge in edges(source, event)}
    guards = dict.fromkeys(guard for edge in wanted.values() for guard in edge.guards)
    for s in map(_told, situations(plain(source, event, policy), guards)):
        if not wanted:
            return
        edge = wanted.pop(_taken(s, event) or "", None)
        if edge is not None:
            yield _case(edge, source, s)
    if wanted:
        msg = f"no situation leads from {source or '(new)'} over {', '.join(wanted)}"
        raise LookupError(msg)


def _told(s: Situation) -> Situation:
    """The situation with an answer that says what the job is to remember of it."""
    if s.evidence is None:
        return s
    return replace(s, evidence=replace(s.evidence, own_key_completed=s.facts.memory.own_key_completed))


def _taken(s: Situation, event: Event) -> str | None:
    return decide(s.facts, event, s.evidence, s.now, asked=s.asked, policy=s.policy, vm=s.vm).edge


def _case(edge: Edge, source: State | None, s: Situation) -> Case:
    target, ending = (s.facts.state, s.facts.ending) if edge.target is None else (edge.target, edge.ending)
    return Case(
        edge.name, edge.why, source, edge.event, s.facts, s.evidence, s.asked, s.vm, s.now,
        OUTCOME[edge.kind], target, ending, edge.effects, s.policy,
    )  # fmt: skip
