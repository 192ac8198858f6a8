"""The static checks of what an edge says of polling, VM, birth and ending: whatever is wrong is found by name."""

import subprocess
import sys

import pytest
from msgspec.structs import replace as replaced
from test_checks import EDGE, Table, changed, effects, guards_replaced, without

from fsm import guards as g
from fsm.checks import check
from fsm.facts import Situation
from fsm.findings import Rule
from fsm.guard import Guard, Sight
from fsm.spec import KEEP, Kind
from fsm.states import Effect, Ending, Event, State


def _timeless(situation: Situation) -> Sight:
    return replaced(g.settled.sight(situation), flips_at=None)


WRONG: dict[str, tuple[Rule, str, Table]] = {
    "an active job that stays, and nothing is said of its polling": (
        Rule.POLLING, "runs", effects("runs", Effect.KEEP_POLLING)),
    "a watched end that stays, and nothing is said of its polling": (
        Rule.POLLING, "still_unsettled", effects("still_unsettled", Effect.KEEP_POLLING)),
    "a job that stays and is polled anew": (
        Rule.POLLING, "absent", effects("absent", Effect.KEEP_POLLING, add=(Effect.RESTART_POLLING,))),
    "an end that stays and is watched once more": (
        Rule.POLLING, "still_unsettled", effects("still_unsettled", add=(Effect.WATCH,))),
    "an end that is polled and not": (
        Rule.POLLING, "vma_running_watch_over", effects("vma_running_watch_over", add=KEEP)),
    "an ignored answer that has somebody ask": (Rule.POLLING, "vma_failed_late", effects("vma_failed_late", add=KEEP)),
    "a revival by which polling only goes on": (
        Rule.POLLING, "reopen", effects("reopen", Effect.RESTART_POLLING, add=KEEP)),
    "a birth by which polling only goes on": (
        Rule.POLLING, "create", effects("create", Effect.START_POLLING, add=KEEP)),
    "an answer about a job that runs is ignored": (
        Rule.POLLING, "replicating on vma_running", changed("runs", kind=Kind.IGNORE, effects=())),
    "an answer about an end under watch is ignored": (
        Rule.POLLING, "failed on vma_unsettled", changed("unsettled_failure", kind=Kind.IGNORE, effects=())),
    "a late answer is heeded": (
        Rule.POLLING, "completed on vma_running", changed("vma_running_late", kind=Kind.STAY, effects=KEEP)),
    "an end that does not give its VM back": (Rule.CONTEXT, "lost", effects("lost", Effect.SETTLE_CONTEXT)),
    "an end beyond an end that does not": (
        Rule.CONTEXT, "done_after_all", effects("done_after_all", Effect.SETTLE_CONTEXT)),
    "a birth that does not take its VM": (Rule.CONTEXT, "create", effects("create", Effect.CLAIM_CONTEXT)),
    "a revival that does not take its VM": (Rule.CONTEXT, "reopen", effects("reopen", Effect.RECLAIM_CONTEXT)),
    "a stay that gives the VM away": (Rule.CONTEXT, "runs", effects("runs", add=(Effect.SETTLE_CONTEXT,))),
    "a step of the workflow that takes the VM again": (
        Rule.CONTEXT, "ready", effects("ready", add=(Effect.RECLAIM_CONTEXT,))),
    "an event that no edge has": (Rule.UNREACHABLE, "reopen", without("reopen")),
    "a birth by another event": (Rule.SHAPE, "create", changed("create", event=Event.ATTACH)),
    "a birth of a job that is there": (Rule.SHAPE, "create", changed("create", sources=(None, State.ATTACHING))),
    "an event of the workflow that is ignored": (
        Rule.SHAPE, "start_again", changed("start_again", kind=Kind.IGNORE, effects=())),
    "an operator's end that passes for confirmed": (
        Rule.SHAPE, "operator_fails", changed("operator_fails", ending=Ending.CONFIRMED)),
    "an answer's end that passes for manual": (Rule.SHAPE, "done", changed("done", ending=Ending.MANUAL)),
    "a confirmed failure without its text": (Rule.SHAPE, "broke", changed("broke", reason=None)),
    "a completion with an error text": (Rule.SHAPE, "lost", changed("lost", target=State.COMPLETED)),
    "an operator's end without a reason": (
        Rule.SHAPE, "operator_fails", changed("operator_fails", guards=(g.by_operator,))),
    "a step of the workflow that leads elsewhere": (
        Rule.SHAPE, "start_revives", changed("start_revives", target=State.CONFIGURING)),
    "a failure by which a job completes": (
        Rule.SHAPE, "operator_fails", changed("operator_fails", target=State.COMPLETED)),
    "a copy that runs and sets its job back": (
        Rule.SHAPE, "run_seen", changed("run_seen", target=State.INITIALIZING)),
    "a step that no job can ever take": (
        Rule.UNREACHABLE, "ready_for_sync on start", changed("start", guards=(g.vm_taken, g.vm_not_taken))),
    "two guards that never pass together": (
        Rule.UNREACHABLE, "failed on reopen", changed("reopen", guards=(*EDGE["reopen"].guards, g.vm_taken))),
    "an answer that knows the job, and its progress is dropped": (
        Rule.SHAPE, "runs", effects("runs", Effect.RECORD_PROGRESS)),
    "progress of an answer that has none": (Rule.SHAPE, "absent", effects("absent", add=(Effect.RECORD_PROGRESS,))),
    "progress of an answer that is ignored": (
        Rule.SHAPE, "vma_running_late", effects("vma_running_late", add=(Effect.RECORD_PROGRESS,))),
    "progress of what is no answer": (Rule.SHAPE, "reopen", effects("reopen", add=(Effect.RECORD_PROGRESS,))),
    "a birth beside an unfinished job": (
        Rule.CONTEXT, "(new) on create", changed("create", guards=(g.last_copy_over,))),
    "a birth beside a copy that runs": (Rule.CONTEXT, "(new) on create", changed("create", guards=(g.vm_idle,))),
    "a revival beside a newer job": (
        Rule.CONTEXT, "completed on reopen", changed("reopen", guards=(g.revisable, g.by_operator, g.has_reason))),
    "a manual end that the workflow leaves": (
        Rule.CONFIRMED, "failed on fail",
        changed("workflow_confirms_failure", guards=(g.revisable, g.by_workflow, g.has_reason))),
    "a guard that time flips and that does not say when": (
        Rule.WITNESS, "settled", guards_replaced(Guard("settled", "settled", g.settled.test, _timeless))),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_an_edge_says_wrongly_is_found_where_it_is(name: str) -> None:
    rule, where, table = WRONG[name]
    assert (rule, where) in {(f.rule, f.where) for f in check(table)}


def test_a_silent_flip_is_told_as_such() -> None:
    _, _, table = WRONG["a guard that time flips and that does not say when"]
    assert "time flips it, and it does not say when" in {f.text for f in check(table)}


_NO_NAME = """
import dataclasses, fsm.spec as s
s.EDGES = tuple(dataclasses.replace(e, {field}=(None if '{field}' == 'why' else 'paused')) if e.name == 'configure'
                else e for e in s.EDGES)
import cli.main, cli.spec
cli.spec.check()
"""


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("target", "names: configure: no state goes by 'paused'"),
        ("event", "names: configure: no event goes by 'paused'"),
        ("why", "why: configure: no sentence says why it exists"),
    ],
)
def test_the_command_names_what_nothing_goes_by_though_no_machine_can_be_built_of_it(field: str, said: str) -> None:
    spoilt = _NO_NAME.format(field=field)
    run = subprocess.run([sys.executable, "-c", spoilt], capture_output=True, text=True, check=False)
    assert (run.returncode, said in run.stdout + run.stderr) == (1, True), run.stderr
