"""Every number a rule uses, in one frozen value."""

import hashlib
import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fsm.clock import ZERO
from fsm.states import State

LONGEST = timedelta(days=36_500)
MOST_ANSWERS = 1000  # at the slowest pace eight hours of them: more is no patience, but a slip of the finger
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(value: object, otherwise: ValidatorFunctionWrapHandler) -> timedelta:
    """Durations as operators write them: 20m, 1.5h, or a number of seconds. Anything else is pydantic's: ISO 8601."""
    written = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", value) if isinstance(value, str) else None
    try:
        if written is not None:
            return timedelta(seconds=float(written[1]) * _UNITS[written[2] or "s"])
        # True would be taken for a second.
        return otherwise(str(value) if isinstance(value, bool) else value)  # type: ignore[no-any-return]
    except (ValidationError, OverflowError) as error:
        raise PydanticCustomError("duration", "a duration is written 90s, 20m, 1.5h or PT20M") from error


def _not_negative(value: timedelta) -> timedelta:
    if value < ZERO:
        raise PydanticCustomError("duration", "must not be negative")
    return _bounded(value)


def _positive(value: timedelta) -> timedelta:
    if value <= ZERO:
        raise PydanticCustomError("duration", "must be more than 0")
    return _bounded(value)


def _bounded(value: timedelta) -> timedelta:
    """A limit that lies beyond the last year of the calendar could not be told: no decision would come of it."""
    if value > LONGEST:
        raise PydanticCustomError("duration", "must not be longer than 36500d")
    return value


Duration = Annotated[timedelta, WrapValidator(read_duration), AfterValidator(_not_negative)]
Positive = Annotated[timedelta, WrapValidator(read_duration), AfterValidator(_positive)]
Percent = Annotated[float, Field(ge=0, le=100)]


def _minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def _seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


class RecoveryPolicy(BaseModel):
    """The thresholds of the rules. Durations are seconds or ISO 8601; percentages 0-100.

    Raises pydantic.ValidationError for a negative number or an order that makes a rule unreachable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grace_initializing: Duration = Field(_minutes(5), description="an absent job stays initializing this long")
    grace_attaching: Duration = Field(_minutes(5), description="an absent job stays attaching this long")
    grace_configuring: Duration = Field(_minutes(5), description="an absent job stays configuring this long")
    grace_ready_for_sync: Duration = Field(_minutes(2), description="an absent job stays ready_for_sync this long")
    polling_grace: Duration = Field(_seconds(30), description="no 404 counts before a job was polled this long")
    absence_grace: Duration = Field(_minutes(2), description="a copy may take this long to post for the first time")
    unreachable_after: Duration = Field(_minutes(30), description="silence of the VMA that ends a job by inference")
    nearly_done_percent: Percent = Field(90.0, description="a lost job above this is taken for completed")
    inference_ripe: Duration = Field(_seconds(60), description="span of like answers before an inference; 0: at once")
    inference_answers: int = Field(3, ge=1, le=MOST_ANSWERS, description="like answers before an inference")
    completion_settle: Duration = Field(_minutes(15), description="unproven completion must stand unchanged this long")
    unintelligible_after: Duration = Field(_minutes(30), description="garbage for this long needs an operator")
    stalled_after: Duration = Field(_minutes(15), description="no byte moved for this long: not progressing")
    stalled_alarm_after: Duration = Field(_minutes(60), description="no byte moved for this long: needs an operator")
    watch_fast_for: Duration = Field(_minutes(10), description="an inferred end is polled at full pace this long")
    watch_for: Duration = Field(timedelta(hours=24), description="time with an answering VMA that ends a watch")
    poll_interval: Positive = Field(_seconds(5), description="between two polls of a healthy job")
    poll_interval_near_end: Positive = Field(_seconds(2), description="the same from near_end_percent on")
    near_end_percent: Percent = Field(95.0, description="from here on the end is near")
    watch_interval: Positive = Field(_seconds(60), description="between two polls of a watched job, later on")
    backoff_max: Positive = Field(_seconds(30), description="slowest pace after errors for an active job")
    retry_after_max: Positive = Field(_seconds(60), description="longest Retry-After that is obeyed")
    monitor_interval: Positive = Field(_seconds(60), description="between two looks of the health monitor")
    overdue_after: Positive = Field(_seconds(10), description="past due by this and 3 intervals: overdue")
    unclaimed_after: Positive = Field(_seconds(60), description="past due by this, whoever should have asked")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        ordered = (
            ("poll_interval_near_end", "poll_interval"),
            ("poll_interval", "backoff_max"),
            ("stalled_after", "stalled_alarm_after"),
            ("watch_fast_for", "watch_for"),
            ("nearly_done_percent", "near_end_percent"),
        )
        for low, high in ordered:
            if getattr(self, low) > getattr(self, high):
                msg = f"{low} ({getattr(self, low)}) must not exceed {high} ({getattr(self, high)})"
                raise ValueError(msg)
        return self

    def setup_grace(self, state: State) -> timedelta:
        """How long a job may stand in a set-up state unknown to the VMA."""
        grace: timedelta = getattr(self, f"grace_{state}")
        return grace

    @property
    def fingerprint(self) -> str:
        """Short hash of all values, stamped into history."""
        return _fingerprint(self)


@lru_cache
def _fingerprint(policy: RecoveryPolicy) -> str:
    return hashlib.sha256(policy.model_dump_json().encode()).hexdigest()[:12]


DEFAULT_POLICY = RecoveryPolicy()
