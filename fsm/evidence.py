"""What came back from the VMA about one job, before any rule sees it."""

from datetime import datetime

from msgspec import Struct

from fsm.clock import ClockStep
from fsm.states import Verdict


class KeyEntry(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the VMA's entry under one key said: enough to see later whether it changed.

    `absent` is an entry too: a key that was absent once and says "completed" later belongs to this run.
    """

    absent: bool = True
    start_time: datetime | None = None  # by the VMA's own clock; only ever compared with itself
    word: str = ""
    bytes_transferred: int | None = None
    percent: float | None = None


class DiskEvidence(Struct, frozen=True, omit_defaults=True, gc=False):
    """What is known of one disk after this poll. Bytes; percent 0-100; None = the answer did not say."""

    disk_id: str
    verdict: Verdict
    proven: bool = False
    bytes_transferred: int | None = None
    total_bytes: int | None = None
    percent: float | None = None
    unfinished: bool = False  # an answer shows it short of its total
    entry: KeyEntry | None = None  # of its export key, if that was asked and understood


class Evidence(Struct, frozen=True, omit_defaults=True, gc=False):
    """One poll of one job, boiled down. Rates in MiB/s, times aware UTC, `uptime` in seconds.

    `observer` names the process run that asked and `uptime` is how long it had been up by its own
    monotonic clock: spans between answers are measured on it, so neither a stepped clock nor our own
    downtime counts as silence of the VMA. What is older than the observer is aged by the wall clock, without `steps`.
    """

    verdict: Verdict
    observed_at: datetime
    observer: str
    uptime: float
    appliance: str = "default"
    bytes_transferred: int | None = None
    total_bytes: int | None = None
    percent: float | None = None
    throughput_mib_s: float | None = None
    eta_seconds: int | None = None
    phase: str | None = None
    sync_type: str | None = None
    operation: str | None = None
    disks: tuple[DiskEvidence, ...] = ()
    own_key_completed: bool = False  # the entry under the job's own id says completed
    answering_key: str | None = None  # "job" or "export": who to ask first next time
    error: str | None = None
    body: str | None = None  # of the answer that the error is about, control characters escaped
    failed_disks: tuple[str, ...] = ()
    refused: bool = False  # 401 or 403: the VMA turns us away
    retry_after: float | None = None  # seconds
    words: tuple[str, ...] = ()  # the raw status words, as received
    warnings: tuple[str, ...] = ()
    steps: tuple[ClockStep, ...] = ()  # by which the observer's wall clock was set since it started
