"""Which fault is on, and for whom. What a fault answers is in `fault_answers`."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

FaultMode = Literal[
    "hang",  # accepted, never answered
    "refuse",  # the data port is closed
    "reset",  # accepted, then closed without a byte
    "cut",  # closed in the middle of the body
    "slow",  # the true answer, one byte per second
    "not_found_text_200",
    "not_found_json_200",
    "garbage",
    "empty",
    "null",
    "truncated",  # half an envelope, framed as if whole
    "html_200",
    "html_404",
    "wrong_url",  # 404 page not found
    "401",
    "429",
    "500",
    "502",
    "503",
    "504",
    "redirect",
    "huge",
    "wrong_job",
    "no_keys",
    "percent_string",
    "unknown_word",
]
MODES: tuple[str, ...] = get_args(FaultMode)


class Fault(BaseModel):
    """A fault on the data port. `keys` limits it to these progress keys, `times` to so many requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: FaultMode
    keys: list[str] | None = None
    times: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _a_closed_port_sees_no_requests(self) -> "Fault":
        if self.mode == "refuse" and (self.keys is not None or self.times is not None):
            raise ValueError("refuse closes the port for everybody: it takes neither keys nor times")
        return self


class FaultSwitch:
    """At most one fault at a time; it goes off by itself when its `times` are used up."""

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._left: int | None = None

    def set(self, fault: Fault | None) -> None:
        self._fault = fault
        self._left = fault.times if fault else None

    @property
    def current(self) -> Fault | None:
        return self._fault

    def strike(self, key: str | None) -> FaultMode | None:
        """The fault for one request, which counts against its `times`; `key` None: not about progress."""
        fault = self._fault
        if fault is None or (fault.keys is not None and key not in fault.keys):
            return None
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.set(None)
        return fault.mode
