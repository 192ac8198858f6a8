"""What a check of poll logs looks for, and what it finds."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Wrong(StrEnum):
    """What can be wrong."""

    GAP = "gap"  # a job was not asked about when its time had come
    SILENT = "silent"  # a job that must be polled was never asked about
    SLOW = "slow"  # a job was put off for longer than any rule allows
    OVERLAP = "overlap"  # two questions about one job at once, or two runs that ask in turn
    STALE = "stale"  # an answer was applied to a job that had moved on


@dataclass(frozen=True, slots=True)
class Limits:
    """How late is too late, seconds."""

    longest: float = 60.0  # the slowest pace of any rule: watch_interval, retry_after_max
    allowance: float = 10.0  # beyond a job's time
    handover: float = 15.0  # the same among several replicas: a frozen one is missed after 10 s
    question: float = 12.5  # a question under way is given up after 6 s, or after twice that if it has two parts


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a job. `at`: when it was seen, by the wall clock; `since`, `until` in log time."""

    wrong: Wrong
    job: str
    at: datetime
    says: str
    since: float
    until: float


@dataclass(slots=True)
class Report:
    """What a check came to."""

    findings: list[Finding] = field(default_factory=list)
    jobs: int = 0
    questions: int = 0
    runs: int = 0
    since: datetime | None = None
    until: datetime | None = None
    left_out: int = 0  # lines of runs whose beginning is not there
