"""From all answers about one job to one `Evidence`. Pure: no clock, no network.

The verdict on a job is the first of these that holds:

1. anything runs: running. A disk that failed beside it is named, but is not the job's end.
2. every disk is proven: completed, whatever the transport says.
3. an answer that matters did not come: unreachable.
4. an answer that matters was not understood: unintelligible.
5. a disk, or the job by its own id, failed: failed.
6. some disk is proven, or the job's own id says completed: unsettled.
7. otherwise: not found.
"""

from typing import Final

from fsm.evidence import DiskEvidence, Evidence
from fsm.states import Verdict
from vma.disks import look, share_of
from vma.fields import clean
from vma.hearing import Hearing
from vma.question import Question
from vma.wire_models import Answer, Kind

__all__ = ["Hearing", "Question", "compose", "unexpected"]

ERROR_EXCERPT: Final = 300
MAX_WARNINGS: Final = 20
_WRONG: Final = {Verdict.UNREACHABLE: Kind.UNREACHABLE, Verdict.UNINTELLIGIBLE: Kind.UNINTELLIGIBLE}
MAX_BODY: Final = 15_000  # characters kept of a body that went wrong: what a text column holds, and the error before it


def compose(hearing: Hearing, *, observer: str, uptime: float) -> Evidence:
    """What all answers amount to."""
    question, answers = hearing.question, hearing.answers
    disks = look(hearing)
    verdict = _verdict(hearing, disks)
    failed = _failed_disks(hearing, disks)
    done, total = _bytes(hearing, disks)
    fresh = _fresh(hearing)
    running = _running(hearing, fresh)
    speaker = next((a for a in (*running, hearing.own_known, *fresh) if a is not None), None)  # whose phase is shown
    return Evidence(
        verdict,
        hearing.observed_at,
        observer,
        uptime,
        appliance=question.appliance,
        bytes_transferred=done,
        total_bytes=total,
        percent=_percent(speaker, done, total),
        throughput_mib_s=_rate(running),
        eta_seconds=max((a.eta_seconds for a in running if a.eta_seconds), default=None),
        phase=speaker.phase if speaker else None,
        sync_type=speaker.sync_type if speaker else None,
        operation=speaker.operation if speaker else None,
        disks=disks,
        own_key_completed=hearing.own_verdict is Verdict.COMPLETED,
        answering_key=_answering_key(hearing, fresh),
        error=_error(hearing, verdict, failed, fresh),
        body=_body(hearing, verdict, fresh),
        failed_disks=failed,
        refused=any(a.refused for a in answers.values()),
        retry_after=max((a.retry_after for a in answers.values() if a.retry_after is not None), default=None),
        words=tuple(dict.fromkeys(a.word for a in answers.values() if a.word)),
        steps=hearing.steps,
        warnings=tuple(dict.fromkeys(w for a in answers.values() for w in a.warnings))[:MAX_WARNINGS],
    )


def unexpected(hearing: Hearing, error: str, *, observer: str, uptime: float) -> Evidence:
    """The evidence when asking itself went wrong: it says nothing about the job."""
    return Evidence(
        Verdict.UNINTELLIGIBLE,
        hearing.observed_at,
        observer,
        uptime,
        appliance=hearing.question.appliance,
        error=error,
        steps=hearing.steps,
    )


# --- the verdict ------------------------------------------------------------------------------------


def _verdict(hearing: Hearing, disks: tuple[DiskEvidence, ...]) -> Verdict:
    verdicts = {d.verdict for d in disks} | {hearing.own_verdict}
    if Verdict.RUNNING in verdicts or hearing.running_rows:
        return Verdict.RUNNING
    kinds = {a.kind for a in _that_matter(hearing)}
    said_done = hearing.own_verdict is Verdict.COMPLETED or any(d.proven for d in disks)
    order = (
        (Verdict.COMPLETED, hearing.all_proven),
        (Verdict.UNREACHABLE, Kind.UNREACHABLE in kinds),
        (Verdict.UNINTELLIGIBLE, Kind.UNINTELLIGIBLE in kinds or not kinds),
        (Verdict.FAILED, Verdict.FAILED in verdicts),
        (Verdict.UNSETTLED, said_done),
    )
    return next((verdict for verdict, holds in order if holds), Verdict.NOT_FOUND)


def _that_matter(hearing: Hearing) -> list[Answer]:
    """The answers but for those about proven disks, which need none."""
    asked = [hearing.own, *map(hearing.export, hearing.unproven)]
    return [answer for answer in asked if answer is not None]


def _failed_disks(hearing: Hearing, disks: tuple[DiskEvidence, ...]) -> tuple[str, ...]:
    failed = tuple(d.disk_id for d in disks if d.verdict is Verdict.FAILED)
    if not failed and hearing.own_verdict is Verdict.FAILED:
        return tuple(d.disk_id for d in hearing.unproven[:1])
    return failed


# --- numbers and texts ----------------------------------------------------------------------------


def _fresh(hearing: Hearing) -> list[Answer]:
    """The entries under export names that are of this run, each once."""
    found = (hearing.fresh(d) for d in hearing.question.disks)
    return list({a.key: a for a in found if a is not None}.values())


def _running(hearing: Hearing, fresh: list[Answer]) -> list[Answer]:
    """The entries of copies that run: by export names, or else by the job's own id."""
    exports = [a for a in fresh if a.verdict is Verdict.RUNNING]
    own = hearing.own_known
    own_runs = own is not None and (own.verdict is Verdict.RUNNING or bool(hearing.running_rows))
    return exports or ([own] if own is not None and own_runs else [])


def _rate(running: list[Answer]) -> float | None:
    rates = [a.rate_mib_s for a in running if a.rate_mib_s is not None]
    return sum(rates) if rates else None


def _bytes(hearing: Hearing, disks: tuple[DiskEvidence, ...]) -> tuple[int | None, int | None]:
    own = hearing.own_known
    if not hearing.question.disks:
        return (own.bytes_transferred, own.total_bytes or None) if own else (None, None)
    done = [d.bytes_transferred for d in disks if d.bytes_transferred is not None]
    total = [d.total_bytes for d in disks if d.total_bytes]
    return (sum(done) if done else None), (sum(total) if total else None)


def _percent(speaker: Answer | None, done: int | None, total: int | None) -> float | None:
    if total:
        return share_of(done, total)
    return speaker.counted(speaker.percent) if speaker else None


def _answering_key(hearing: Hearing, fresh: list[Answer]) -> str | None:
    if fresh:
        return "export"
    return "job" if hearing.own_known else None


def _error(hearing: Hearing, verdict: Verdict, failed: tuple[str, ...], fresh: list[Answer]) -> str | None:
    if verdict is Verdict.FAILED:
        return _failure(hearing, failed, fresh)
    if verdict not in _WRONG:
        return None
    wanted = (a for a in _that_matter(hearing) if a.kind is _WRONG[verdict])
    answer = next(wanted, None)
    return "the VMA was not asked" if answer is None else _complaint(answer)


def _body(hearing: Hearing, verdict: Verdict, fresh: list[Answer]) -> str | None:
    """What the answer that went wrong said, word for word, up to a bound (requirement 2.2)."""
    if verdict is Verdict.FAILED:
        bodies = (a.body for a in (*fresh, hearing.own_known) if a and a.verdict is Verdict.FAILED)
    elif verdict not in _WRONG:
        return None
    else:
        bodies = (a.body for a in _that_matter(hearing) if a.kind is _WRONG[verdict])
    body = next(bodies, b"")
    return clean(body[:MAX_BODY].decode("utf-8", errors="replace"), MAX_BODY) if body else None


def _complaint(answer: Answer) -> str:
    text = f"asked about {answer.key}: {answer.error}"
    return f"{text}; the body begins: {answer.excerpt[:ERROR_EXCERPT]}" if answer.excerpt else text


def _failure(hearing: Hearing, failed: tuple[str, ...], fresh: list[Answer]) -> str:
    broken = [a for a in (*fresh, hearing.own_known) if a is not None and a.verdict is Verdict.FAILED]
    disks = f"disk {', '.join(failed)} failed" if failed else "the copy failed"
    reason = next((a.error for a in broken if a.error), "the VMA gave no reason")
    where = next((f" in phase {a.phase}" for a in broken if a.phase), "")
    return f"{disks}{where}: {reason}"
