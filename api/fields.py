"""The kinds of value that requests carry, with what the columns and the VMA's URLs allow."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from db.event_keys import LONGEST
from fsm.explain import ASKABLE
from fsm.states import Event

# What may be asked for: a job is created by a POST of its own, and evidence comes from the VMA alone.
PUBLIC_EVENTS: Final = ASKABLE
MAX_DISKS: Final = 256
MAX_CAPACITY: Final = 1 << 50  # bytes; the sum over all disks still fits a bigint column


def _storable(text: str) -> str:
    """NUL is a character that databases refuse; the length check before this one refuses unpaired surrogates."""
    if "\x00" in text:
        raise PydanticCustomError("unstorable_text", "text must not contain NUL")
    return text


def _public_event(event: str) -> Event:
    for known in PUBLIC_EVENTS:
        if known.value == event:
            return known
    names = ", ".join(PUBLIC_EVENTS)
    raise PydanticCustomError("unknown_event", "event must be one of {names}", {"names": names})


def _id(longest: int) -> StringConstraints:
    """Ids become parts of URLs at the VMA: letters, digits, dot, dash and underscore, and no dot in front."""
    return StringConstraints(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{longest - 1}}}$")


Storable = AfterValidator(_storable)
JobId = Annotated[str, _id(191), Field(description="the job's id", examples=["job-20251003-140000.123-a1b2c3"])]
DiskId = Annotated[str, _id(191), Field(description="VMware's id of the disk", examples=["disk-2000"])]
VolumeId = Annotated[str, _id(191), Field(description="CloudStack's id of the volume, a UUID")]
ContextId = Annotated[str, _id(64), Field(description="id of the VM context")]
ChangeId = Annotated[str, StringConstraints(min_length=1, max_length=1000), Storable]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255), Storable]
VmPath = Annotated[str, StringConstraints(min_length=1, max_length=500), Storable]
Label = Annotated[str, StringConstraints(max_length=255), Storable]
Path = Annotated[str, StringConstraints(max_length=1000), Storable]
Reason = Annotated[str, StringConstraints(max_length=4000), Storable]
Capacity = Annotated[int, Field(ge=0, le=MAX_CAPACITY, description="bytes")]
EventKey = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST), Storable]
PublicEvent = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(_public_event),
    WithJsonSchema({"type": "string", "enum": [e.value for e in PUBLIC_EVENTS]}),
]
