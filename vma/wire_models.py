"""A reply as it came over the wire, and the answer that was read from it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from fsm.evidence import KeyEntry
from fsm.states import Verdict
from vma.fields import clean
from vma.words import Meaning, may_be_left_standing, meaning_of

EXCERPT: Final = 2000  # characters


class Reply(Struct, frozen=True, gc=False):
    """One HTTP response. `truncated` if the body was longer than we were willing to read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        wanted = name.lower()
        if wanted in self.headers:
            return self.headers[wanted]
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)


class Generation(StrEnum):
    """In which shape an appliance answers. It is judged by the answer: appliances do not tell their release."""

    ENVELOPE = "envelope"  # current appliances
    OLD_ENVELOPE = "old envelope"  # the same with sizes in float gigabytes and errors as objects
    RAW_MODEL = "raw model"


class Kind(StrEnum):
    """What a reply amounts to, before anybody asks what it means for a job."""

    KNOWN = "known"  # the VMA has an entry under the key
    NOT_FOUND = "not_found"  # the VMA itself says that it has none
    UNREACHABLE = "unreachable"  # nothing came from the VMA
    UNINTELLIGIBLE = "unintelligible"  # something came, but it says nothing about the key


class DiskRow(Struct, frozen=True, gc=False):
    """One row of `disk_progresses`. Bytes; percent 0-100; None = not said, or too odd to use."""

    disk_id: str
    bytes_transferred: int | None = None
    total_bytes: int | None = None
    percent: float | None = None
    word: str = ""

    @property
    def meaning(self) -> Meaning | None:
        """What its status word means; None if unknown. A finished disk may still say that it is copying."""
        return meaning_of(self.word)

    @property
    def short(self) -> bool:
        """True if it is seen short of its total."""
        return self.bytes_transferred is not None and self.bytes_transferred < (self.total_bytes or 0)

    @property
    def full(self) -> bool:
        """True if all its bytes are seen to be transferred."""
        return (self.bytes_transferred or 0) >= (self.total_bytes or 0) > 0


class Answer(Struct, frozen=True, gc=False):
    """What the VMA's reply under one key says. Bytes, MiB/s, seconds, percent 0-100, aware UTC; None = not said.

    All texts are bounded and free of control characters. `error` is the VMA's own reason if it says
    failed, and ours for everything that is not known. `server_date` and `start_time` are by the VMA's
    clock and may only be compared with each other.
    """

    key: str
    kind: Kind
    http_status: int | None = None
    word: str = ""
    meaning: Meaning | None = None
    phase: str | None = None
    operation: str | None = None
    sync_type: str | None = None
    bytes_transferred: int | None = None
    total_bytes: int | None = None
    percent: float | None = None
    rate_mib_s: float | None = None
    eta_seconds: int | None = None
    start_time: datetime | None = None
    server_date: datetime | None = None
    disks: tuple[DiskRow, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
    refused: bool = False  # 401 or 403
    retry_after: float | None = None  # as asked for, uncapped
    generation: Generation | None = None  # of a known entry
    body: bytes = b""  # as received, for the record of an error

    @property
    def verdict(self) -> Verdict | None:
        """running, completed or failed if the key is known; otherwise None."""
        return self.meaning.verdict if self.kind is Kind.KNOWN and self.meaning else None

    @property
    def excerpt(self) -> str:
        """The beginning of the raw body, in one harmless line."""
        return clean(self.body[: EXCERPT * 2].decode("utf-8", errors="replace").strip(), EXCERPT)

    @property
    def entry(self) -> KeyEntry | None:
        """What to remember of the key, to see later whether it changed; None if the reply was not understood."""
        if self.kind is Kind.NOT_FOUND:
            return KeyEntry(absent=True)
        if self.kind is Kind.KNOWN:
            return KeyEntry(False, self.start_time, self.word, self.bytes_transferred, self.percent)
        return None

    def counted(self, percent: float | None) -> float | None:
        """A percentage of this answer, if it is one of bytes copied; those of set-up steps count nothing."""
        copies = (meaning_of(self.phase) or self.meaning) in (Meaning.COPYING, Meaning.DONE)
        if percent is None or not copies or may_be_left_standing(self.phase, percent):
            return None
        return percent
