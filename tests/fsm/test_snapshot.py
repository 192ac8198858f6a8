"""The specification as JSON, what two of them differ in, and the page that is made of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fsm import guards as g
from fsm import spec
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.render.markdown import page
from fsm.render.mermaid import mermaid
from fsm.render.views import whole
from fsm.snapshot import (
    Change,
    Difference,
    Snapshot,
    SnapshotError,
    diff,
    removed_states,
    require_snapshot,
    snapshot,
)
from fsm.spec import EDGES, Edge
from fsm.states import Event, State

EDGE = {e.name: e for e in EDGES}
DOCS = Path(__file__).parents[2] / "docs"


def altered(name: str, /, **changes: Any) -> tuple[Edge, ...]:
    assert name in EDGE
    return tuple(replace(e, **changes) if e.name == name else e for e in EDGES)


def edited(change: Callable[[Snapshot], object]) -> Snapshot:
    """The present snapshot, as another release might have written it."""
    other: Snapshot = json.loads(json.dumps(snapshot()))
    change(other)
    return other


# --- the snapshot --------------------------------------------------------------------------------


def test_a_snapshot_is_plain_json_and_names_everything_in_the_table() -> None:
    found = snapshot()
    assert json.loads(json.dumps(found)) == found
    assert found["hash"] == spec.spec_hash()
    assert list(found["states"]) == [s.value for s in State]
    assert list(found["events"]) == [e.value for e in Event]
    assert list(found["edges"]) == [e.name for e in EDGES]
    assert {name for edge in found["edges"].values() for name in edge["guards"]} <= set(found["guards"])


def test_an_edge_in_the_snapshot_is_the_edge_in_the_table() -> None:
    assert snapshot()["edges"]["lost"] == {
        "event": "vma_not_found",
        "from": ["replicating"],
        "to": "failed",
        "kind": "move",
        "guards": ["lost", "not_nearly_done"],
        "effects": ["watch", "settle_context"],
        "ending": "inferred",
        "reason": "job lost on VMA",
        "attention": None,
        "why": "The VMA forgot the job and nothing posts for it.",
    }
    assert snapshot()["edges"]["create"]["from"] == ["(new)"]
    assert snapshot()["guards"]["not_lost"] == {"says": "too early to call the job lost", "is": "not lost"}
    assert [s for s, what in snapshot()["states"].items() if what["is"] == "ended"] == ["completed", "failed"]


# --- differences ---------------------------------------------------------------------------------


def test_a_specification_does_not_differ_from_itself() -> None:
    assert diff(snapshot(), json.loads(json.dumps(snapshot()))) == ()


def test_a_removed_edge_is_named_and_so_are_its_event_and_the_guards_that_went_with_it() -> None:
    found = diff(snapshot(), snapshot(e for e in EDGES if e.name != "create"))
    assert {str(d) for d in found} == {
        "removed edge create: create, from (new) to initializing",
        "removed guard vm_idle",
        "removed guard last_copy_over",
        "changed event create: from was (new), is nothing",
    }


def test_an_added_edge_is_the_same_the_other_way_round() -> None:
    without = snapshot(e for e in EDGES if e.name != "create")
    assert Difference(Change.ADDED, "edge", "create", "create, from (new) to initializing") in diff(without, snapshot())


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"guards": EDGE["lost"].guards[::-1]}, "guards was lost, not_nearly_done, is not_nearly_done, lost"),
        ({"effects": ()}, "effects was watch, settle_context, is nothing"),
        ({"why": "Gone."}, "why was The VMA forgot the job and nothing posts for it., is Gone."),
        ({"target": State.COMPLETED}, "to was failed, is completed"),
        ({"ending": None, "reason": None}, "ending was inferred, is nothing; reason was job lost on VMA, is nothing"),
    ],
    ids=["guards", "effects", "why", "target", "two things"],
)
def test_a_changed_edge_says_what_was_and_what_is(changes: dict[str, Any], detail: str) -> None:
    assert diff(snapshot(), snapshot(altered("lost", **changes))) == (
        Difference(Change.CHANGED, "edge", "lost", detail),
    )


def test_a_guard_that_means_something_else_is_a_changed_guard() -> None:
    reworded = replace(g.has_reason, says="a long reason is given")
    edges = tuple(replace(e, guards=tuple(reworded if x is g.has_reason else x for x in e.guards)) for e in EDGES)
    detail = "says was a reason is given, is a long reason is given"
    assert diff(snapshot(), snapshot(edges)) == (Difference(Change.CHANGED, "guard", "has_reason", detail),)


def test_states_come_and_go() -> None:
    older = edited(lambda s: s["states"].update(paused={"is": "active"}))
    gone = diff(older, snapshot())
    assert gone == (Difference(Change.REMOVED, "state", "paused"),)
    assert removed_states(gone) == ("paused",)
    come = diff(snapshot(), older)
    assert come == (Difference(Change.ADDED, "state", "paused"),)
    assert removed_states(come) == ()


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "not a specification"),
        ([], "not a specification"),
        ({}, "not a specification"),
        ({"format": 99}, "not a specification"),
        ({k: v for k, v in snapshot().items() if k != "edges"}, "without edges"),
        (snapshot() | {"states": []}, "without states"),
        (snapshot() | {"guards": {"lost": "x"}}, "without guards"),
    ],
    ids=["null", "a list", "nothing", "another format", "no edges", "states as a list", "guards as text"],
)
def test_what_is_no_snapshot_is_refused_with_what_is_wrong(found: object, says: str) -> None:
    with pytest.raises(SnapshotError, match=says):
        require_snapshot(found)
    with pytest.raises(SnapshotError, match=says):
        diff(found, snapshot())  # type: ignore[arg-type]


# --- the hash ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"guards": ()}, {"effects": ()}, {"target": State.COMPLETED}, {"reason": "gone"}, {"sources": (State.FAILED,)}],
    ids=str,
)
def test_whatever_an_edge_decides_is_in_the_hash(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = spec.spec_hash()
    monkeypatch.setattr(spec, "EDGES", altered("lost", **changes))
    assert spec.spec_hash() != before


def test_a_call_for_an_operator_is_in_the_hash_and_a_reworded_why_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = spec.spec_hash()
    monkeypatch.setattr(spec, "EDGES", altered("cannot_settle", why="It is so."))
    assert spec.spec_hash() == before
    monkeypatch.setattr(spec, "EDGES", altered("cannot_settle", attention=None))
    assert spec.spec_hash() != before


# --- the page ------------------------------------------------------------------------------------


def test_the_committed_page_is_that_of_the_specification_byte_for_byte() -> None:
    assert (DOCS / "machine.md").read_bytes() == page().encode()


def test_the_page_names_every_state_event_edge_guard_and_number() -> None:
    text = page()
    assert mermaid(whole()) in text
    guards = {member.name for e in EDGES for x in e.guards for member in x.family()}
    for name in (*State, *Event, *guards, *RecoveryPolicy.model_fields):
        assert f"| `{name}` |" in text, name
    for edge in EDGES:
        assert f"{edge.why} | `{edge.name}` |" in text, edge.name


def _row(text: str, edge: str) -> str:
    [row] = [line for line in text.splitlines() if line.endswith(f"| `{edge}` |")]
    return row


@pytest.mark.parametrize(
    ("edge", "cell"),
    [
        ("settled", "unchanged for completion_settle (>= 15m)"),
        ("settling", "unchanged for less than completion_settle (< 15m)"),
        ("lost", "progress <= nearly_done_percent (<= 90 %)"),
        ("setup_lost", "(initializing >= 5m, attaching >= 5m, configuring >= 5m, ready_for_sync >= 2m)"),
        ("setup_absent", "(initializing < 5m, attaching < 5m, configuring < 5m, ready_for_sync < 2m)"),
        ("silent", "(`silent_too_long` >= 30m and `outage_ripe` >= 3 like answers over 1m)"),
        ("unreachable", "(not (`silent_too_long` >= 30m and `outage_ripe` >= 3 like answers over 1m))"),
        ("absent", "and (`was_seen` or `had_time_to_post` >= 2m)"),
        ("still_unsettled", "under watch (`watch_open` and `watch_runs` < 24h); no newer job of the VM |"),
        ("broke", '`failed`, confirmed ("copy failed on the VMA")'),
        ("garbled_long", "stays, calls an operator (unintelligible)"),
        ("vma_running_late", "| ignored |"),
        ("done", "| record progress, stop polling, settle context |"),
    ],
)
def test_a_row_of_the_page_says_what_the_edge_wants_and_does(edge: str, cell: str) -> None:
    assert cell in _row(page(), edge)


def test_the_page_shows_the_numbers_of_the_policy_that_it_is_given() -> None:
    text = page(policy=RecoveryPolicy(unreachable_after=timedelta(minutes=7), nearly_done_percent=42))
    assert "`silent_too_long` >= 7m" in _row(text, "silent")
    assert "(> 42 %)" in _row(text, "lost_when_nearly_done")
    assert "| `unreachable_after` | 7m |" in text
    assert text != page(policy=DEFAULT_POLICY)


def test_the_page_says_who_moves_a_job_out_of_a_state() -> None:
    [row] = [line for line in page().splitlines() if line.startswith("| `ready_for_sync` | set-up")]
    for who in (
        "the workflow (`start`, `fail`)",
        "the VMA (`vma_running`, `vma_completed`, `vma_failed`)",
        "time and silence (`vma_not_found`, `vma_unreachable`)",
        "an operator (`fail`, `complete`)",
    ):
        assert who in row


def test_a_bar_in_a_text_does_not_break_the_table() -> None:
    assert "either \\| or." in _row(page(altered("lost", why="either | or.")), "lost")
