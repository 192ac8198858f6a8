"""Under which keys a job is asked, given what was answered so far.

1. If the job's own id answered last time, it is asked first; otherwise the export names of all
   disks that are not proven yet, then the job's own id if that left a disk open. An export that is
   seen to move needs no second opinion: the job runs, whatever its own id says. One that stands
   still does: it may be what a run that died has left behind. So does a disk that failed beside it:
   the own id may be who said so, and unasked it would seem to have recovered.
2. After its own id, export names are asked only if that did not decide: an end of a job is rare,
   and nothing may be running under another key by then.
3. While the copy has not been started, export names are always asked: they are the baselines.
4. A VMA that is unreachable or turns us away is asked nothing more this time.
"""

from collections.abc import Iterable

from fsm.facts import Disk
from fsm.states import Verdict
from vma.hearing import Hearing
from vma.question import Question
from vma.wire_models import Answer, Kind


def first_keys(question: Question) -> tuple[str, ...]:
    """The keys to ask first, side by side; at least one."""
    own_first = question.own_id_only or question.memory.answering_key == "job"
    open_disks = () if own_first else (d for d in question.disks if not question.memory.disk(d.disk_id).proven)
    return _names(open_disks) or (question.job_id,)


def next_keys(hearing: Hearing) -> tuple[str, ...]:
    """The keys to ask next, side by side; none if the job has been asked about enough."""
    question, answers = hearing.question, hearing.answers
    if not answers:
        return first_keys(question)
    if any(a.kind is Kind.UNREACHABLE or a.refused or a.retry_after for a in answers.values()):
        return ()
    own = () if question.job_id in answers else (question.job_id,)
    if question.memory.answering_key == "job":
        return own or (_exports(hearing) if _own_id_left_it_open(hearing) else ())
    return _exports(hearing) or (own if _exports_left_it_open(hearing) else ())


def _exports(hearing: Hearing) -> tuple[str, ...]:
    """The export names of open disks that were not asked about yet."""
    if hearing.question.own_id_only:
        return ()
    return tuple(name for name in _names(hearing.unproven) if name not in hearing.answers)


def _names(disks: Iterable[Disk]) -> tuple[str, ...]:
    """Their export names, each once."""
    return tuple(dict.fromkeys(name for d in disks if (name := d.export_name) is not None))


def _own_id_left_it_open(hearing: Hearing) -> bool:
    return hearing.question.setup or hearing.own_verdict is not Verdict.RUNNING


def _exports_left_it_open(hearing: Hearing) -> bool:
    entries = [(d, hearing.fresh(d)) for d in hearing.unproven]
    if all(entry is not None for _, entry in entries):
        return False
    failed = hearing.question.memory.failed_disks
    return bool(failed) or not any(_moves(hearing, d, entry) for d, entry in entries)


def _moves(hearing: Hearing, disk: Disk, entry: Answer | None) -> bool:
    """True if the disk is being copied and has more bytes than when it was last seen."""
    if entry is None or entry.verdict is not Verdict.RUNNING or entry.bytes_transferred is None:
        return False
    seen = hearing.question.memory.disk(disk.disk_id).bytes_transferred
    return seen is not None and entry.bytes_transferred > seen
