"""The machine as frozen data: every edge, with its guards, its effects, and why it exists.

This is the only list. The running machine, the tests, the documents and the database's checks are read
from it. Among the edges of one (state, event) pair exactly one passes; those that move come first, so that
a job that stays carries the reasons why it did not move.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from fsm import guards as g
from fsm.guard import Guard
from fsm.states import (
    ACTIVE,
    ENDED,
    SETUP,
    VMA_EVENTS,
    WORKFLOW_TARGETS,
    Attention,
    Effect,
    Ending,
    Event,
    State,
)


class Kind(StrEnum):
    """What taking an edge means."""

    MOVE = "move"  # a transition: the version rises, history gains a row
    STAY = "stay"  # the job stays, and that is an answer
    IGNORE = "ignore"  # a late answer about a job that is over


@dataclass(frozen=True, slots=True)
class Edge:
    """One row of the table. `target` is None for an edge that stays; `reason` is the error text of an end."""

    name: str
    event: Event
    sources: tuple[State | None, ...]
    target: State | None
    guards: tuple[Guard, ...]
    effects: tuple[Effect, ...]
    why: str
    kind: Kind = Kind.MOVE
    ending: Ending | None = None
    reason: str | None = None
    attention: Attention | None = None


E, S, F = Event, State, Effect
KEEP: Final = (F.KEEP_POLLING,)
RECORD: Final = (F.RECORD_PROGRESS, F.KEEP_POLLING)
REVIVE: Final = (F.RECLAIM_CONTEXT, F.RESTART_POLLING)
END: Final = (F.STOP_POLLING, F.SETTLE_CONTEXT)
INFER: Final = (F.WATCH, F.SETTLE_CONTEXT)
REPLICATING: Final = (S.REPLICATING,)
WATCHED: Final = (g.under_watch, g.vm_not_taken)
# Evidence counts as long as somebody asks, even in the answer with which the watch would end.
OVERTURNED: Final = (g.watch_open, g.vm_not_taken)
OVERTURNING: Final = (Event.VMA_RUNNING, Event.VMA_COMPLETED, Event.VMA_FAILED)


def _at_or_beyond(target: State) -> tuple[State, ...]:
    return ACTIVE[ACTIVE.index(target) :]


def _stay(
    name: str,
    event: Event,
    sources: tuple[State, ...],
    guards: tuple[Guard, ...],
    effects: tuple[Effect, ...],
    why: str,
    attention: Attention | None = None,
) -> Edge:
    return Edge(name, event, sources, None, guards, effects, why, kind=Kind.STAY, attention=attention)


def _workflow(event: Event, target: State) -> tuple[Edge, ...]:
    """What every event of the workflow has beside its own move."""
    return (
        _stay(
            f"{event}_again",
            event,
            _at_or_beyond(target),
            (),
            KEEP,
            "A workflow may repeat itself, or be overtaken by the VMA.",
        ),
        Edge(
            f"{event}_revives",
            event,
            (S.FAILED,),
            target,
            (g.inferred, g.ended_in_setup, g.vm_not_taken),
            (F.RECLAIM_CONTEXT, F.RESTART_POLLING),
            "A set-up slower than its grace was taken for dead; the workflow shows that it lives.",
        ),
    )


_WORKFLOW: Final = (
    Edge("create", E.CREATE, (None,), S.INITIALIZING, (g.vm_idle, g.last_copy_over), (F.CLAIM_CONTEXT, F.START_POLLING),
         "A second copy of one VM would destroy the first one's snapshot."),
    Edge("attach", E.ATTACH, (S.INITIALIZING,), S.ATTACHING, (g.has_disks,), KEEP,
         "Volumes are attached for the disks that the job has."),
    Edge("configure", E.CONFIGURE, (S.ATTACHING,), S.CONFIGURING, (g.volumes_recorded,), KEEP,
         "Exports are made from attached volumes."),
    Edge("ready", E.READY, (S.ATTACHING, S.CONFIGURING), S.READY_FOR_SYNC, (g.volumes_recorded,), KEEP,
         "Without its volume a disk's copy could never be asked for by export name."),
    Edge("start", E.START, (S.READY_FOR_SYNC,), S.REPLICATING, (), (F.START_POLLING,),
         "The workflow has started the copy on the VMA."),
    *(edge for event, target in WORKFLOW_TARGETS.items() for edge in _workflow(event, target)),
)  # fmt: skip

_ACTIVE: Final = (
    Edge("run_seen", E.VMA_RUNNING, SETUP, S.REPLICATING, (), (F.RECORD_PROGRESS, F.RESTART_POLLING),
         "The copy runs although the workflow did not get to say so: it died with the OMA."),
    _stay("runs", E.VMA_RUNNING, REPLICATING, (), RECORD, "All is well."),
    Edge("done", E.VMA_COMPLETED, ACTIVE, S.COMPLETED, (), (F.RECORD_PROGRESS, *END),
         "Every disk is proven.", ending=Ending.CONFIRMED),
    Edge("broke", E.VMA_FAILED, ACTIVE, S.FAILED, (), (F.RECORD_PROGRESS, *END),
         "The VMA says that the copy failed and nothing of it runs.", ending=Ending.CONFIRMED,
         reason="copy failed on the VMA"),
    Edge("settled", E.VMA_UNSETTLED, REPLICATING, S.COMPLETED, (g.settled, g.likely_complete),
         (F.RECORD_PROGRESS, *INFER),
         "Done by all appearance, and no further disk started in all this time.", ending=Ending.INFERRED),
    _stay("cannot_settle", E.VMA_UNSETTLED, REPLICATING, (g.settled, g.not_likely_complete), RECORD,
          "Neither done nor running for too long: only a person can tell.", Attention.CANNOT_SETTLE),
    _stay("setup_cannot_settle", E.VMA_UNSETTLED, SETUP, (g.settled,), RECORD,
          "A job that was never started says that it is done: only a person can tell.", Attention.CANNOT_SETTLE),
    _stay("settling", E.VMA_UNSETTLED, ACTIVE, (g.not_settled,), RECORD,
          "Disks are copied one after another: the next may start minutes later."),
    Edge("setup_lost", E.VMA_NOT_FOUND, SETUP, S.FAILED, (g.setup_timed_out,), INFER,
         "Nobody brings this job forward any more.", ending=Ending.INFERRED, reason="set-up timed out"),
    _stay("setup_absent", E.VMA_NOT_FOUND, SETUP, (g.in_setup_grace,), KEEP,
          "A job in set-up is not yet known to the VMA: absence is normal."),
    Edge("lost_when_nearly_done", E.VMA_NOT_FOUND, REPLICATING, S.COMPLETED, (g.lost, g.nearly_done), INFER,
         "The VMA forgot a job that was all but done.", ending=Ending.INFERRED),
    Edge("lost", E.VMA_NOT_FOUND, REPLICATING, S.FAILED, (g.lost, g.not_nearly_done), INFER,
         "The VMA forgot the job and nothing posts for it.", ending=Ending.INFERRED, reason="job lost on VMA"),
    _stay("absent", E.VMA_NOT_FOUND, REPLICATING, (g.not_lost,), KEEP,
          "A copy that survived a restart of the VMA posts again within seconds."),
    Edge("silent", E.VMA_UNREACHABLE, ACTIVE, S.FAILED, (g.given_up,), INFER,
         "No sign of life for too long: the VM must become usable again.", ending=Ending.INFERRED,
         reason="VMA unreachable after restart"),
    _stay("unreachable", E.VMA_UNREACHABLE, ACTIVE, (g.not_given_up,), KEEP,
          "An outage of the tunnel says nothing about the copy."),
    _stay("garbled_long", E.VMA_UNINTELLIGIBLE, ACTIVE, (g.garbled_too_long,), KEEP,
          "Garbage is not evidence, but somebody must look.", Attention.UNINTELLIGIBLE),
    _stay("garbled", E.VMA_UNINTELLIGIBLE, ACTIVE, (g.not_garbled_too_long,), KEEP, "Garbage is not evidence."),
)  # fmt: skip

_ENDED: Final = (
    Edge("runs_after_all", E.VMA_RUNNING, ENDED, S.REPLICATING, OVERTURNED, (F.RECORD_PROGRESS, *REVIVE),
         "The inference was wrong: no running job stays ended."),
    Edge("done_after_all", E.VMA_COMPLETED, ENDED, S.COMPLETED, OVERTURNED, (F.RECORD_PROGRESS, *END),
         "Evidence takes the place of the inference.", ending=Ending.CONFIRMED),
    Edge("settles_after_all", E.VMA_UNSETTLED, (S.FAILED,), S.REPLICATING, (*WATCHED, g.own_key_completed),
         (F.RECORD_PROGRESS, *REVIVE), "The job's own key says completed: it did not fail; it settles where it ran."),
    Edge("broke_after_all", E.VMA_FAILED, ENDED, S.FAILED, OVERTURNED, END,
         "Evidence takes the place of the inference.", ending=Ending.CONFIRMED, reason="copy failed on the VMA"),
    _stay("still_unsettled", E.VMA_UNSETTLED, (S.COMPLETED,), WATCHED, KEEP, "It says nothing new."),
    _stay("unsettled_failure", E.VMA_UNSETTLED, (S.FAILED,), (*WATCHED, g.own_key_not_completed), KEEP,
          "One disk done does not unmake a failure."),
    *(_stay(f"{event}_watched", event, ENDED, WATCHED, KEEP, "Silence does not overturn an inference.")
      for event in (E.VMA_NOT_FOUND, E.VMA_UNREACHABLE, E.VMA_UNINTELLIGIBLE)),
    *(_stay(f"{event}_beside_newer", event, ENDED, (g.under_watch, g.vm_taken), KEEP,
            "The VM belongs to a newer job; this one may only raise the alarm.",
            Attention.RUNS_BESIDE_NEWER if event is E.VMA_RUNNING else None)
      for event in VMA_EVENTS),
    *(_stay(f"{event}_watch_over", event, ENDED,
            (g.watch_open, g.watch_spent, *((g.vm_taken,) if event in OVERTURNING else ())), (F.STOP_POLLING,),
            "The VMA has had a day to contradict the inference.")
      for event in VMA_EVENTS),
    *(Edge(f"{event}_late", event, ENDED, None, (g.not_watched,), (),
           "A slow answer from before the end must not move the job.", kind=Kind.IGNORE)
      for event in VMA_EVENTS),
)  # fmt: skip

_PEOPLE: Final = (
    Edge("workflow_fails", E.FAIL, ACTIVE, S.FAILED, (g.by_workflow, g.has_reason), END,
         "The workflow knows that it gave up.", ending=Ending.CONFIRMED),
    Edge("operator_fails", E.FAIL, ACTIVE, S.FAILED, (g.by_operator, g.has_reason), END,
         "A person decides, by name.", ending=Ending.MANUAL),
    Edge("workflow_confirms_failure", E.FAIL, ENDED, S.FAILED, (g.inferred, g.by_workflow, g.has_reason), END,
         "The workflow replaces an inference by knowledge.", ending=Ending.CONFIRMED),
    Edge("operator_rules_failed", E.FAIL, ENDED, S.FAILED, (g.inferred, g.by_operator, g.has_reason), END,
         "A person replaces an inference by a decision.", ending=Ending.MANUAL),
    Edge("operator_completes", E.COMPLETE, ACTIVE, S.COMPLETED, (g.by_operator, g.has_reason), END,
         "A person has checked the copy.", ending=Ending.MANUAL),
    Edge("operator_rules_completed", E.COMPLETE, ENDED, S.COMPLETED, (g.inferred, g.by_operator, g.has_reason), END,
         "A person has checked the copy.", ending=Ending.MANUAL),
    Edge("reopen", E.REOPEN, ENDED, S.REPLICATING, (g.revisable, g.by_operator, g.has_reason, g.vm_not_taken), REVIVE,
         "A person knows that the copy runs."),
)  # fmt: skip

EDGES: Final[tuple[Edge, ...]] = (*_WORKFLOW, *_ACTIVE, *_ENDED, *_PEOPLE)


def edges(source: State | None, event: Event) -> tuple[Edge, ...]:
    """The candidate edges of one cell of the table, in the order in which they are tried."""
    return tuple(e for e in EDGES if e.event is event and source in e.sources)


def moves() -> frozenset[tuple[State | None, State]]:
    """Every (from, to) pair that a job may ever take; the database's own check is made from it."""
    return frozenset((s, e.target) for e in EDGES if e.target is not None for s in e.sources)


def spec_hash() -> str:
    """Short hash of all that the table decides, stamped into history. Rewording a `why` does not change it."""
    rows = [(replace(e, guards=(), why=""), [_meaning(x) for x in e.guards]) for e in EDGES]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]


def _meaning(guard: Guard) -> list[tuple[str, str, str]]:
    return [(x.name, x.says, x.formula) for x in guard.family()]
