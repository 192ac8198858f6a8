"""Values of the machine in columns: as earlier releases wrote them, as embedders' clocks give them, as they are not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from freezegun import freeze_time
from store_builders import NOW, evidence

from db.codec import evidence_from_json, facts_from_json, memory_from_json, to_json
from fsm.facts import Disk, JobFacts
from fsm.memory import DiskMemory, Memory, Streak
from fsm.states import State, Verdict

OLD_FACTS: dict[str, Any] = {  # written in full by a release of November 2026
    "job_id": "job-1", "state": "replicating", "created_at": "2026-03-02T11:00:00Z",
    "entered_at": "2026-03-02T11:00:10.123456Z", "version": 4, "ending": None, "watched": False, "heard_at": None,
    "polling_since": "2026-03-02T11:00:10+00:00", "disks": [{"disk_id": "d", "volume_id": "v", "capacity_bytes": 9}],
    "percent": 50, "bytes_transferred": 4, "total_bytes": 9, "vm_taken": False, "recovery_attempted": False,
    "recovery_method": None, "appliance": "default", "a_field_of_a_later_release": 1,
    "memory": {"not_found": {"since": "2026-03-02T11:30:00Z", "observer": "a", "first_uptime": 1, "last_uptime": 9.5,
                             "count": 3},
               "unreachable": None, "failed_disks": [], "disks": [{"disk_id": "d", "proven": True, "baseline": None}],
               "ended_from": None, "watched_seconds": 0.0},
}  # fmt: skip


def test_what_an_earlier_release_wrote_is_read() -> None:
    facts = facts_from_json(OLD_FACTS)
    since = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
    assert facts == JobFacts(
        "job-1",
        State.REPLICATING,
        datetime(2026, 3, 2, 11, tzinfo=UTC),
        datetime(2026, 3, 2, 11, 0, 10, 123456, tzinfo=UTC),
        version=4,
        polling_since=datetime(2026, 3, 2, 11, 0, 10, tzinfo=UTC),
        disks=(Disk("d", "v", 9),),
        percent=50.0,
        bytes_transferred=4,
        total_bytes=9,
        memory=Memory(not_found=Streak(since, "a", 1.0, 9.5, 3), disks=(DiskMemory("d", proven=True),)),
    )


def test_what_is_written_is_read_again_and_only_what_is_not_blank_is_written() -> None:
    told = evidence("running", done=7, words=("Streaming",), retry_after=3.5)
    stored = msgspec.json.decode(to_json(told))
    assert evidence_from_json(stored) == told
    assert "eta_seconds" not in stored
    memory = Memory(disks=(DiskMemory("d", bytes_transferred=1),), answering_key="job")
    stored = msgspec.json.decode(to_json(memory))
    assert stored == {"answering_key": "job", "disks": [{"disk_id": "d", "bytes_transferred": 1}]}
    assert memory_from_json(stored) == memory
    assert memory_from_json(None) == memory_from_json({}) == Memory()


def test_a_number_that_is_none_is_none() -> None:
    told = evidence("running", percent=float("nan"))
    assert evidence_from_json(msgspec.json.decode(to_json(told))).percent is None


def test_times_of_a_frozen_clock_are_times() -> None:
    with freeze_time(NOW) as frozen:
        frozen.tick(timedelta(seconds=1))
        told = evidence("running", now=datetime.now(UTC))
    assert evidence_from_json(msgspec.json.decode(to_json(told))).observed_at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("state", "sleeping"), ("created_at", "yesterday"), ("version", "four"), ("memory", []), ("percent", "50")],
)
def test_what_makes_no_sense_is_a_value_error(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field if field != "memory" else "object"):
        facts_from_json(OLD_FACTS | {field: value})


def test_what_has_no_place_in_json_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="a complex has no place"):
        to_json({"verdict": Verdict.RUNNING, "odd": 1j})
