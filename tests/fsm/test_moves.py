"""The moves that the database holds jobs to, beside what the machine itself decides."""

from collections.abc import Iterator

from msgspec.structs import replace

from fsm.decision import Decision
from fsm.machine import decide
from fsm.moves import Move, exact_moves
from fsm.spec import edges, moves
from fsm.states import ENDED, Ending, Event, State
from fsm.witnesses import plain, situations


def decisions() -> Iterator[Decision]:
    """Everything that is decided when the knobs of all guards are turned; only an inferred end is under watch."""
    for state in (None, *State):
        for event in (Event.CREATE,) if state is None else [e for e in Event if e is not Event.CREATE]:
            guards = dict.fromkeys(guard for edge in edges(state, event) for guard in edge.guards)
            for s in situations(plain(state, event), guards):
                ending = s.facts.ending if state in ENDED else None
                facts = replace(s.facts, ending=ending, watched=s.facts.watched and ending is Ending.INFERRED)
                yield decide(facts, event, s.evidence, s.now, asked=s.asked, policy=s.policy, vm=s.vm)


def test_the_moves_with_their_endings_are_exactly_what_the_machine_decides() -> None:
    found = {Move(d.source, d.before.ending, d.after.state, d.after.ending) for d in decisions() if d.moved}
    assert found == exact_moves()


def test_without_their_endings_they_are_the_moves_of_the_specification() -> None:
    assert {(move.source, move.target) for move in exact_moves()} == moves()


def test_nothing_leaves_a_confirmed_end() -> None:
    assert not [move for move in exact_moves() if move.source_ending is Ending.CONFIRMED]
