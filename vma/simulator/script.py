"""A scenario made ready to play: records of copies, plans for those the OMA starts, and a timetable."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from vma.simulator.plans import Disk, End, Plan
from vma.simulator.records import CopyRecord
from vma.simulator.scenario import Scenario
from vma.simulator.scripted import Defaults, Ending, ScriptedCopy, ScriptedDisk, numbered
from vma.simulator.timeline import Timeline
from vma.simulator.units import clock_text

VM_FOLDER = "/DC1/vm"


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timetable; `at` in simulated seconds, None: whenever the OMA starts it."""

    at: float | None
    what: str
    whom: str


def records(scenario: Scenario, began: float) -> list[CopyRecord]:
    """The copies that start by themselves, by their start. `began`: the scenario's, seconds since the epoch."""
    scripted = [copy for copy in scenario.copies if copy.start is not None]
    made = [record for copy in scripted for record in _records(copy, scenario, began)]
    return sorted(made, key=lambda record: record.started_at)


def plans(scenario: Scenario) -> dict[str, Plan]:
    """How copies that the OMA starts will run, by their job id or else by their VM."""
    found: dict[str, Plan] = {}
    for copy in (copy for copy in scenario.copies if copy.start is None):
        plan = _plan(copy, scenario.defaults)
        for n, (job, vm) in enumerate(copy.names(), start=1):
            disks = [_disk(disk, disk.id or "", copy, n) for disk in copy.disks]
            found[job or vm or ""] = plan.model_copy(update={"disks": disks})
    return found


def timetable(scenario: Scenario) -> list[Happening]:
    """All that will happen, in order; like copies are one line each for their first start and their last end."""
    happenings = [line for copy in scenario.copies for line in _of_copy(copy, scenario)]
    happenings += _of_faults(scenario)
    for restart in scenario.restarts:
        fate = "survive" if restart.copies_survive else "die too"
        happenings.append(Happening(restart.at, "VMA goes down and forgets", f"copies {fate}"))
        happenings.append(Happening(restart.at + restart.down_for, "VMA is up again", "everybody"))
    return sorted(happenings, key=lambda line: inf if line.at is None else line.at)


def _records(copy: ScriptedCopy, scenario: Scenario, began: float) -> Iterator[CopyRecord]:
    plan, ids = _plan(copy, scenario.defaults), copy.disk_ids()
    start = copy.start or 0.0
    for n, (job, vm) in enumerate(copy.names(), start=1):
        later = copy.spread * (n - 1) / copy.count
        yield CopyRecord(
            job_id=job or "",
            plan=plan,
            disks=[_disk(disk, disk_id, copy, n) for disk, disk_id in zip(copy.disks, ids, strict=True)],
            vm_path=f"{VM_FOLDER}/{vm}" if vm else "",
            oma_url="",
            started_at=began + (start + later) / scenario.speed,
        )


def _plan(copy: ScriptedCopy, defaults: Defaults) -> Plan:
    def chosen(name: str) -> float:
        own: float | None = getattr(copy, name)
        return getattr(defaults, name) if own is None else own

    return Plan(
        rate_mib_s=chosen("rate"),
        first_post_after_s=chosen("first_post"),
        setup_s=chosen("setup"),
        gap_s=chosen("gap"),
        post_every_s=chosen("post_every"),
        key=copy.key or defaults.key,
        sync_type=copy.sync,
        end=_end(copy.ending),
    )


def _end(ending: Ending) -> End | None:
    bad = ending.bad()
    if bad is None:
        return None
    state, stop = bad
    why = stop.error or {"failed": "failed", "hung": "hangs", "killed": "died"}[state] + " by the scenario"
    return End(state=state, at_percent=stop.at, disk_id=stop.disk, why=why)


def _disk(disk: ScriptedDisk, disk_id: str, copy: ScriptedCopy, n: int) -> Disk:
    return Disk(
        disk_id=disk_id,
        export=numbered(disk.export, n) or "",
        size_bytes=disk.size if copy.sync == "full" or disk.changed is None else disk.changed,
        rate_mib_s=disk.rate,
        gap_s=disk.gap,
    )


def _of_copy(copy: ScriptedCopy, scenario: Scenario) -> Iterator[Happening]:
    who = copy.job or f"the job of {copy.vm}"
    if copy.start is None:
        yield Happening(None, "copy starts when the OMA asks", who)
        return
    first = next(iter(_records(copy.model_copy(update={"count": 1}), scenario, 0.0)))
    start = first.started_at * scenario.speed
    timeline = Timeline(first.plan, first.disks)
    whom = (
        who if copy.count == 1 else f"{copy.count:,} copies {numbered(copy.job, 1)} to {numbered(copy.job, copy.count)}"
    )
    last = copy.spread * (copy.count - 1) / copy.count
    spread = f", over {clock_text(last)[1:]}" if last else ""
    yield Happening(start, f"copy starts ({copy.sync}{spread})", whom)
    fatal = [restart.at for restart in scenario.restarts if not restart.copies_survive]
    lost = min((at for at in fatal if at >= start), default=inf)
    for milestone in timeline.milestones:
        if milestone.kind == "disk_end" and copy.count == 1 and start + milestone.at < lost:
            yield Happening(start + milestone.at, "disk is copied", f"{who} {first.disks[milestone.number].disk_id}")
    end, what = start + timeline.end + last, _outcome(first.plan.end)
    if copy.count == 1:
        yield Happening(min(end, lost), what if end < lost else "copy dies with the VMA", whom)
    else:
        yield Happening(end, f"last {what}" + (" unless it died with the VMA" if lost < end else ""), whom)


def _outcome(end: End | None) -> str:
    if end is None:
        return "copy is complete"
    where = f" of {end.disk_id}" if end.disk_id else ""
    fate = {"failed": "fails", "hung": "hangs", "killed": "dies without a word"}[end.state]
    return f"copy {fate} at {end.at_percent:g}%{where}"


def _of_faults(scenario: Scenario) -> Iterator[Happening]:
    for fault in scenario.faults:
        whom = "everybody" if fault.keys is None else ", ".join(fault.keys)
        times = f", {fault.times} times" if fault.times else ""
        for begin, end in fault.spans():
            yield Happening(begin, f"fault {fault.kind}{times}", whom)
            if end is not None:
                yield Happening(end, f"fault {fault.kind} is over", whom)
