"""The words of the machine: states, events, and how a job can have ended."""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a job stands. Each comment says who moves a job out of the state."""

    INITIALIZING = "initializing"  # the workflow (attach), the VMA (runs already), time (set-up grace)
    ATTACHING = "attaching"  # the workflow (configure, ready), the VMA, time
    CONFIGURING = "configuring"  # the workflow (ready), the VMA, time
    READY_FOR_SYNC = "ready_for_sync"  # the workflow (start), the VMA, time
    REPLICATING = "replicating"  # the VMA's verdicts, silence, an operator
    COMPLETED = "completed"  # nobody once confirmed; evidence or an operator while inferred
    FAILED = "failed"  # nobody once confirmed; evidence or an operator while inferred


# In the order in which a workflow passes through them: "at or beyond" is read from it.
SETUP: Final = (State.INITIALIZING, State.ATTACHING, State.CONFIGURING, State.READY_FOR_SYNC)
ACTIVE: Final = (*SETUP, State.REPLICATING)
ENDED: Final = (State.COMPLETED, State.FAILED)
INITIAL: Final = State.INITIALIZING


class Ending(StrEnum):
    """How a job came to its end."""

    CONFIRMED = "confirmed"  # the VMA said so, or the OMA's workflow
    INFERRED = "inferred"  # a rule concluded it from silence; evidence may overturn it
    MANUAL = "manual"  # an operator, with name and reason


class Verdict(StrEnum):
    """What all answers about a job amount to."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNSETTLED = "unsettled"  # said or proven to be done, but not by every disk
    NOT_FOUND = "not_found"
    UNREACHABLE = "unreachable"
    UNINTELLIGIBLE = "unintelligible"

    is_no_answer: bool
    """True if nothing came that a VMA would say: silence, or another program on its port. A 404 is an answer."""

    knows_the_job: bool
    """True if the VMA knew the job: the only answers that are a sign of life."""


for _verdict in Verdict:  # read many times a poll: attributes, not properties
    _verdict.is_no_answer = _verdict in (Verdict.UNREACHABLE, Verdict.UNINTELLIGIBLE)
    _verdict.knows_the_job = not _verdict.is_no_answer and _verdict is not Verdict.NOT_FOUND


class Event(StrEnum):
    """What can happen to a job. `vma_…` events carry evidence; the others are asked for by somebody."""

    CREATE = "create"
    ATTACH = "attach"
    CONFIGURE = "configure"
    READY = "ready"
    START = "start"
    FAIL = "fail"
    COMPLETE = "complete"
    REOPEN = "reopen"
    VMA_RUNNING = "vma_running"
    VMA_COMPLETED = "vma_completed"
    VMA_FAILED = "vma_failed"
    VMA_UNSETTLED = "vma_unsettled"
    VMA_NOT_FOUND = "vma_not_found"
    VMA_UNREACHABLE = "vma_unreachable"
    VMA_UNINTELLIGIBLE = "vma_unintelligible"


class Recorded(StrEnum):
    """Moves that an OMA made past the machine: history keeps them, nobody can fire them."""

    ADOPT = "adopt"  # the job was there before this service; its first row says where it was found
    OMA_WRITE = "oma_write"  # the OMA wrote a status to which its workflow's events do not lead


def event_of(verdict: Verdict) -> Event:
    """The event by which a verdict reaches a job."""
    return _EVENT_OF[verdict]


_EVENT_OF: Final = {v: Event(f"vma_{v}") for v in Verdict}
VMA_EVENTS: Final = tuple(_EVENT_OF.values())
WORKFLOW_TARGETS: Final = {
    Event.ATTACH: State.ATTACHING,
    Event.CONFIGURE: State.CONFIGURING,
    Event.READY: State.READY_FOR_SYNC,
    Event.START: State.REPLICATING,
}


class Effect(StrEnum):
    """What a decision asks the world to do. The store does it with the commit, the poller after it."""

    START_POLLING = "start_polling"
    RESTART_POLLING = "restart_polling"
    KEEP_POLLING = "keep_polling"
    STOP_POLLING = "stop_polling"
    WATCH = "watch"
    RECORD_PROGRESS = "record_progress"
    CLAIM_CONTEXT = "claim_context"
    RECLAIM_CONTEXT = "reclaim_context"
    SETTLE_CONTEXT = "settle_context"


class Asker(StrEnum):
    """Who fired an event; written into history."""

    STARTUP = "startup"
    POLL = "poll"
    MONITOR = "monitor"
    TRIGGER = "trigger"
    WORKFLOW = "workflow"
    OPERATOR = "operator"

    is_recovery: bool
    """True for the askers whose validation counts as a recovery attempt."""


for _asker in Asker:
    _asker.is_recovery = _asker in (Asker.STARTUP, Asker.TRIGGER)


class RecoveryMethod(StrEnum):
    """What decided a recovery (`replication_jobs.recovery_method`)."""

    VMA_VALIDATED = "vma_validated"
    TIMEOUT = "timeout"
    MANUAL = "manual"


class Attention(StrEnum):
    """Why a job needs an operator."""

    UNINTELLIGIBLE = "unintelligible"
    CANNOT_SETTLE = "cannot_settle"
    RUNS_BESIDE_NEWER = "runs_beside_newer"
    DISK_FAILED = "disk_failed"
    STALLED = "stalled"
    REFUSED_BY_VMA = "refused_by_vma"
