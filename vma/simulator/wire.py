"""What an update says, decoded from its body as the appliance decodes it, with the appliance's error texts."""

import json
from dataclasses import dataclass, fields
from typing import Any, NoReturn

INT64 = range(-(2**63), 2**63)

SYNTAX_PLACES = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
}


class BadBodyError(ValueError):
    """The body cannot be read as the request it should be; the text is the appliance's own."""


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """One post of a copy process. Empty, 0 or absent means "not said": the sender drops empty values."""

    stage: str = ""
    status: str = ""
    bytes_transferred: int = 0
    total_bytes: int = 0
    throughput_bps: int = 0  # bytes per second
    percent: float = 0.0
    disk_id: str = ""
    sync_type: str = ""


TYPE_NAMES = {str: "string", int: "int64", float: "float64"}
FIELD_TYPES: dict[str, type] = {field.name: type(field.default) for field in fields(ProgressUpdate)}


def decode_update(body: bytes) -> ProgressUpdate:
    """The update in `body`. `null` is an empty update; what follows the first JSON value is not read.

    Raises BadBodyError.
    """
    said = decode_object(body, "api.ProgressUpdate")
    values = {name: said[name] for name in FIELD_TYPES if said.get(name) is not None}
    for name, value in values.items():
        _check(name, value, FIELD_TYPES[name])
    return ProgressUpdate(**values)


def decode_object(body: bytes, go_type: str) -> dict[str, Any]:
    """The first JSON value in `body`, an object or null. Raises BadBodyError."""
    value = _first_value(body.decode(errors="replace").lstrip(" \t\r\n"))
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse(f"json: cannot unmarshal {_json_kind(value)} into Go value of type {go_type}")
    return value


def _first_value(text: str) -> Any:
    if not text:
        _refuse("EOF")
    try:
        return json.JSONDecoder(parse_constant=_not_a_number).raw_decode(text)[0]
    except json.JSONDecodeError as error:
        _refuse(_syntax_error(text, error))


def _syntax_error(text: str, error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Unterminated") or not text[error.pos :].strip():
        return "unexpected EOF"
    place = SYNTAX_PLACES.get(error.msg, "looking for beginning of value")
    return f"invalid character {text[error.pos]!r} {place}"


def _not_a_number(word: str) -> NoReturn:
    _refuse(f"invalid character {word[0]!r} looking for beginning of value")


def _check(name: str, value: Any, wanted: type) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    good = {
        str: isinstance(value, str),
        int: number and isinstance(value, int) and value in INT64,
        float: number,
    }[wanted]
    if not good:
        literal = f" {value}" if number and wanted is int else ""
        _refuse(
            f"json: cannot unmarshal {_json_kind(value)}{literal} into Go struct field"
            f" ProgressUpdate.{name} of type {TYPE_NAMES[wanted]}"
        )


def _json_kind(value: Any) -> str:
    kinds = {bool: "bool", str: "string", int: "number", float: "number", list: "array"}
    return kinds.get(type(value), "object")


def _refuse(text: str) -> NoReturn:
    raise BadBodyError(f"invalid request body: {text}")
