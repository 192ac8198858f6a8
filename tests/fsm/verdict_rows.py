"""Verdicts on a job that is alive, by hand from the requirement; see test_verdict_table.py for the notation."""

from dataclasses import dataclass, field
from typing import Any

from builders import NO_VOLUME

from fsm.facts import VmFacts
from fsm.memory import DiskMemory, Memory
from fsm.policy import RecoveryPolicy
from fsm.states import Verdict

RIPE_AT_ONCE = RecoveryPolicy(inference_ripe=0)
NOT_FOUNDS = "not_found@60 not_found@30 not_found@0"
OUTAGES = "unreachable@60 unreachable@30 unreachable@0"
SETUP = ("initializing", "attaching", "configuring", "ready_for_sync")
ACTIVE = (*SETUP, "replicating")
VERDICTS = ("running", "completed", "failed", "unsettled", "not_found", "unreachable", "unintelligible")
LOST = "moved failed/inferred: job lost on VMA [watch, settle]"
SILENT = "moved failed/inferred: VMA unreachable after restart [watch, settle]"
TIMED_OUT = "moved failed/inferred: set-up timed out [watch, settle]"
STAYS = "stayed replicating [keep]"
RUNS = "stayed replicating [record, keep]"
SETTLED = "moved completed/inferred [record, watch, settle]"
STUCK = "stayed replicating [record, keep] !cannot_settle"
CONFIRMED = "moved completed/confirmed [record, stop, settle]"
REOPENED = "moved replicating [record, reclaim, restart]"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    shows: str
    state: str
    said: str
    expected: str
    given: dict[str, Any] = field(default_factory=dict)


def row(shows: str, state: str, said: str, expected: str, **given: Any) -> Row:
    return Row(shows, state, said, expected, given)


def birth(shows: str, expected: str, *vm: Any) -> Row:
    return row(shows, "initializing", "create@0", expected, version=0, vm=VmFacts(*vm))


CREATE = [
    birth("a VM without jobs gets one", "moved initializing [claim, start]"),
    birth("not beside an unfinished job", "refused initializing", "job-old"),
    *(
        birth(f"not while the watched copy is {said}", "refused initializing", None, "job-old", said)
        for said in (Verdict.RUNNING, Verdict.UNREACHABLE, None)
    ),
    *(
        birth(f"allowed when the watched copy is {said}", "moved initializing [claim, start]", None, "job-old", said)
        for said in (Verdict.NOT_FOUND, Verdict.COMPLETED, Verdict.FAILED, Verdict.UNSETTLED, Verdict.UNINTELLIGIBLE)
    ),
    *(row(f"not a second time, {state}", state, "create@0", f"illegal {state} []") for state in ACTIVE),
]

WORKFLOW_ROWS = [
    row("attach needs disks", "initializing", "attach@0", "moved attaching [keep]", disks=NO_VOLUME),
    row("attach without disks", "initializing", "attach@0", "refused initializing", disks=()),
    row("configure needs volumes", "attaching", "configure@0", "moved configuring [keep]"),
    row("configure without a volume", "attaching", "configure@0", "refused attaching", disks=NO_VOLUME),
    row("configure may be left out", "attaching", "ready@0", "moved ready_for_sync [keep]"),
    row("ready", "configuring", "ready@0", "moved ready_for_sync [keep]"),
    row("ready without a volume", "configuring", "ready@0", "refused configuring", disks=NO_VOLUME),
    row("ready without a volume, early", "attaching", "ready@0", "refused attaching", disks=NO_VOLUME),
    row("start", "ready_for_sync", "start@0", "moved replicating [start]"),
    *(row("attach repeated", s, "attach@0", f"stayed {s} [keep]") for s in ACTIVE[1:]),
    *(row("configure repeated", s, "configure@0", f"stayed {s} [keep]") for s in ACTIVE[2:]),
    *(row("ready repeated", s, "ready@0", f"stayed {s} [keep]") for s in ACTIVE[3:]),
    row("start after the VMA was seen running", "replicating", "start@0", STAYS),
    row("configure before attach", "initializing", "configure@0", "illegal initializing"),
    row("ready before attach", "initializing", "ready@0", "illegal initializing"),
    *(row("start before ready", s, "start@0", f"illegal {s}") for s in SETUP[:3]),
    *(
        row(f"{event} revives a set-up that was slower than its grace", "failed", f"{event}@0",
            f"moved {target} [reclaim, restart]", ending="inferred", ended_from="attaching")
        for event, target in (("attach", "attaching"), ("configure", "configuring"), ("ready", "ready_for_sync"),
                              ("start", "replicating"))
    ),
    row("not when a newer job has the VM", "failed", "ready@0", "refused failed/inferred", ending="inferred",
        ended_from="attaching", vm_taken=True),
    row("not what was lost while replicating", "failed", "start@0", "refused failed/inferred", ending="inferred"),
    row("not a confirmed failure", "failed", "start@0", "refused failed/confirmed", ending="confirmed",
        ended_from="ready_for_sync"),
    row("not what an operator failed", "failed", "start@0", "refused failed/manual", ending="manual",
        ended_from="ready_for_sync"),
    row("a completed job has no set-up", "completed", "attach@0", "illegal completed/inferred", ending="inferred"),
    row("a revival does not need the watch", "failed", "ready@0", "moved ready_for_sync [reclaim, restart]",
        ending="inferred", watched=False, ended_from="attaching"),
]  # fmt: skip

FOUND = [
    *(row("runs although the workflow did not say so", s, "running@0", "moved replicating [record, restart]")
        for s in SETUP),
    row("all is well", "replicating", "running@0", RUNS, ev={"percent": 30.0}),
    row("100 % and running is not completed", "replicating", "running@0", RUNS,
        ev={"percent": 100.0}),
    *(row("completed", s, "completed@0", CONFIRMED) for s in ACTIVE),
    *(row("failed", s, "failed@0", "moved failed/confirmed: copy failed on the VMA [record, stop, settle]")
        for s in ACTIVE),
    row("failed with the VMA's message", "replicating", "failed@0",
        "moved failed/confirmed: NBD connection lost [record, stop, settle]", ev={"error": "NBD connection lost"}),
]  # fmt: skip

UNSETTLED = [
    row("one disk done", "replicating", "unsettled@0", RUNS, ev={"percent": 95.0}),
    row("14:59 unchanged", "replicating", "unsettled@899 unsettled@0", RUNS, ev={"percent": 95.0}),
    row("15:00 unchanged", "replicating", "unsettled@900 unsettled@0", SETTLED, ev={"percent": 95.0}),
    row("90.1 %", "replicating", "unsettled@900 unsettled@0", SETTLED, ev={"percent": 90.1}),
    row("exactly 90 % is not more", "replicating", "unsettled@900 unsettled@0", STUCK, ev={"percent": 90.0}),
    row("89.9 %", "replicating", "unsettled@900 unsettled@0", STUCK, ev={"percent": 89.9}),
    row("its own key says completed", "replicating", "unsettled@900 unsettled@0", SETTLED,
        ev={"percent": 40.0, "own_key_completed": True}),
    row("a disk is visibly unfinished", "replicating", "unsettled@900 unsettled@0", STUCK,
        ev={"percent": 95.0, "unfinished": True}),
    row("own key, and a disk visibly unfinished", "replicating", "unsettled@900 unsettled@0", STUCK,
        ev={"percent": 95.0, "unfinished": True, "own_key_completed": True}),
    row("an unfinished disk whose end is proven", "replicating", "unsettled@900 unsettled@0", SETTLED,
        memory=Memory(disks=(DiskMemory("disk-2000", proven=True),)), ev={"percent": 95.0, "unfinished": True}),
    row("an outage in between does not restart the clock", "replicating",
        "unsettled@900 unreachable@450 unsettled@0", SETTLED, ev={"percent": 95.0}),
    row("a running disk in between restarts it", "replicating", "unsettled@900 running@450 unsettled@0",
        RUNS, ev={"percent": 95.0}),
    *(row("set-up, 14:59", s, "unsettled@899 unsettled@0", f"stayed {s} [record, keep]", ev={"percent": 95.0})
        for s in SETUP),
    *(row("set-up, 15:00", s, "unsettled@900 unsettled@0", f"stayed {s} [record, keep] !cannot_settle",
          ev={"percent": 95.0, "own_key_completed": True}) for s in SETUP),
]  # fmt: skip

ABSENT_IN_SETUP = [
    *(row("4:59 in set-up", s, "not_found@0", f"stayed {s} [keep]", entered="4:59") for s in SETUP[:3]),
    *(row("exactly 5:00 is past the grace", s, "not_found@0", TIMED_OUT, entered="5:00") for s in SETUP[:3]),
    row("1:59 ready", "ready_for_sync", "not_found@0", "stayed ready_for_sync [keep]", entered="1:59"),
    row("2:00 ready", "ready_for_sync", "not_found@0", TIMED_OUT, entered="2:00"),
    *(row("grace counts from our start", s, "not_found@0", f"stayed {s} [keep]", entered="1h", up="4:59")
        for s in SETUP[:3]),
    *(row("and ends 5:00 after it", s, "not_found@0", TIMED_OUT, entered="1h", up="5:00") for s in SETUP[:3]),
    row("ready, 1:59 after our start", "ready_for_sync", "not_found@0", "stayed ready_for_sync [keep]", entered="1h",
        up="1:59"),
    row("ready, 2:00 after our start", "ready_for_sync", "not_found@0", TIMED_OUT, entered="1h", up="2:00"),
    row("set-up ends failed even above 90 %", "attaching", "not_found@0", TIMED_OUT, entered="6m", percent=95.0),
    row("an age is never negative", "attaching", "not_found@0", "stayed attaching [keep]", entered=-3600),
]  # fmt: skip

ABSENT_WHILE_REPLICATING = [
    row("one 404", "replicating", "not_found@0", STAYS, heard="2m"),
    row("two 404s over a minute", "replicating", "not_found@60 not_found@0", STAYS, heard="2m"),
    row("three over 59.9 s", "replicating", "not_found@59.9 not_found@30 not_found@0", STAYS, heard="2m"),
    row("three over 60 s", "replicating", NOT_FOUNDS, LOST, heard="2m"),
    row("thirty within 59 s", "replicating", " ".join(f"not_found@{n * 2}" for n in range(29, -1, -1)), STAYS,
        heard="2m"),
    row("lost at 89.9 %", "replicating", NOT_FOUNDS, LOST, heard="2m", percent=89.9),
    row("exactly 90 % is not more than 90", "replicating", NOT_FOUNDS, LOST, heard="2m", percent=90.0),
    row("lost at 90.1 % counts as done", "replicating", NOT_FOUNDS, "moved completed/inferred [watch, settle]",
        heard="2m",
        percent=90.1),
    row("not ripe at 99 %", "replicating", "not_found@30 not_found@0", STAYS, heard="2m", percent=99.0),
    row("polled for 29 s", "replicating", "not_found@0", STAYS, heard="2m", polling="29s", policy=RIPE_AT_ONCE),
    row("polled for 30 s", "replicating", "not_found@0", LOST, heard="2m", polling="30s", policy=RIPE_AT_ONCE),
    row("up for 29 s", "replicating", "not_found@0", STAYS, heard="2m", up="29s", policy=RIPE_AT_ONCE),
    row("up for 30 s", "replicating", "not_found@0", LOST, heard="2m", up="30s", policy=RIPE_AT_ONCE),
    row("never seen, replicating for 1:59", "replicating", NOT_FOUNDS, STAYS, entered="1:59"),
    row("never seen, replicating for 2:00", "replicating", NOT_FOUNDS, LOST, entered="2:00"),
    row("seen, replicating for 1:30", "replicating", NOT_FOUNDS, LOST, entered="1:30", heard="1:10"),
    row("the rules to the letter", "replicating", "not_found@0", LOST, heard="10s", policy=RIPE_AT_ONCE, percent=90.0),
    row("the letter above 90 %", "replicating", "not_found@0", "moved completed/inferred [watch, settle]", heard="10s",
        policy=RIPE_AT_ONCE, percent=90.1),
    row("a transport error in between does not add", "replicating", "not_found@60 unreachable@30 not_found@0", STAYS,
        heard="2m"),
    row("nor reset", "replicating", "not_found@60 unreachable@45 not_found@30 not_found@0", LOST, heard="2m"),
    row("found resets", "replicating", "not_found@90 not_found@60 running@45 not_found@30 not_found@0", STAYS,
        heard="2m"),
    row("unsettled is found, too", "replicating", "not_found@90 not_found@60 unsettled@45 not_found@30 not_found@0",
        STAYS,
        heard="2m"),
    row("a streak from before our start does not count", "replicating",
        "not_found@100 not_found@80 not_found@60 not_found@20 not_found@0", STAYS, heard="6m", up="45s"),
    row("the first must not be before our start", "replicating", NOT_FOUNDS, STAYS, heard="2m", up="45s"),
    row("a streak after our start does", "replicating", "not_found@300 not_found@60 not_found@30 not_found@0", LOST,
        heard="6m",
        up="60s"),
]  # fmt: skip

OUTAGE = [
    *(row("29:59 since the last sign of life", s, OUTAGES, f"stayed {s} [keep]", heard="29:59") for s in ACTIVE),
    *(row("30:00 since the last sign of life", s, OUTAGES, SILENT, heard="30:00") for s in ACTIVE),
    row("silent for an hour, one answer", "replicating", "unreachable@0", STAYS, heard="1h"),
    row("silent for an hour, two answers", "replicating", "unreachable@60 unreachable@0", STAYS, heard="1h"),
    row("silent for an hour, over 59.9 s", "replicating", "unreachable@59.9 unreachable@30 unreachable@0",
        STAYS, heard="1h"),
    row("an hour by the letter", "replicating", "unreachable@0", SILENT, heard="1h", policy=RIPE_AT_ONCE),
    row("29:59 by the letter", "replicating", "unreachable@0", STAYS, heard="29:59", policy=RIPE_AT_ONCE),
    row("entered the state 29:59 ago", "replicating", OUTAGES, STAYS, entered="29:59", created="2h"),
    row("entered the state 30:00 ago", "replicating", OUTAGES, SILENT, entered="30:00", created="2h"),
    row("created 29:59 ago", "replicating", OUTAGES, STAYS, entered="30:00", created="29:59"),
    row("404s are no sign of life", "replicating", f"not_found@90 {OUTAGES}", SILENT, heard="30:00"),
    row("garbage is no sign of life", "replicating", f"unintelligible@90 {OUTAGES}", SILENT, heard="30:00"),
    row("an answer is", "replicating", f"running@90 {OUTAGES}", STAYS, heard="2h"),
    row("a 404 contradicts an outage", "replicating", "unreachable@60 not_found@45 unreachable@30 unreachable@0",
        STAYS, heard="1h"),
    row("host down 45 min, tunnel back 20 s after us", "replicating",
        "unreachable@15 unreachable@10 unreachable@5 running@0",
        RUNS, heard="45m", up="20s"),
    row("host down 45 min, tunnel not yet back", "replicating", "unreachable@15 unreachable@10 unreachable@0",
        STAYS, heard="45m", up="20s"),
    row("an outage heard by the process before us", "replicating", OUTAGES, STAYS, heard="45m", up="59s"),
    row("25 s of outage fail nobody", "replicating", " ".join(f"unreachable@{n}" for n in (25, 20, 15, 10, 5, 0)),
        STAYS, heard="30s"),
    row("away above 90 % is failed all the same", "replicating", OUTAGES, SILENT, heard="31m", percent=99.0),
]  # fmt: skip

GARBAGE = [
    *(row("29:59 of garbage", s, "unintelligible@1799 unintelligible@0", f"stayed {s} [keep]") for s in ACTIVE),
    *(row("30:00 of garbage", s, "unintelligible@1800 unintelligible@0", f"stayed {s} [keep] !unintelligible")
        for s in ACTIVE),
    row("three days of garbage end nothing", "replicating", "unintelligible@3d unintelligible@2d unintelligible@0",
        "stayed replicating [keep] !unintelligible", heard="3d"),
    row("an outage in between says nothing", "replicating", "unintelligible@1800 unreachable@900 unintelligible@0",
        "stayed replicating [keep] !unintelligible"),
    row("an answer in between does", "replicating", "unintelligible@1800 running@900 unintelligible@0",
        STAYS),
    row("a 404 is an answer", "replicating", "unintelligible@1800 not_found@900 unintelligible@0", STAYS),
    row("a workflow that goes on does not silence the alarm", "configuring",
        "unintelligible@1900 unintelligible@1800 ready@30 unintelligible@0",
        "stayed ready_for_sync [keep] !unintelligible"),
    row("good again", "replicating", "unintelligible@1800 unintelligible@5 running@0", RUNS),
]  # fmt: skip
