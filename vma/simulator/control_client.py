"""The control API from Python: for tests and the demo."""

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from vma.simulator.faults import Fault, FaultMode
from vma.simulator.plans import Plan
from vma.simulator.records import CopyView
from vma.simulator.requests_log import Requests

TIMEOUT_S = 10.0


class ControlError(Exception):
    """The simulator refused a command; the text is its reason."""


class Control:
    """One control port. Every method raises ControlError if refused, httpx.TransportError if nobody answers."""

    def __init__(self, control_url: str) -> None:
        self._http = httpx.Client(base_url=f"{control_url}/control", timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def plan(self, job_id: str, plan: Plan) -> None:
        """How the copy of this job will run; before its /replicate."""
        self._do("PUT", f"/plans/{job_id}", plan.model_dump(mode="json"))

    def default_plan(self, plan: Plan) -> None:
        """How copies without a plan of their own will run."""
        self._do("PUT", "/default-plan", plan.model_dump(mode="json"))

    def copies(self) -> list[CopyView]:
        return [CopyView.model_validate(copy) for copy in self._do("GET", "/copies").json()]

    def copy(self, job_id: str) -> CopyView | None:
        return next((copy for copy in self.copies() if copy.job_id == job_id), None)

    def fail(self, job_id: str, message: str = "failed by command") -> CopyView:
        return self._command(job_id, "fail", {"message": message})

    def hang(self, job_id: str) -> CopyView:
        return self._command(job_id, "hang")

    def resume(self, job_id: str) -> CopyView:
        return self._command(job_id, "resume")

    def kill(self, job_id: str) -> CopyView:
        return self._command(job_id, "kill")

    def finish(self, job_id: str) -> CopyView:
        return self._command(job_id, "finish")

    def forget(self, keys: Sequence[str] | None = None, *, copies_survive: bool = True) -> None:
        """Lose the map (or these keys), as a restarted appliance does."""
        lost = None if keys is None else list(keys)
        self._do("POST", "/forget", {"keys": lost, "copies_survive": copies_survive})

    def fault(self, mode: FaultMode, keys: Sequence[str] | None = None, times: int | None = None) -> None:
        """Switch a fault on, in place of the one there was."""
        fault = Fault(mode=mode, keys=None if keys is None else list(keys), times=times)
        self._do("PUT", "/faults", fault.model_dump(mode="json"))

    def no_fault(self) -> None:
        self._do("DELETE", "/faults")

    def put_entry(
        self,
        key: str,
        updates: Sequence[dict[str, Any]],
        start_time: datetime | None = None,
        *,
        fresh: bool = True,
    ) -> None:
        """Post `updates` under `key` and backdate the entry: such as one left over from last week's run."""
        began = None if start_time is None else start_time.isoformat()
        body = {"updates": list(updates), "start_time": began, "fresh": fresh}
        self._do("PUT", f"/entries/{key}", body)

    def put_raw(self, key: str, body: dict[str, Any]) -> None:
        """Answer `body` word for word."""
        self._do("PUT", f"/entries/{key}", {"raw": body})

    def entries(self) -> list[str]:
        """The keys the progress map knows."""
        keys: list[str] = self._do("GET", "/entries").json()
        return keys

    def requests(self) -> Requests:
        """Who was asked on the data port."""
        return Requests.model_validate(self._do("GET", "/requests").json())

    def clear_requests(self) -> None:
        self._do("DELETE", "/requests")

    def _command(self, job_id: str, command: str, body: dict[str, Any] | None = None) -> CopyView:
        return CopyView.model_validate(self._do("POST", f"/copies/{job_id}/{command}", body).json())

    def _do(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        answer = self._http.request(method, path, json=body)
        if answer.is_error:
            raise ControlError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer
