"""A copy as it really is, and what the copy process posts of it. Times are seconds of the trial."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

from trial_bytes import BROKEN, COPYING, DONE, FINISHING, SETUP, WORDS, Entry, Row

from fsm.facts import Disk

UNBORN, RUNNING, FINISHED, FAILED, VANISHED = "unborn", "running", "finished", "failed", "vanished"
NEVER = math.inf


@dataclass(slots=True)
class Leg:
    """The copying of one disk. All bytes are over `finishing` seconds before its end."""

    disk: Disk
    begin: float
    end: float
    total: int
    finishing: float = 0.0


@dataclass(slots=True)
class Forgotten:
    """The VMA's last restart: nothing posted before is known; the copy process is mute for a while."""

    at: float = -NEVER
    mute: float = 0.0


@dataclass(slots=True)
class Copy:
    """One run of the copy process, from `started` to `over`, when it meets its `fate`.

    `keys`: "own" (the job's id, one disk after another under it), "rows" (the same, with `disk_progresses`) or
    "export" (each disk under its own name).
    """

    job_id: str
    keys: str
    generation: str
    started: float
    first_post: float
    legs: list[Leg]
    over: float
    fate: str
    hang: tuple[float, float] = (NEVER, NEVER)
    mute_between: bool = True  # it posts nothing while no disk is copied
    percent_only: bool = False  # an appliance that counts no bytes
    tells_start: bool = True
    breaks_rows: bool = False  # a failure is written into the disk's row too
    announces: bool = False  # its rows name the disks that are still to come
    words: int = 0  # which of its generation's words it uses
    sync: str = field(default="full")

    def truth(self, now: float) -> str:
        """What is really the case."""
        if now < self.started:
            return UNBORN
        return RUNNING if now < self.over else self.fate

    def leg(self, now: float) -> Leg | None:
        """The disk in work, or the last one that was."""
        return next((leg for leg in reversed(self.legs) if leg.begin <= now), None)

    def still_since(self, now: float) -> float:
        """Since when no byte has moved and no disk begun."""
        hung = self.hang[0] <= now < self.hang[1]
        until = self.hang[0] if hung else now
        past = [t for leg in self.legs for t in (leg.begin, leg.end - leg.finishing) if t <= until]
        leg = self.leg(until)
        if hung and leg is not None and until < leg.end - leg.finishing:
            past.append(until)
        return max([*past, self.started])

    def done(self, leg: Leg, now: float) -> int:
        """Bytes of a disk."""
        copied_at = leg.end - leg.finishing
        if now >= copied_at:
            return leg.total
        return max(0, int(leg.total * self._worked(leg.begin, now) / max(self._worked(leg.begin, copied_at), 1e-9)))

    def _worked(self, begin: float, end: float) -> float:
        hung = max(0.0, min(end, self.hang[1]) - max(begin, self.hang[0]))
        return max(end - begin - hung, 0.0)

    # --- what it posts -----------------------------------------------------------------------------

    def speaks_from(self, forgot: Forgotten) -> float:
        """When it posts first, or again after the VMA forgot."""
        speaks = self.first_post if forgot.at < self.first_post else forgot.at + forgot.mute
        if self.hang[0] <= speaks < self.hang[1]:
            speaks = self.hang[1]
        for earlier, later in pairwise(self.legs):
            if self.mute_between and earlier.end <= speaks < later.begin:
                speaks = later.begin
        return speaks

    def entries(self, now: float, forgot: Forgotten) -> dict[str, Entry]:
        """All that the VMA holds of it, by key."""
        if self.keys != "export":
            entry = self._own(now, forgot)
            return {} if entry is None else {self.job_id: entry}
        found = (self._export(n, now, forgot) for n in range(len(self.legs)))
        return {e.key: e for e in found if e is not None}

    def _posted(self, begin: float, end: float, now: float, forgot: Forgotten, *, final: bool) -> float | None:
        """When the standing entry was made: of a time in which it spoke, or by its last word; None if there is none."""
        first = max(self.speaks_from(forgot), begin)
        if first <= now and first < end:
            return first
        return end if final and forgot.at < end <= now and end >= self.first_post else None

    def _own(self, now: float, forgot: Forgotten) -> Entry | None:
        made = self._posted(self.first_post, self.over, now, forgot, final=self.fate != VANISHED)
        if made is None:
            return None
        at = min(now, self.over)
        leg = self.leg(at)
        rows = [] if self.keys == "own" else self._rows(at, made)
        if leg is None:
            return self._entry(self.job_id, self._stage_before(at), 0, 0, made)
        sums = (sum(r.done for r in rows), sum(r.total for r in rows)) if rows else (self.done(leg, at), leg.total)
        return self._entry(self.job_id, self._stage(leg, at), *sums, made, rows)

    def _rows(self, at: float, made: float) -> list[Row]:
        """Disks finished before the entry was made are missing for ever."""
        seen = [leg for leg in self.legs if (leg.begin <= at or self.announces) and leg.end >= made]
        broken = self.fate == FAILED and at >= self.over and self.breaks_rows
        return [
            Row(leg.disk.disk_id, self.done(leg, at), leg.total, "failed" if broken and at < leg.end else "Streaming")
            for leg in seen
        ]

    def _export(self, n: int, now: float, forgot: Forgotten) -> Entry | None:
        leg = self.legs[n]
        begin, end = (leg.begin if n else self.first_post), min(leg.end, self.over)
        if n and self.over <= begin:
            return None
        made = self._posted(begin, end, now, forgot, final=self.fate != VANISHED or leg.end <= self.over)
        if made is None or leg.disk.export_name is None:
            return None
        at = min(now, end)
        if at < leg.begin:
            return self._entry(leg.disk.export_name, self._stage_before(now), 0, 0, made)
        return self._entry(leg.disk.export_name, self._stage(leg, at), self.done(leg, at), leg.total, made)

    def _stage_before(self, at: float) -> str:
        return BROKEN if self.fate == FAILED and at >= self.over else SETUP

    def _stage(self, leg: Leg, at: float) -> str:
        if at >= self.over and self.fate == FAILED:
            return BROKEN
        if at >= leg.end:
            return DONE
        return FINISHING if at >= leg.end - leg.finishing else COPYING

    def _entry(self, key: str, stage: str, done: int, total: int, made: float, rows: list[Row] | None = None) -> Entry:
        words = WORDS[self.generation][stage]
        percent = 100 * done / total if total else 100 if stage == DONE else 20
        numbers = (0, 0) if self.percent_only else (done, total)
        sync = self.sync if made <= self.first_post else ""
        start = made if self.tells_start else None
        return Entry(key, words[self.words % len(words)], *numbers, percent, start, sync, rows or [])
