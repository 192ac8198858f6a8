"""Views: what they show is what the specification says, both ways."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import fsm.render
from fsm.policy import RecoveryPolicy
from fsm.render import views
from fsm.render.build import BIRTH, of
from fsm.render.model import Caption, Diagram, Role, Tone
from fsm.render.nesting import members, unnested
from fsm.render.views import UnknownViewError, names, uncovered, view
from fsm.spec import EDGES, Kind
from fsm.states import ENDED, SETUP, Asker, Ending, State

ALL = [view(name) for name in names()]
Way = tuple[str, str | None, str | None]  # edge, from, to


def ways(diagram: Diagram) -> Iterator[Way]:
    """What a diagram shows: of each edge from where to where; stays lead nowhere."""
    for arrow in diagram.arrows:
        for source in members(diagram, arrow.source) or (arrow.source,):
            yield from ((c.edge, None if source == BIRTH else source, arrow.target) for c in arrow.captions)
    for node in diagram.nodes:
        yield from ((c.edge, node.id, None) for c in node.inner)


SPECIFIED: set[Way] = {(e.name, s, e.target) for e in EDGES for s in e.sources}
MOVES = {way for way in SPECIFIED if way[2] is not None}


def test_the_whole_shows_every_move_of_the_specification_once_and_nothing_else() -> None:
    shown = list(ways(view("machine")))
    assert len(shown) == len(set(shown))
    assert set(shown) == MOVES


def test_all_views_together_are_the_specification_both_ways() -> None:
    assert {way for diagram in ALL for way in ways(diagram)} == SPECIFIED
    assert uncovered() == []


@pytest.mark.parametrize("state", list(State))
def test_the_surroundings_of_a_state_are_all_edges_that_touch_it(state: State) -> None:
    arriving = {way for way in SPECIFIED if way[2] == state}
    assert set(ways(view(f"state:{state}"))) == {way for way in SPECIFIED if way[1] == state} | arriving


def test_the_parts_make_up_the_whole() -> None:
    parts = {name: view(name).edges for name in ("happy", "recovery", "operator")}
    assert parts["happy"] | parts["recovery"] | parts["operator"] == view("machine").edges
    assert parts["happy"] == {"create", "attach", "configure", "ready", "start", "done"}
    assert not parts["recovery"] & parts["operator"]
    assert {c.event for a in view("operator").arrows for c in a.captions} == {"fail", "complete", "reopen"}


def test_the_happy_path_ends_in_a_confirmed_completion_of_a_replicating_job() -> None:
    (last,) = [a for a in view("happy").arrows if a.target == State.COMPLETED]
    assert (last.source, last.tone) == (State.REPLICATING, Tone.CONFIRMED)


def test_an_edge_that_no_view_shows_is_named() -> None:
    stray = replace(EDGES[0], name="stray")
    assert uncovered(edges=(*EDGES, stray)) == ["stray"]
    assert uncovered([view("happy"), view("operator")], EDGES[:6]) == ["attach_again"]


@pytest.mark.parametrize("name", ["machina", "state:", "state:gone", "failed", ""])
def test_an_unknown_view_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UnknownViewError, match="known are machine, happy, recovery, operator, state:initializing"):
        view(name)


# --- what an arrow says --------------------------------------------------------------------------


def _captions(diagram: Diagram) -> dict[str, Caption]:
    inner = [c for n in diagram.nodes for c in n.inner]
    return {c.edge: c for c in [*(c for a in diagram.arrows for c in a.captions), *inner]}


def test_every_caption_carries_all_guards_and_effects_of_its_edge() -> None:
    spec = {e.name: e for e in EDGES}
    for diagram in ALL:
        for name, caption in _captions(diagram).items():
            edge = spec[name]
            assert caption.event == edge.event
            for guard, text in zip(edge.guards, caption.guards, strict=True):
                assert text.startswith(guard.says)
            assert caption.effects[: len(edge.effects)] == tuple(e.replace("_", " ") for e in edge.effects)
            assert (f"call an operator ({edge.attention})" in caption.effects) == (edge.attention is not None)
            assert caption.outcome == {Kind.MOVE: "", Kind.STAY: "stays", Kind.IGNORE: "ignored"}[edge.kind]


@pytest.mark.parametrize(
    ("name", "edge", "guard"),
    [
        ("recovery", "silent", "silent for too long, outage ripe (>= 30m, >= 3 like answers over 1m)"),
        ("recovery", "lost", "progress <= nearly_done_percent (<= 90 %)"),
        ("recovery", "settles_after_all", "under watch (< 24h)"),
        ("recovery", "setup_lost", "past the grace of the state (initializing >= 5m, attaching >= 5m, "
                                   "configuring >= 5m, ready_for_sync >= 2m)"),
        ("state:ready_for_sync", "setup_lost", "past the grace of the state (>= 2m)"),
        ("state:ready_for_sync", "setup_absent", "within the grace of the state (< 2m)"),
        ("state:replicating", "unreachable", "too early to give the job up (not: >= 30m, >= 3 like answers over 1m)"),
        ("state:failed", "reopen", "a reason is given"),
    ],
)  # fmt: skip
def test_a_guard_says_its_limit(name: str, edge: str, guard: str) -> None:
    assert guard in _captions(view(name))[edge].guards


def test_the_limits_are_those_of_the_policy_that_is_given() -> None:
    policy = RecoveryPolicy(unreachable_after=timedelta(minutes=7), nearly_done_percent=42)
    for name in ("machine", "recovery", "state:replicating"):
        said = " ".join(g for c in _captions(view(name, policy)).values() for g in c.guards)
        assert ">= 7m" in said
        assert "<= 42 %" in said
        assert "30m," not in said


def test_inferred_ends_are_told_from_confirmed_and_manual_ones() -> None:
    endings = {e.name: e.ending for e in EDGES}
    tones = {Ending.CONFIRMED: Tone.CONFIRMED, Ending.INFERRED: Tone.INFERRED, Ending.MANUAL: Tone.MANUAL}
    for arrow in (a for diagram in ALL for a in diagram.arrows):
        for ending in {endings[c.edge] for c in arrow.captions}:
            assert arrow.tone is (tones[ending] if ending else arrow.tone)
            assert ending or arrow.tone in (Tone.PLAIN, Tone.REVIVED)


def test_an_arrow_out_of_an_end_without_a_new_one_revives() -> None:
    revived = {c.edge for a in view("machine").arrows if a.tone is Tone.REVIVED for c in a.captions}
    assert revived == {e.name for e in EDGES if e.target and set(e.sources) <= set(ENDED) and e.ending is None}


def test_setup_active_and_ended_states_are_told_apart() -> None:
    for diagram in ALL:
        for node in diagram.nodes:
            if node.role is Role.BIRTH:
                continue
            state = State(node.id)
            assert node.role is (Role.ENDED if state in ENDED else Role.SETUP if state in SETUP else Role.ACTIVE)


def test_a_group_is_drawn_only_where_all_of_its_members_are() -> None:
    for diagram in ALL:
        nodes = {node.id for node in diagram.nodes}
        for group in diagram.groups:
            assert set(members(diagram, group.id)) <= nodes
            assert any(arrow.source == group.id for arrow in diagram.arrows)


def test_an_arrow_from_a_group_into_itself_leaves_from_its_members() -> None:
    ended = of("x", "x", "x", (e for e in EDGES if e.name in ("done_after_all", "runs_after_all")))
    assert {(a.source, a.target) for a in ended.arrows} == {("ended", "completed"), ("ended", "replicating")}
    assert {(a.source, a.target) for a in unnested(ended)} == {
        ("completed", "completed"),
        ("failed", "completed"),
        ("ended", "replicating"),
    }


def test_no_renderer_knows_the_machine() -> None:
    """A renderer makes text of a diagram: if it looked at the specification, the picture could say something else."""
    for name in ("mermaid", "dot", "ascii", "table", "nesting", "text"):
        tree = ast.parse((Path(fsm.render.__path__[0]) / f"{name}.py").read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        own = {module for module in imported if module and module.startswith("fsm")}
        assert own <= {"fsm.render.model", "fsm.render.nesting", "fsm.render.text"}, name


def test_who_may_ask_is_part_of_no_view_that_is_about_the_vma() -> None:
    said = {g for c in _captions(views.recovery()).values() for g in c.guards}
    assert not [g for g in said if Asker.OPERATOR.value in g]
