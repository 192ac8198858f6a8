"""All answers to one question side by side: which of them count, and which disks they prove.

The rules are those of "One disk" and "Stale" in the page of rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fsm.clock import ZERO, ClockStep, elapsed
from fsm.facts import Disk
from fsm.states import Verdict
from vma.question import Question
from vma.wire_models import Answer, DiskRow, Kind
from vma.words import Meaning

ENDS: Final = (Verdict.COMPLETED, Verdict.FAILED)


@dataclass(slots=True)
class Hearing:
    """One question and what was answered so far, by key."""

    question: Question
    answers: Mapping[str, Answer]
    observed_at: datetime
    steps: tuple[ClockStep, ...] = ()  # of the observer's clock
    own: Answer | None = field(init=False)  # the answer under the job's own id, whatever it says; None if not asked
    own_known: Answer | None = field(init=False)  # the entry under the job's own id; it is never stale
    own_verdict: Verdict | None = field(init=False)  # running, completed or failed, as said there
    own_rows: tuple[DiskRow, ...] = field(init=False)  # the disks that it names
    proven: frozenset[str] = field(init=False)  # ids of the disks whose end is proven
    _fresh: dict[int, Answer | None] = field(init=False)  # by the identity of the question's disks

    def __post_init__(self) -> None:
        own = self.own = self.answers.get(self.question.job_id)
        known = self.own_known = own if own is not None and own.kind is Kind.KNOWN else None
        self.own_verdict = known.verdict if known is not None else None
        self.own_rows = known.disks if known is not None else ()
        self._fresh = {id(d): self._found_fresh(d) if self.answers else None for d in self.question.disks}
        self.proven = frozenset(d.disk_id for d in self.question.disks if self._is_proven(d))

    @property
    def unproven(self) -> list[Disk]:
        """The disks whose end is not proven, in order."""
        return [d for d in self.question.disks if d.disk_id not in self.proven]

    @property
    def all_proven(self) -> bool:
        """True if there are disks and each is proven; no disks never means "all done"."""
        return bool(self.question.disks) and not self.unproven

    def export(self, disk: Disk) -> Answer | None:
        """The answer under the disk's export name; None if that was not asked."""
        name = None if self.question.own_id_only else disk.export_name
        return None if name is None else self.answers.get(name)

    def fresh(self, disk: Disk) -> Answer | None:
        """The entry under the export name of one of the question's disks, if it is one of this job's run."""
        return self._fresh[id(disk)]

    def _found_fresh(self, disk: Disk) -> Answer | None:
        answer = self.export(disk)
        if answer is None or answer.kind is not Kind.KNOWN:
            return None
        return None if self._is_stale(disk, answer) else answer

    def row(self, disk: Disk) -> DiskRow | None:
        """What the answer under the job's own id says of the disk in particular."""
        rows = self.own_rows
        if not rows:
            return None
        alone = len(self.question.disks) == 1 and len(rows) == 1
        return next((r for r in rows if alone or r.disk_id == disk.disk_id), None)

    @property
    def running_rows(self) -> list[DiskRow]:
        """Rows of disks that visibly go on although the answer names an end.

        "completed" is the word of the disk that ended last. A failure is one disk's only if some
        row says so: otherwise rows keep their copying word for ever.
        """
        if not self.own_rows:
            return []
        per_disk = any(r.meaning is Meaning.BROKEN for r in self.own_rows)
        if self.own_verdict is Verdict.COMPLETED or (self.own_verdict is Verdict.FAILED and per_disk):
            return [r for r in self.own_rows if r.short and r.meaning is Meaning.COPYING and not self._row_is_proven(r)]
        return []

    def _row_is_proven(self, row: DiskRow) -> bool:
        return any(self.row(d) is row for d in self.question.disks if d.disk_id in self.proven)

    def _is_proven(self, disk: Disk) -> bool:
        if self.question.memory.disk(disk.disk_id).proven:
            return True
        fresh = self.fresh(disk)
        return self._own_id_proves(disk) or (fresh is not None and fresh.verdict is Verdict.COMPLETED)

    def _own_id_proves(self, disk: Disk) -> bool:
        if self.own_verdict is not Verdict.COMPLETED:
            return False
        row = self.row(disk)
        if row is not None and row.full:
            return True
        return len(self.question.disks) == 1 and len(self.own_rows) <= 1

    def _is_stale(self, disk: Disk, answer: Answer) -> bool:
        """True for an end that an earlier run of the same export has left behind."""
        if answer.verdict not in ENDS:
            return False
        remembered = self.question.memory.disk(disk.disk_id)
        changed = remembered.changed or remembered.baseline not in (None, answer.entry)
        return not changed and not self._began_within_the_job(answer)

    def _began_within_the_job(self, answer: Answer) -> bool:
        """True if its run is younger by the VMA's clock than the job is by ours: two spans, never two clocks."""
        if answer.start_time is None or answer.server_date is None:
            return False
        run_age = max(answer.server_date - answer.start_time, ZERO)
        return run_age < elapsed(self.question.created_at, self.observed_at, self.steps)
