"""Whatever comes over the wire, reading it gives an answer, and never an end that nobody stated."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from vma_answers import JOB, envelope, row

from fsm.states import Verdict
from vma.wire import read, read_health
from vma.wire_models import Answer, Kind, Reply

unhurried = settings(deadline=None, max_examples=200)
statuses = st.integers(100, 599) | st.sampled_from([200, 200, 404, 429, 503])
header_values = st.text(max_size=40) | st.sampled_from(["Mon, 23 Nov 2026 12:00:00 GMT", "120", "-1"])
headers = st.dictionaries(st.sampled_from(["Date", "Retry-After", "content-type", "x"]), header_values)
scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
numbers = st.sampled_from([2**63, -(2**70), 10**30, float("nan"), float("inf"), -1, 250, "42", "", 1e300])
json_values = st.recursive(
    scalars | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
WHOLE = envelope(disk_progresses=[row("disk-2000", 5, 10)], errors=[{"message": "m", "recoverable": True}])
RAW = {
    "job_id": JOB,
    "status": "running",
    "stage": "Transfer",
    "aggregate": {"percent": 5},
    "disks": [{"id": "a"}],
    "cbt": {},
}


@st.composite
def bent(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope or raw model with some fields, at any depth, replaced or gone; its words stay."""
    body = json.loads(json.dumps(draw(st.sampled_from([WHOLE, RAW]))))
    for _ in range(draw(st.integers(1, 5))):
        place = body
        while True:
            keys = sorted(set(place) - {"job_id", "status"}) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(json_values)
            break
    return body


def check_numbers(answer: Answer) -> None:
    percents = [answer.percent, *(r.percent for r in answer.disks)]
    counts = [answer.bytes_transferred, answer.total_bytes, answer.eta_seconds]
    counts += [n for r in answer.disks for n in (r.bytes_transferred, r.total_bytes)]
    assert all(p is None or 0 <= p <= 100 for p in percents)
    assert all(n is None or 0 <= n < 2**63 for n in counts)
    assert answer.rate_mib_s is None or 0 <= answer.rate_mib_s < float("inf")
    assert answer.retry_after is None or 0 <= answer.retry_after < float("inf")
    assert all(t is None or t.isprintable() for t in (answer.word, answer.phase, answer.error, answer.excerpt))
    assert answer.start_time is None or answer.start_time.utcoffset() is not None
    assert answer.server_date is None or answer.server_date.utcoffset() is not None


@unhurried
@given(statuses, headers, st.binary(max_size=300), st.booleans())
def test_any_bytes_give_an_answer_and_never_an_end(
    status: int, header: dict[str, str], body: bytes, truncated: bool
) -> None:
    reply = Reply(status, header, body, truncated)
    answer = read(JOB, reply)
    check_numbers(answer)
    assert answer.verdict not in (Verdict.COMPLETED, Verdict.FAILED)
    assert read_health(reply).error is not None


@unhurried
@given(statuses, headers, json_values)
def test_any_json_that_is_no_envelope_never_gives_a_verdict(status: int, header: dict[str, str], value: object) -> None:
    answer = read(JOB, Reply(status, header, json.dumps(value).encode()))
    check_numbers(answer)
    assert answer.verdict is None


@unhurried
@given(bent(), headers)
def test_an_envelope_with_bent_fields_still_says_what_its_status_word_says(
    body: dict[str, Any], header: dict[str, str]
) -> None:
    answer = read(JOB, Reply(200, header, json.dumps(body).encode()))
    check_numbers(answer)
    assert answer.kind is Kind.KNOWN
    assert answer.verdict is Verdict.RUNNING


@unhurried
@given(st.data())
def test_a_cut_envelope_is_unintelligible(data: st.DataObject) -> None:
    whole = json.dumps(envelope(status="completed", percentage=100)).encode()
    answer = read(JOB, Reply(200, {}, whole[: data.draw(st.integers(0, len(whole) - 1))]))
    assert (answer.kind, answer.verdict) == (Kind.UNINTELLIGIBLE, None)


def is_no_end(word: str) -> bool:
    """Hypothesis draws words of the code it tests, those of the contract among them."""
    return " ".join(word.split()).casefold() not in ("completed", "succeeded", "failed", "error")


@unhurried
@given(st.text(max_size=30).filter(is_no_end), st.text(max_size=30))
def test_words_outside_the_contract_never_end_a_job(status: str, phase: str) -> None:
    answer = read(JOB, Reply(200, {}, json.dumps(envelope(status=status, phase=phase)).encode()))
    check_numbers(answer)
    assert answer.verdict not in (Verdict.COMPLETED, Verdict.FAILED)


@unhurried
@given(st.text(max_size=30))
def test_an_envelope_speaks_for_its_own_key_only(key: str) -> None:
    answer = read(key, Reply(200, {}, json.dumps(envelope(JOB, "completed")).encode()))
    assert (answer.verdict is Verdict.COMPLETED) is (key == JOB)
