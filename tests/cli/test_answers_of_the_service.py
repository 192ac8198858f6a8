"""What the commands that speak to the running service make of answers that they did not expect."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli.main import app

URL = "http://oma.example:8477"
ANY = ("recover", "--dry-run"), ("recover",), ("polling",), ("polling", "job-1")


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has whatever is asked answered with this, or with the next of these; the last one for ever."""
    client = httpx.Client

    def answer(*bodies: Any, status: int = 200) -> None:
        waiting = list(bodies)

        def handle(_: httpx.Request) -> httpx.Response:
            return httpx.Response(status, json=waiting.pop(0) if len(waiting) > 1 else waiting[0])

        monkeypatch.setattr(httpx, "Client", partial(client, transport=httpx.MockTransport(handle)))

    return answer


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--service", URL], env={"COLUMNS": "200"})


@pytest.mark.parametrize("command", ANY, ids=" ".join)
@pytest.mark.parametrize(
    ("status", "body"),
    [(404, {"detail": "Not Found"}), (404, {"error": "not_found", "message": "Not Found"}), (401, {}), (503, None),
     (200, {"cluster": "elastic"}), (200, []), (200, "ok"), (500, {"error": "x"}), (500, {"message": 5})],
)  # fmt: skip
def test_json_of_another_program_is_told_apart(
    says: Callable[..., None], command: tuple[str, ...], status: int, body: object
) -> None:
    says(body, status=status)
    answer = run(*command)
    assert (answer.exit_code, f"{URL} is not this service" in answer.output) == (2, True), answer.output


@pytest.mark.parametrize("command", ANY, ids=" ".join)
def test_a_service_that_waits_for_its_database_is_not_said_to_be_away(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def hang(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(hang)))
    answer = run(*command)
    assert (answer.exit_code, "is it running?" in answer.output) == (2, False)
    assert answer.output == (
        f"oma-fsm: the service at {URL} has not answered within 60 s, and may still do what it was asked;"
        f" {URL}/readyz says whether its database does\n"
    )


def test_a_refusal_is_shown_as_it_was_said(says: Callable[..., None]) -> None:
    says({"error": "recovery_running", "message": "recovery run 7 is under way", "run_id": 7}, status=409)
    answer = run("recover")
    assert (answer.exit_code, answer.output) == (2, "oma-fsm: recovery run 7 is under way\n")


def recorded(looked_at: int) -> dict[str, Any]:
    outcomes = {"running": looked_at} if looked_at else {}
    return {"run_id": 7, "finished_at": "2026-03-02T12:00:00Z", "jobs": 5, "looked_at": looked_at,
            "outcomes": outcomes, "seconds_to_answer": None}  # fmt: skip


@pytest.mark.parametrize(
    ("looked_at", "code", "said"),
    [(5, 0, "recovery 7: 5 jobs; 5 running"), (2, 1, "recovery 7 was cut off after 2 of 5 jobs: its service ended")],
)
def test_a_run_whose_service_ended_is_not_shown_as_one_that_came_to_its_end(
    says: Callable[..., None], looked_at: int, code: int, said: str
) -> None:
    says({"run_id": 7, "jobs": 5}, {"runs": [recorded(looked_at)], "in_recovery": None})
    answer = run("recover")
    assert (answer.exit_code, said in answer.output) == (code, True), answer.output
    assert answer.output == answer.output.lstrip(), "without a terminal there is no place for a bar"


def test_a_run_that_the_service_has_no_record_of_is_not_waited_for(says: Callable[..., None]) -> None:
    says({"run_id": 8, "jobs": 5}, {"runs": [recorded(5)], "in_recovery": None})
    answer = run("recover")
    assert (answer.exit_code, "nothing is known of recovery 8 any more" in answer.output) == (1, True), answer.output
