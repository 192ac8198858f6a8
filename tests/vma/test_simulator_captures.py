"""The simulator's answers beside those of real appliances: the same bytes, but for the times."""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from capture_files import FOLDER, reply_in
from scenario_stage import Stage, on_stage

from vma.simulator.older import NEVER
from vma.simulator.pages import encode
from vma.simulator.progress import ProgressMap
from vma.simulator.wire import BadBodyError, decode_update

TIME = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<digits>\.\d+)?Z"')
AGE = re.compile(r'"(elapsed_ms|phase_elapsed_ms|duration_ms)":\d+')
OLD_BYTES = 19939721216  # of the copy that the older captures saw


def timeless(body: bytes) -> str:
    """Without what the time alone makes different; whether a time has a fraction stays."""
    text = AGE.sub(r'"\1":0', body.decode())
    return TIME.sub(lambda found: found[0] if NEVER in found[0] else '"T.n"' if found["digits"] else '"T"', text)


def replayed() -> dict[str, tuple[bytes, bytes]]:
    """By capture: the body that was captured and ours, after the same posts in the same order."""
    entries = ProgressMap(lambda: datetime.now(UTC))
    pairs: dict[str, tuple[bytes, bytes]] = {}
    for request in json.loads((FOLDER / "index.json").read_text()):
        parts = request["path"].partition("?")[0].split("/")
        if request["file"].startswith("after-restart"):
            entries.forget(None)
        if len(parts) == 6 and parts[5] == "update" and request["method"] == "POST":
            _post(entries, parts[4], request["request_body"] or "")
        elif len(parts) == 5 and parts[3] == "progress" and request["method"] == "GET":
            ours = entries.body(parts[4], datetime.now(UTC))
            pairs[request["file"]] = (reply_in(request["file"]).body, ours or b"job not found\n")
    return pairs


def _post(entries: ProgressMap, key: str, body: str) -> None:
    try:
        entries.update(key, decode_update(body.encode()))
    except BadBodyError:
        return


def test_report() -> None:
    for name, (theirs, ours) in replayed().items():
        print(name, timeless(theirs) == timeless(ours))
        if timeless(theirs) != timeless(ours):
            print(timeless(theirs)[:600])
            print(timeless(ours)[:600])
    assert 0
