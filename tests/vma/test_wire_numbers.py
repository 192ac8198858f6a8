"""Numbers that JSON, or the standard library's idea of it, allows and no appliance means."""

import json

import pytest
from vma_answers import JOB, envelope, ok

from vma.wire import read
from vma.wire_models import Kind


@pytest.mark.parametrize(
    ("number", "percent", "note"),
    [
        (10**20 - 1, 100.0, f"percentage is {10**20 - 1}: taken for 100"),
        (10**20, None, "percentage is inf: ignored"),
        (10**4000, None, "percentage is inf: ignored"),
        (-(10**19), None, "percentage is inf: ignored"),
    ],
)
def test_a_whole_number_of_more_than_twenty_characters_counts_infinite(
    number: int, percent: float | None, note: str
) -> None:
    answer = read(JOB, ok(envelope(percentage=number)))
    assert (answer.kind, answer.percent, answer.warnings) == (Kind.KNOWN, percent, (note,))


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", "1e999", '"\\ud800"', "9" * 5000])
def test_what_only_the_standard_library_takes_for_json_is_still_read(odd: str) -> None:
    body = json.dumps(envelope(bytes_transferred=7)).replace('"percentage": 0', f'"percentage": {odd}')
    answer = read(JOB, ok(body.encode()))
    assert (answer.kind, answer.bytes_transferred, answer.percent) == (Kind.KNOWN, 7, None)
    assert answer.warnings[0].startswith("percentage is ")
