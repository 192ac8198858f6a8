"""Under which keys a job is asked, given what was answered so far.

1. If the job's own id answered last time, it is asked first; otherwise the export names of all
   disks that are not proven yet, then the job's own id if that left a disk open.
2. After its own id, export names are asked only if that did not decide: an end of a job is rare,
   and nothing may be running under another key by then.
3. While the copy has not been started, export names are always asked: they are the baselines.
4. A VMA that is unreachable or turns us away is asked nothing more this time.
"""

from fsm.states import Verdict
from vma.hearing import Hearing
from vma.wire_models import Kind


def next_keys(hearing: Hearing) -> tuple[str, ...]:
    """The keys to ask next, side by side; none if the job has been asked about enough."""
    question, answers = hearing.question, hearing.answers
    if any(a.kind is Kind.UNREACHABLE or a.refused or a.retry_after for a in answers.values()):
        return ()
    own = () if question.job_id in answers else (question.job_id,)
    if question.memory.answering_key == "job":
        return own or (_exports(hearing) if _own_id_left_it_open(hearing) else ())
    exports = _exports(hearing)
    if exports or not answers:
        return exports or own
    return own if _exports_left_it_open(hearing) else ()


def _exports(hearing: Hearing) -> tuple[str, ...]:
    """The export names of open disks that were not asked about yet."""
    if hearing.question.own_id_only:
        return ()
    names = dict.fromkeys(d.export_name for d in hearing.unproven if d.export_name is not None)
    return tuple(name for name in names if name not in hearing.answers)


def _own_id_left_it_open(hearing: Hearing) -> bool:
    return hearing.question.setup or hearing.own_verdict is not Verdict.RUNNING


def _exports_left_it_open(hearing: Hearing) -> bool:
    return any(hearing.fresh(d) is None for d in hearing.unproven)
