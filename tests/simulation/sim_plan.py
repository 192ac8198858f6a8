"""What happens in the simulation of one seed: drawn before it begins, so that a seed tells the same story for ever."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sim_vma import BUSY, DENIED, FAILED, FINISHED, FLAPPING, GARBAGE, GATEWAY, HUNG, REFUSED, SLOW, Restart, Trouble

SECOND, MINUTE, HOUR = 1.0, 60.0, 3600.0
SIZE = 1000 * 2**20  # bytes of a disk
STEPS = ("create", "attach", "configure", "ready", "start")
TROUBLES = (REFUSED, REFUSED, REFUSED, HUNG, HUNG, SLOW, GATEWAY, GARBAGE, DENIED, BUSY, BUSY, FLAPPING)
# How a kill comes: at a moment, or in the middle of something.
KILLED_WHILE = ("idle", "asking", "writing", "writing", "reading")


@dataclass(frozen=True, slots=True)
class Planned:
    """One job: when its workflow takes each step, and the copy that it starts. Seconds of the simulation."""

    job_id: str
    vm: str
    appliance: str
    at: tuple[float, ...]  # of each step
    dies_before: int  # the workflow dies before this step; len(STEPS): never
    disks: tuple[str, ...]
    first_post: float
    length: float
    fate: str

    @property
    def start(self) -> float:
        """When the copy starts, or would."""
        return self.at[-1]

    @property
    def over(self) -> float:
        """When the copy is over, if nothing comes between."""
        return self.start + self.first_post + self.length

    def __str__(self) -> str:
        dies = f", its workflow dies before {STEPS[self.dies_before]}" if self.dies_before < len(STEPS) else ""
        copied = f"copied from {_at(self.start)} to {_at(self.over)}, {self.fate}"
        return f"{self.job_id} of {self.vm} at {self.appliance}: {len(self.disks)} disks, {copied}{dies}"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to us. `length` in seconds: of a downtime, an outage; by how much a clock is set."""

    at: float
    kind: str
    length: float = 0.0
    what: str = ""  # a job, an appliance, how a kill comes
    who: int = 0  # which replica

    def __str__(self) -> str:
        return f"{_at(self.at)} {self.kind} {self.what}" + (f" {self.length:g} s" if self.length else "")


@dataclass(slots=True)
class Plan:
    """One story."""

    seed: int
    length: float
    replicas: int = 1
    answers_only: int = 0  # replicas beside them that only answer the API
    appliances: tuple[str, ...] = ("default",)
    jobs: list[Planned] = field(default_factory=list)
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    restarts: dict[str, list[Restart]] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)

    def told(self) -> Iterator[str]:
        """The plan in lines, for people."""
        who = f"{self.replicas} replicas and {self.answers_only} for the API" if self.replicas > 1 else "one process"
        yield f"seed {self.seed}: {self.length / HOUR:g} h, {who}, appliances {', '.join(self.appliances)}"
        yield from (f"  {job}" for job in self.jobs)
        lines = [(h.at, str(h)) for h in self.happenings]
        lines += [(t.begin, f"{_at(t.begin)} {name} is {t.kind} for {t.length:g} s")
                  for name, some in self.troubles.items() for t in some]  # fmt: skip
        lines += [(r.at, f"{_at(r.at)} {name} restarts, mute for {r.mute:g} s{', copies die' if r.deadly else ''}")
                  for name, some in self.restarts.items() for r in some]  # fmt: skip
        yield from (f"  {line}" for _, line in sorted(lines))


def _at(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


DAY, HOURS, REPLICAS = 24 * HOUR, 3.5 * HOUR, 30 * MINUTE
QUIET = 2 * HOUR  # at the end nothing happens any more: for every silence to be judged


def draw(seed: int) -> Plan:
    """The plan of a seed: each twentieth is a whole day, each twentieth one of several replicas."""
    kind = seed % 20
    if kind == 7:
        return _replicas(random.Random(seed), seed)
    return _one_process(random.Random(seed), seed, DAY if kind == 13 else HOURS)


def _one_process(rng: random.Random, seed: int, length: float) -> Plan:
    plan = Plan(seed, length, appliances=("default", "second")[: rng.choice((1, 1, 2))])
    last = length - QUIET
    _jobs(rng, plan, last, rng.choice((1, 2, 2, 3)) if length == DAY else rng.choice((1, 1, 2)))
    if rng.random() < 0.12:
        _outlasted(rng, plan)
    hot = _hot_moments(rng, plan, last)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        _trouble(rng, plan, next(hot))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        name = rng.choice(plan.appliances)
        restart = Restart(next(hot), rng.choice((0.0, 2.0, 10.0, 40.0, 90.0)), rng.random() < 0.3)
        plan.restarts.setdefault(name, []).append(restart)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        _kill(rng, plan, next(hot))
    _of_the_database(rng, plan, hot)
    _rare(rng, plan, hot)
    return plan


def _of_the_database(rng: random.Random, plan: Plan, hot: Iterator[float]) -> None:
    for _ in range(rng.choice((0, 0, 1))):
        length_of = rng.choice((5.0, 20.0, 60.0, 5 * MINUTE))
        plan.happenings.append(Happening(next(hot), "database_away", length_of))
    for _ in range(rng.choice((0, 0, 1))):
        plan.happenings.append(Happening(next(hot), "database_slow", rng.choice((30.0, 300.0))))


def _rare(rng: random.Random, plan: Plan, hot: Iterator[float]) -> None:
    for kind, length_of in rng.sample(RARE, rng.choice((0, 1, 1, 2))):
        job = rng.choice(plan.jobs)
        what = job.job_id if kind in OF_A_JOB else job.appliance if kind == "pause" else ""
        at = next(hot)
        plan.happenings.append(Happening(at, kind, length_of, what))
        if kind in ("fail", "complete") and rng.random() < 0.5:  # a second thought
            plan.happenings.append(Happening(at + rng.uniform(0.01, 6.0), "reopen", 0.0, what))
    if rng.random() < 0.3:
        how = rng.choice(("", "asking", "asking"))
        plan.happenings.append(Happening(next(hot), "stop", rng.choice((0.5, 3.0)), how))
    if rng.random() < 0.1:
        at = next(hot)
        plan.happenings += [Happening(at + 8.0 * n, "kill", 1.0, "idle") for n in range(20)]


RARE = (
    ("clock", -HOUR), ("clock", 2 * HOUR), ("lose", 0.0), ("lose", 0.0), ("monitor_dies", 0.0), ("trigger", 0.0),
    ("trigger", 0.0), ("frozen", 15.0), ("frozen", 40.0), ("fail", 0.0), ("complete", 0.0), ("reopen", 0.0),
    ("pause", 90.0), ("poison", 20.0),
)  # fmt: skip
OF_A_JOB = ("lose", "fail", "complete", "reopen", "poison")


def _jobs(rng: random.Random, plan: Plan, last: float, count: int) -> None:
    for n in range(count):
        again = n > 0 and rng.random() < 0.3
        vm = plan.jobs[-1].vm if again else f"vm-{n}"
        appliance = plan.jobs[-1].appliance if again else rng.choice(plan.appliances)
        first = plan.jobs[-1].over - 30.0 if again else 5.0
        latest = first + 15 * MINUTE if again else max(first, last - HOUR)
        _job(rng, plan, n, vm, appliance, rng.uniform(first, latest))


def _job(rng: random.Random, plan: Plan, n: int, vm: str, appliance: str, begin: float) -> None:
    at = [begin]
    for _ in STEPS[1:]:
        at.append(at[-1] + rng.choice((2.0, 5.0, 10.0, 10.0, 30.0, 400.0 if rng.random() < 0.1 else 5.0)))
    plan.jobs.append(
        Planned(
            *(f"job-{plan.seed}-{n}", vm, appliance, tuple(at)),
            dies_before=rng.choice((*[len(STEPS)] * 9, 1, 3, 4)),
            disks=tuple(f"disk-{2000 + d}" for d in range(rng.choice((1, 1, 2)))),
            first_post=rng.choice((1.0, 5.0, 20.0, 60.0)),
            length=rng.choice((60.0, 2 * MINUTE, 5 * MINUTE, 9 * MINUTE)) * rng.uniform(0.7, 1.5),
            fate=rng.choice((FINISHED, FINISHED, FINISHED, FAILED)),
        )
    )


def _outlasted(rng: random.Random, plan: Plan) -> None:
    """A copy that runs on behind an outage that is long enough to give it up."""
    job = replace(rng.choice(plan.jobs), length=rng.uniform(40, 55) * MINUTE)
    plan.jobs = [job if one.job_id == job.job_id else one for one in plan.jobs]
    outage = Trouble(job.start + rng.uniform(-30, 240), rng.uniform(28, 36) * MINUTE, rng.choice((REFUSED, GATEWAY)))
    plan.troubles.setdefault(job.appliance, []).append(outage)


def _hot_moments(rng: random.Random, plan: Plan, last: float) -> Iterator[float]:
    """Moments at which something is going on: near steps, in the copy, at its end, and shortly after."""
    while True:
        job = rng.choice(plan.jobs)
        base = rng.choice((rng.choice(job.at), rng.uniform(job.start, job.over), job.start + job.first_post, job.over))
        yield min(max(base + rng.choice((-30.0, -3.0, -0.3, 0.0, 0.3, 3.0, 30.0, 300.0)) * rng.random(), 1.0), last)


def _trouble(rng: random.Random, plan: Plan, at: float) -> None:
    kind = rng.choice(TROUBLES)
    length = rng.choice((5.0, 25.0, 25.0, 2 * MINUTE, 12 * MINUTE, 31 * MINUTE, 35 * MINUTE, 50 * MINUTE))
    if kind in (HUNG, SLOW, BUSY):
        length = min(length, 12 * MINUTE)
    name = rng.choice(plan.appliances)
    plan.troubles.setdefault(name, []).append(Trouble(at, length, kind))


def _kill(rng: random.Random, plan: Plan, at: float) -> None:
    down = rng.choice((0.5, 1.0, 5.0, 30.0, 2 * MINUTE, 10 * MINUTE, 45 * MINUTE))
    down = min(down, max(plan.length - QUIET - at, 1.0))
    plan.happenings.append(Happening(at, "kill", down, rng.choice(KILLED_WHILE)))


# --- several replicas ----------------------------------------------------------------------------------

HAND_OVERS = (
    ("kill", 60.0, "idle"), ("kill", 2.0, "asking"), ("kill", 1.0, "writing"), ("host_lost", 90.0, ""),
    ("frozen", 13.0, ""), ("frozen", 40.0, ""), ("frozen", 3.0, ""), ("session_lost", 0.0, ""),
    ("session_lost", 0.0, ""), ("stop", 5.0, ""),
)  # fmt: skip


def _replicas(rng: random.Random, seed: int) -> Plan:
    plan = Plan(seed, REPLICAS, replicas=rng.choice((2, 3)), answers_only=rng.choice((0, 0, 1)))
    for n in range(rng.choice((2, 3))):
        _job(rng, plan, n, f"vm-{n}", "default", rng.uniform(5, 60))
    hot = 30.0
    for _ in range(rng.choice((1, 2, 3))):
        hot += rng.uniform(60, 240)
        kind, length, what = rng.choice(HAND_OVERS)
        plan.happenings.append(Happening(hot, kind, length, what, who=rng.randrange(plan.replicas)))
    if rng.random() < 0.25:
        hot += 90.0
        plan.happenings += [Happening(hot + 30 * n, "stop", 4.0, who=n) for n in range(plan.replicas)]
    if rng.random() < 0.25:
        hot += 60.0
        plan.happenings += [Happening(hot, "kill", 120.0, "idle", who=n) for n in range(plan.replicas - 1)]
    if rng.random() < 0.3:
        _trouble(rng, plan, rng.uniform(60, hot))
    for at in rng.choices([job.start + rng.uniform(0, job.length) for job in plan.jobs], k=rng.choice((0, 1, 2))):
        plan.happenings.append(Happening(at, "trigger", 0.0, who=rng.randrange(plan.replicas)))
    return plan
