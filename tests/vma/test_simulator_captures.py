"""The simulator's bodies beside those of real appliances: the same bytes, but for the times."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from capture_files import capture_names, reply_in
from scenario_stage import Stage, on_stage

from vma.simulator.entries import DiskEntry, Entry
from vma.simulator.envelope import filled
from vma.simulator.older import NEVER
from vma.simulator.pages import page

MIB = 2**20
AT = datetime(2026, 11, 23, 19, 23, 8, tzinfo=UTC)
TIME = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<digits>\.\d+)?Z"')
AGE = re.compile(r'"(elapsed_ms|phase_elapsed_ms|duration_ms)":\d+')
NUMBER = re.compile(r":\d+(\.\d+)?\b")


def known(name: str) -> bool:
    return b'"phase":' in reply_in(name).body and not name.startswith("older")


ENVELOPES = sorted(filter(known, capture_names()))


def timeless(body: bytes) -> str:
    """Without what the time alone makes different; whether a time has a fraction, or is unknown, stays."""
    text = AGE.sub(r'"\1":0', body.decode())
    return TIME.sub(lambda found: found[0] if NEVER in found[0] else '"T.n"' if found["digits"] else '"T"', text)


def entry_behind(said: dict[str, Any]) -> Entry:
    """What a map holds that answers `said`."""
    rows = said.get("disk_progresses", [])
    return Entry(
        started=AT,
        status=said["status"],
        phase=said["phase"],
        sync_type=said["sync_type"],
        percentage=float(said["percentage"]),
        bytes_transferred=said["bytes_transferred"],
        total_bytes=said["total_bytes"],
        throughput_bps=round(said["throughput"]["current_mbps"] * MIB),
        disks={
            row["disk_id"]: DiskEntry(row["bytes_transferred"], row["total_bytes"], round(row["throughput_mbps"] * MIB))
            for row in rows
        },
    )


def test_there_are_captures_to_compare_with() -> None:
    assert len(ENVELOPES) > 25


@pytest.mark.parametrize("name", ENVELOPES)
def test_the_current_envelope_is_byte_for_byte_that_of_the_capture(name: str) -> None:
    theirs = reply_in(name).body
    said = json.loads(theirs)
    entry = entry_behind(said)
    ours = page(lambda moment, elapsed: filled(said["job_id"], entry, moment, elapsed), AT)
    assert ours is not None
    assert timeless(ours.at(AT + timedelta(seconds=1))) == timeless(theirs)


OLD = """
scenario: as the older captures saw it
generation: errors_as_objects
defaults: {rate: 10 MiB/s, first_post: 0s, setup: 40s}
copies:
  - {job: job-peer-old-1, disks: [{size: 19939721216 B}]}
  - {job: job-peer-old-2, disks: [{size: 19939721216 B}],
     ending: {failed: {at: 12.5%, error: 'level=error msg="nbdcopy: read: command failed: Input/output error"'}}}
"""
AT_37_PERCENT = 40 + 0.375 * 19939721216 / (10 * MIB)


@pytest.mark.parametrize(
    ("at", "key", "name"),
    [
        (1, "job-peer-old-1", "progress-starting.http"),
        (15, "job-peer-old-1", "progress-snapshot-creation.http"),
        (AT_37_PERCENT, "job-peer-old-1", "progress-copying-data.http"),
        (9000, "job-peer-old-1", "progress-completed.http"),
    ],
)
def test_the_older_envelope_is_byte_for_byte_that_of_the_capture(at: float, key: str, name: str) -> None:
    async def story(stage: Stage) -> None:
        stage.now += 0.123456  # so that times have a fraction, as most have
        stage.player.begin()
        await stage.player.play(at)
        stage.now += at
        ours = stage.appliance.progress.body(key, stage.appliance.now())
        assert ours is not None
        assert timeless(ours) == timeless(reply_in(f"older-appliance/{name}").body)

    on_stage(OLD, story)


def test_the_older_envelope_tells_a_failure_as_the_capture_does_but_for_bytes() -> None:
    """The capture's log named no size; the simulator always knows one."""

    async def story(stage: Stage) -> None:
        stage.now += 0.123456
        stage.player.begin()
        stage.now += 9000
        ours = stage.appliance.progress.body("job-peer-old-2", stage.appliance.now())
        assert ours is not None
        theirs = reply_in("older-appliance/progress-failed-with-errors.http").body
        assert NUMBER.sub(":N", timeless(ours)) == NUMBER.sub(":N", timeless(theirs))
        assert (b'"percentage":20.2,' in ours, b"Copying VM data: 12%" in ours) == (True, True)

    on_stage(OLD, story)
