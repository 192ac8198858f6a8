"""What happens in the trial of one seed: drawn before it begins, so that a seed tells the same story for ever."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from trial_bytes import EPOCH, MIB, Entry
from trial_copy import FAILED, FINISHED, NEVER, VANISHED, Copy, Forgotten, Leg
from trial_vma import (
    ABSENT,
    BUSY,
    DENIED,
    FLAKY,
    FLAPPING,
    GARBAGE,
    GATEWAY,
    REFUSED,
    TrialVma,
    Trouble,
)

from fsm.facts import Disk, JobFacts
from fsm.states import Event, State

GIB = 2**30
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WORKFLOW = (Event.ATTACH, Event.CONFIGURE, Event.READY, Event.START)
TROUBLES = (REFUSED, REFUSED, REFUSED, REFUSED, GATEWAY, GARBAGE, GARBAGE, DENIED, BUSY, FLAPPING, FLAKY)
LONG_ENOUGH = 105 * MINUTE  # after the last thing that happens: for every silence to be judged


def at(seconds: float) -> timedelta:
    """Seconds of the trial as a span."""
    return timedelta(seconds=seconds)


@dataclass(slots=True)
class Planned:
    """One job: how it is stored at first, its copy, and when its workflow says what."""

    facts: JobFacts
    copy: Copy
    begins: float
    workflow: list[tuple[float, Event]] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """Jobs, the VMA, and the times in which our own process is down."""

    vma: TrialVma
    jobs: list[Planned]
    downtimes: list[tuple[float, float]] = field(default_factory=list)
    newer: float = NEVER  # when the OMA inserts the second job, if the first has ended by then

    @property
    def marks(self) -> list[float]:
        """The moments at which something changes, in order."""
        marks = [t for trouble in self.vma.troubles for t in (trouble.begin, trouble.end)]
        marks += [t for down in self.downtimes for t in down]
        marks += [t for f in self.vma.forgets for t in (f.at, f.at + f.mute)]
        for job in self.jobs:
            marks += [t for t, _ in job.workflow]
            marks += [job.copy.started, job.copy.first_post, job.copy.over, *job.copy.hang]
            marks += [t for leg in job.copy.legs for t in (leg.begin, leg.end)]
        return sorted(t for t in marks if 0 < t < NEVER)


def draw(seed: int) -> Story:
    """The story of a seed."""
    rng = random.Random(seed)
    disks = tuple(
        Disk(f"disk-{2000 + n}", f"vol-{n}", rng.choice((5, 20, 100)) * GIB)
        for n in range(rng.choice((1, 1, 1, 2, 2, 3)))
    )
    first = _job(rng, "job-20260302-120000.001-a1b2c3", disks, 0.0)
    vma = TrialVma(rng, absent=rng.choice(ABSENT), odd=rng.choice((0.0, 0.0, 0.03)), ahead=_clock(rng))
    if rng.random() < 0.35:
        vma.stale = {key: e for d in disks for key, e in [_stale(rng, d, first)] if rng.random() < 0.8}
    story = Story(vma, [first])
    end = min(first.copy.over, 4 * HOUR)
    _upsets(rng, story, end)
    if rng.random() < 0.2:
        story.newer = rng.uniform(0, end + HOUR)
    return story


def newer_job(story: Story, now: float) -> Planned:
    """The next job of the same VM, with the same exports."""
    return _job(story.vma.random, "job-20260302-150000.002-d4e5f6", story.jobs[0].facts.disks, now)


def _clock(rng: random.Random) -> float:
    return rng.choice((0.0, 0.0, 3.0, -HOUR, HOUR, -DAY, 400 * DAY))


def _job(rng: random.Random, job_id: str, disks: tuple[Disk, ...], now: float) -> Planned:
    """Most are created while we watch; others are found as an OMA has left them, their copy under way."""
    found = now == 0.0 and rng.random() < 0.35
    created = now - rng.uniform(2 * MINUTE, 3 * HOUR) if found else now
    times = _workflow_times(rng, created)
    facts = JobFacts(job_id, State.INITIALIZING, EPOCH + at(created), EPOCH + at(created), version=0, disks=disks)
    copy = _copy(rng, job_id, disks, times[-1] - rng.choice((0.0, 1.0)))
    if found:
        facts = JobFacts(
            job_id, State.REPLICATING, facts.created_at, EPOCH + at(times[-1]), disks=disks, polling_since=EPOCH
        )
        return Planned(facts, copy, now)
    said = len(WORKFLOW) if rng.random() < 0.9 else rng.randrange(len(WORKFLOW))
    if said < len(WORKFLOW) - 1:  # the workflow died before it could start the copy
        copy.started = copy.first_post = copy.over = NEVER
        copy.legs = [Leg(leg.disk, NEVER, NEVER, leg.total) for leg in copy.legs]
    return Planned(facts, copy, now, list(zip(times, WORKFLOW, strict=True))[:said])


def _workflow_times(rng: random.Random, now: float) -> list[float]:
    times = []
    for _ in WORKFLOW:
        now += rng.choice((2.0, 10.0, 30.0, 30.0, 100.0, 400.0 if rng.random() < 0.3 else 20.0))
        times.append(now)
    return times


def _copy(rng: random.Random, job_id: str, disks: tuple[Disk, ...], started: float) -> Copy:
    generation, keys = rng.choice(("current", "current", "float", "raw")), rng.choice(("own", "rows", "export"))
    first_post = started + rng.uniform(1, 75)  # "up to about a minute"
    legs, hang = _legs(rng, disks, first_post + rng.choice((0.0, 5.0, MINUTE, 5 * MINUTE)))
    over, fate = legs[-1].end, FINISHED
    if rng.random() < 0.4:
        fate = rng.choice((FAILED, VANISHED))
        over = rng.uniform(first_post, over)
        if fate == VANISHED and rng.random() < 0.1:
            over = rng.uniform(started, first_post)
    return Copy(
        *(job_id, keys, generation, started, first_post, legs, over, fate, hang),
        mute_between=rng.random() < 0.5,
        percent_only=generation == "float" and rng.random() < 0.3,
        tells_start=generation == "current" or rng.random() < 0.7,
        breaks_rows=rng.random() < 0.3,
        announces=rng.random() < 0.4,
        words=rng.randrange(6),
        sync=rng.choice(("full", "incremental")),
    )


def _legs(rng: random.Random, disks: tuple[Disk, ...], now: float) -> tuple[list[Leg], tuple[float, float]]:
    """One disk after another; somewhere the process may hang, in a disk's copy or between two."""
    legs: list[Leg] = []
    hang = (NEVER, NEVER)
    hangs = rng.randrange(len(disks)) if rng.random() < 0.25 else -1
    for n, disk in enumerate(disks):
        begin = now + (rng.choice((1.0, 2.0, 10.0, 90.0, 4 * MINUTE, 13 * MINUTE)) if n else 0.0)
        end = begin + rng.choice((20.0, 5 * MINUTE, 20 * MINUTE, HOUR)) * rng.uniform(0.5, 1.5)
        if n == hangs:
            length = rng.choice((2 * MINUTE, 17 * MINUTE, 75 * MINUTE))
            between = n > 0 and rng.random() < 0.4
            since = rng.uniform(now, begin) if between else rng.uniform(begin, end)
            hang = (since, since + length)
            begin, end = begin + (length if between else 0), end + length
        total = 0 if rng.random() < 0.05 else round(disk.capacity_bytes * rng.choice((1.0, 1.0, 0.3))) // MIB * MIB
        legs.append(Leg(disk, begin, end, total, min(rng.choice((0.0, 0.0, 20.0)), (end - begin) / 3)))
        now = end
    return legs, hang


def _stale(rng: random.Random, disk: Disk, job: Planned) -> tuple[str, Entry]:
    """What an earlier run left under the disk's export name; a run whose process died says for ever that it runs."""
    began = (job.facts.created_at - EPOCH).total_seconds() - rng.choice((10 * MINUTE, HOUR, 7 * DAY))
    word = rng.choice(("completed", "completed", "completed", "failed", "in_progress"))
    done = disk.capacity_bytes if word == "completed" else disk.capacity_bytes // 2
    percent = 100 * done / disk.capacity_bytes
    key = disk.export_name or ""
    return key, Entry(key, (word, "Transfer"), done, disk.capacity_bytes, percent, began)


def _upsets(rng: random.Random, story: Story, end: float) -> None:
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        kind = rng.choice(TROUBLES)
        length = rng.choice((5.0, 25.0, 25.0, 2 * MINUTE, 12 * MINUTE, 31 * MINUTE, 31 * MINUTE, 50 * MINUTE))
        length = min(length, 8 * MINUTE) if kind == FLAPPING and rng.random() < 0.9 else length
        begin = rng.uniform(0, end + 10 * MINUTE)
        for_good = kind in (REFUSED, GATEWAY, GARBAGE) and rng.random() < 0.06
        story.vma.troubles.append(Trouble(begin, NEVER if for_good else begin + length, kind))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        mute = rng.choice((2.0, 2.0, 10.0, 40.0, 4 * MINUTE))
        story.vma.forgets.append(Forgotten(rng.uniform(MINUTE, end + 10 * MINUTE), mute))
    down = 0.0
    for _ in range(rng.choice((0, 0, 1, 2))):
        begin = down + rng.uniform(10, max(end, MINUTE))
        down = begin + rng.choice((1.0, 30.0, 10 * MINUTE, 45 * MINUTE, 2 * HOUR))
        story.downtimes.append((begin, down))
