"""Over a real socket: every fault looks to a client like what it is named after."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from simulator_support import until

from vma.simulator import fault_answers
from vma.simulator.control_client import Control
from vma.simulator.faults import MODES, Fault, FaultMode, FaultSwitch
from vma.simulator.gate import SECONDS_PER_BYTE
from vma.simulator.process import SimulatorProcess

pytestmark = pytest.mark.process

KEY = "job-20261123-120000.000-abcdef"
NOT_ANSWERS = {"hang", "refuse", "reset", "cut", "slow"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess() as running:
        running.control.put_entry(KEY, [{"stage": "Transfer", "status": "in_progress", "percent": 12}])
        yield running


@pytest.fixture
def control(simulator: SimulatorProcess) -> Iterator[Control]:
    yield simulator.control
    simulator.control.no_fault()


@pytest.fixture
def data(simulator: SimulatorProcess, control: Control) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{simulator.url}/api/v1", trust_env=False, timeout=5) as client:
        yield client


def ask(data: httpx.Client, key: str = KEY) -> httpx.Response:
    return data.get(f"/progress/{key}")


@pytest.mark.parametrize(
    ("mode", "status", "text"),
    [
        ("not_found_text_200", 200, "job not found\n"),
        ("not_found_json_200", 200, f'{{"error": "job not found", "job_id": "{KEY}"}}'),
        ("empty", 200, ""),
        ("null", 200, "null\n"),
        ("no_keys", 200, '{"message":"ok"}\n'),
        ("wrong_url", 404, "404 page not found\n"),
        ("401", 401, "unauthorized\n"),
        ("500", 500, "internal server error\n"),
        ("503", 503, "service unavailable\n"),
        ("html_200", 200, fault_answers.HTML),
        ("html_404", 404, fault_answers.HTML),
        ("502", 502, fault_answers.HTML),
        ("504", 504, fault_answers.HTML),
    ],
)
def test_a_fault_answers_these_words(
    control: Control, data: httpx.Client, mode: FaultMode, status: int, text: str
) -> None:
    control.fault(mode)
    answer = ask(data)
    assert (answer.status_code, answer.text) == (status, text)
    assert "Date" in answer.headers


@pytest.mark.parametrize("mode", ["garbage", "truncated"])
def test_a_garbled_answer_is_no_json(control: Control, data: httpx.Client, mode: FaultMode) -> None:
    control.fault(mode)
    answer = ask(data)
    assert (answer.status_code, bool(answer.content)) == (200, True)
    with pytest.raises(ValueError, match=r"decode|delimiter|string|value"):
        answer.json()


@pytest.mark.parametrize(
    ("mode", "field", "value"),
    [
        ("wrong_job", "job_id", "job-20200101-000000.000-5a5a5a"),
        ("percent_string", "percentage", "49"),
        ("unknown_word", "status", "Defragmenting"),
    ],
)
def test_an_envelope_with_one_thing_wrong(
    control: Control, data: httpx.Client, mode: FaultMode, field: str, value: str
) -> None:
    control.fault(mode)
    body = ask(data).json()
    assert body[field] == value
    assert {"job_id", "status", "percentage", "timing"} <= set(body)


def test_too_many_requests_says_when_to_come_back(control: Control, data: httpx.Client) -> None:
    control.fault("429")
    assert (ask(data).status_code, ask(data).headers["Retry-After"]) == (429, "7")


def test_a_redirect_leads_away(control: Control, data: httpx.Client) -> None:
    control.fault("redirect")
    assert (ask(data).status_code, ask(data).headers["Location"]) == (302, "/login")


def test_a_huge_answer_is_over_ten_megabytes(control: Control, data: httpx.Client) -> None:
    control.fault("huge")
    assert len(ask(data).content) > 10_000_000


def test_a_hanging_appliance_accepts_and_never_answers(control: Control, data: httpx.Client) -> None:
    control.fault("hang")
    with pytest.raises(httpx.ReadTimeout):
        data.get("/health", timeout=0.2)


def test_a_refusing_appliance_is_a_closed_port_until_the_fault_is_cleared(control: Control, data: httpx.Client) -> None:
    assert ask(data).status_code == 200
    control.fault("refuse")
    with pytest.raises(httpx.ConnectError, match="refused"):
        ask(data)
    control.no_fault()
    assert ask(data).json()["percentage"] == 12


def test_another_fault_opens_a_refusing_port(control: Control, data: httpx.Client) -> None:
    control.fault("refuse")
    control.fault("503")
    assert ask(data).status_code == 503


def test_a_request_under_way_is_dropped_without_an_answer_when_the_port_closes(
    control: Control, data: httpx.Client
) -> None:
    control.clear_requests()
    control.fault("hang")
    ends: list[object] = []

    def wait_for_an_answer() -> None:
        try:
            ends.append(ask(data))
        except httpx.TransportError as error:
            ends.append(str(error))

    asking = threading.Thread(target=wait_for_an_answer)
    asking.start()
    until(lambda: control.requests().total)
    control.fault("refuse")
    asking.join()
    assert ends == ["Server disconnected without sending a response."]


def test_a_reset_closes_before_the_first_byte(control: Control, data: httpx.Client) -> None:
    control.fault("reset")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        ask(data)


def test_a_cut_closes_in_the_middle_of_the_body(control: Control, data: httpx.Client) -> None:
    control.fault("cut")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        ask(data)


def test_a_slow_answer_gives_one_byte_and_then_takes_its_time(control: Control, data: httpx.Client) -> None:
    control.fault("slow")
    began, said = time.monotonic(), b""
    with data.stream("GET", f"/progress/{KEY}") as answer:
        for part in answer.iter_raw():
            said += part
            if len(said) > 1:
                break
    assert (answer.status_code, said[:2]) == (200, b'{"')
    assert time.monotonic() - began > 0.9 * SECONDS_PER_BYTE


def test_a_fault_for_one_key_leaves_the_others_alone(control: Control, data: httpx.Client) -> None:
    control.fault("500", keys=["job-other"])
    assert ask(data, "job-other").status_code == 500
    assert ask(data).status_code == 200
    assert data.get("/health").status_code == 200


def test_a_fault_for_two_times_goes_off_by_itself(control: Control, data: httpx.Client) -> None:
    control.fault("503", times=2)
    assert [ask(data).status_code for _ in range(3)] == [503, 503, 200]


def test_an_unknown_fault_is_refused_with_the_list_of_those_there_are(simulator: SimulatorProcess) -> None:
    url = f"{simulator.control_url}/control/faults"
    answer = httpx.put(url, json={"mode": "flood"}, trust_env=False)
    assert answer.status_code == 422
    assert all(f"'{mode}'" in answer.json()["detail"][0]["msg"] for mode in MODES)


def test_refuse_for_some_keys_is_impossible_and_says_so() -> None:
    with pytest.raises(ValueError, match="neither keys nor times"):
        Fault(mode="refuse", keys=["job-a"])


def test_every_mode_either_answers_or_acts_on_the_connection() -> None:
    assert set(fault_answers.ANSWERS) == set(MODES) - NOT_ANSWERS


def test_a_fault_for_some_keys_spares_requests_that_are_not_about_progress() -> None:
    switch = FaultSwitch()
    switch.set(Fault(mode="500", keys=["job-a"], times=1))
    assert [switch.strike(None), switch.strike("job-a"), switch.strike("job-a")] == [None, "500", None]


def test_the_invented_envelope_is_about_the_key_that_was_asked() -> None:
    body = fault_answers.plausible("job-z", datetime(2026, 11, 23, tzinfo=UTC))
    assert (body["job_id"], body["percentage"]) == ("job-z", 49)
