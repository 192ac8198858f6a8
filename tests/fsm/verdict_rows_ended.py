"""Verdicts on a job that is over, what people may do, and whole stories; see test_verdict_table.py for the notation."""

from builders import OPERATOR, WORKFLOW
from verdict_rows import (
    ACTIVE,
    CONFIRMED,
    LOST,
    NOT_FOUNDS,
    OUTAGES,
    REOPENED,
    RUNS,
    SETTLED,
    SILENT,
    STAYS,
    VERDICTS,
    row,
)

from fsm.facts import Asked
from fsm.states import Asker

WATCHED = [
    row("no running job stays failed", "failed", "running@0", REOPENED, ending="inferred"),
    row("no running job stays completed", "completed", "running@0", REOPENED, ending="inferred"),
    row("evidence confirms", "completed", "completed@0", CONFIRMED, ending="inferred"),
    row("evidence overturns", "failed", "completed@0", CONFIRMED, ending="inferred"),
    row("no lost job stays completed", "completed", "failed@0",
        "moved failed/confirmed: copy failed on the VMA [stop, settle]",
        ending="inferred"),
    row("a failure confirmed, with its message", "failed", "failed@0",
        "moved failed/confirmed: disk full [stop, settle]",
        ending="inferred", ev={"error": "disk full"}),
    row("its own key says completed", "failed", "unsettled@0", REOPENED, ending="inferred",
        ev={"own_key_completed": True}),
    row("one disk is done", "failed", "unsettled@0", "stayed failed/inferred [keep]", ending="inferred"),
    row("unsettled says nothing new", "completed", "unsettled@0", "stayed completed/inferred [keep]", ending="inferred",
        ev={"own_key_completed": True}),
    *(row("silence overturns nothing", s, f"{v}@0", f"stayed {s}/inferred [keep]", ending="inferred")
      for s in ("completed", "failed") for v in ("not_found", "unreachable", "unintelligible")),
    *(row("a newer job has the VM", s, f"{v}@0",
          f"stayed {s}/inferred [keep]" + (" !runs_beside_newer" if v == "running" else ""),
          ending="inferred", vm_taken=True, ev={"own_key_completed": v == "unsettled"})
      for s in ("completed", "failed") for v in VERDICTS),
    row("23:59:59 of answers", "failed", "running@0", REOPENED, ending="inferred", watched_seconds=86399.0),
    *(row("24 h of answers end the watch", s, f"{v}@0", f"stayed {s}/inferred [stop]", ending="inferred",
          watched_seconds=86400.0) for s in ("completed", "failed") for v in ("not_found", "unintelligible",
          "unreachable")),
    row("the answer that would end the watch says that it runs", "failed", "running@0", REOPENED, ending="inferred",
        watched_seconds=86400.0),
    row("the answer that would end the watch proves it", "failed", "completed@0",
        "moved completed/confirmed [record, stop, settle]", ending="inferred", watched_seconds=86400.0),
    row("the watch is over and a newer job has the VM", "failed", "running@0", "stayed failed/inferred [stop]",
        ending="inferred", watched_seconds=86400.0, vm_taken=True),
    row("the last second of the watch passes", "failed", "not_found@1 not_found@0", "stayed failed/inferred [stop]",
        ending="inferred", watched_seconds=86399.0),
    row("silence does not end it", "failed", "unreachable@60 unreachable@0", "stayed failed/inferred [keep]",
        ending="inferred", watched_seconds=86399.0),
    *(row("late, the watch is over", s, f"{v}@0", f"ignored {s}/inferred []", ending="inferred", watched=False)
      for s in ("completed", "failed") for v in VERDICTS),
    *(row("late, a confirmed end", s, f"{v}@0", f"ignored {s}/confirmed []", ending="confirmed")
      for s in ("completed", "failed") for v in VERDICTS),
    *(row("late, an operator's end", s, f"{v}@0", f"ignored {s}/manual []", ending="manual")
      for s in ("completed", "failed") for v in VERDICTS),
]  # fmt: skip

SAID, GAVE_UP = "looked at it on the VMA", "the workflow gave up"
NAMELESS = Asked(Asker.OPERATOR, None, SAID)
NO_REASON = Asked(Asker.OPERATOR, "anna")
BLANK_REASON = Asked(Asker.OPERATOR, "anna", "  ")

PEOPLE = [
    *(row("the workflow fails a job", s, "fail@0", f"moved failed/confirmed: {GAVE_UP} [stop, settle]",
        asked=WORKFLOW) for s in ACTIVE),
    *(row("an operator fails a job", s, "fail@0", f"moved failed/manual: {SAID} [stop, settle]", asked=OPERATOR)
        for s in ACTIVE),
    *(row("an operator completes a job", s, "complete@0", f"moved completed/manual: {SAID} [stop, settle]",
        asked=OPERATOR)
      for s in ACTIVE),
    *(row("fail says nothing", "replicating", "fail@0", "refused replicating", asked=asked)
      for asked in (Asked(), NO_REASON, BLANK_REASON, NAMELESS, Asked(Asker.MONITOR, None, "drift"))),
    *(row("complete needs a person and a reason", "replicating", "complete@0", "refused replicating", asked=asked)
      for asked in (WORKFLOW, NO_REASON, NAMELESS)),
    *(row("the workflow knows better", s, "fail@0", f"moved failed/confirmed: {GAVE_UP} [stop, settle]",
        ending="inferred",
          asked=WORKFLOW) for s in ("completed", "failed")),
    *(row("a person knows better", s, "fail@0", f"moved failed/manual: {SAID} [stop, settle]", ending="inferred",
        asked=OPERATOR)
      for s in ("completed", "failed")),
    *(row("a person has checked the copy", s, "complete@0", f"moved completed/manual: {SAID} [stop, settle]",
        ending="inferred",
          asked=OPERATOR) for s in ("completed", "failed")),
    *(row("a person must have checked it, by name and with a reason", s, "complete@0", f"refused {s}/inferred",
        ending="inferred", asked=asked) for s in ("completed", "failed") for asked in (WORKFLOW, NO_REASON, NAMELESS)),
    *(row("an inferred end is not failed without a word", s, "fail@0", f"refused {s}/inferred",
        ending="inferred", asked=asked) for s in ("completed", "failed") for asked in (Asked(), NO_REASON, NAMELESS)),
    *(row("a known end is an end", s, f"{event}@0", f"refused {s}/{how}", ending=how, asked=OPERATOR)
      for s in ("completed", "failed") for how in ("confirmed", "manual") for event in ("fail", "complete")),
    *(row("reopened", s, "reopen@0", f"moved replicating: {SAID} [reclaim, restart]", ending=how, asked=OPERATOR)
      for s in ("completed", "failed") for how in ("inferred", "manual")),
    *(row("a confirmed end stays", s, "reopen@0", f"refused {s}/confirmed", ending="confirmed", asked=OPERATOR)
      for s in ("completed", "failed")),
    row("not beside a newer job", "failed", "reopen@0", "refused failed/manual", ending="manual",
        asked=OPERATOR, vm_taken=True),
    *(row("reopening needs a person and a reason", "failed", "reopen@0", "refused failed/inferred", ending="inferred",
        asked=asked)
      for asked in (WORKFLOW, NO_REASON, NAMELESS)),
    *(row("what runs cannot be reopened", s, "reopen@0", f"illegal {s}", asked=OPERATOR) for s in ACTIVE),
]  # fmt: skip

STORIES = [
    row("scenario 1: restarted at 30 %", "replicating", "running@0", RUNS, percent=30.0,
        heard="2m", up="2s", ev={"percent": 31.0}, asked=Asked(Asker.STARTUP)),
    row("scenario 2: completed while we were away", "replicating", "completed@0", CONFIRMED, percent=30.0, heard="1h",
        up="2s", asked=Asked(Asker.STARTUP)),
    row("scenario 3: unreachable for a while", "replicating", "unreachable@0", STAYS, heard="10m",
        up="2s", asked=Asked(Asker.STARTUP)),
    row("scenario 3: unreachable for too long", "replicating", OUTAGES, SILENT, heard="31m", up="60s"),
    row("scenario 4: an orphan is asked again", "replicating", "running@0", RUNS, heard="1h",
        asked=Asked(Asker.MONITOR)),
    row("failed while we were away", "replicating", "failed@0", "moved failed/confirmed: boom [record, stop, settle]",
        heard="1h", up="2s", ev={"error": "boom"}, asked=Asked(Asker.STARTUP)),
    row("who triggers does not word the end", "replicating", NOT_FOUNDS, LOST, heard="2m",
        asked=Asked(Asker.TRIGGER, "anna", "just looking")),
    row("lost, then found", "replicating", "not_found@120 not_found@90 not_found@60 running@0", REOPENED, heard="3m"),
    row("nearly done, then found running", "replicating", "not_found@120 not_found@90 not_found@60 running@0", REOPENED,
        heard="3m", percent=95.0),
    row("nearly done, then confirmed", "replicating", "not_found@120 not_found@90 not_found@60 completed@0", CONFIRMED,
        heard="3m", percent=95.0),
    row("timed out, then the workflow goes on", "attaching", "not_found@60 ready@0",
        "moved ready_for_sync [reclaim, restart]",
        entered="6:00"),
    row("timed out, then seen running", "attaching", "not_found@60 running@0", REOPENED, entered="6:00"),
    row("away, back, and lost again only after a new silence", "replicating",
        "unreachable@120 unreachable@90 unreachable@60 running@30 not_found@0", STAYS, heard="40m"),
    row("confirmed, then a slow answer", "replicating", "completed@10 running@0", "ignored completed/confirmed []"),
    row("failed by a person, then a slow answer", "replicating", "fail@10 running@0", "ignored failed/manual []",
        asked=OPERATOR),
    row("settles where it ran", "failed", "unsettled@930 unsettled@900 unsettled@0", SETTLED, ending="inferred",
        percent=95.0, ev={"own_key_completed": True}),
    row("restarted every 20 s, never ripe", "replicating", "not_found@50 not_found@30 not_found@10 not_found@0", STAYS,
        heard="10m", up="20s"),
]  # fmt: skip
