"""The two calls a copy process makes to the OMA."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx

TIMEOUT_S = 10.0


class ChangeIdNotStoredError(Exception):
    """The OMA did not take the ChangeID of a finished disk: the copy process gives up its run."""


class Oma:
    """The OMA's ChangeID endpoints. Proxies from the environment are not used."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def known_change_id(self, oma_url: str, vm_path: str, disk_id: str) -> str | None:
        """The ChangeID of the last good copy; None if there is none or the OMA cannot say."""
        query = {"vm_path": vm_path, "disk_id": disk_id}
        try:
            answer = await self._http.get(f"{_api(oma_url)}/replications/changeid", params=query)
            said = answer.raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None
        change_id = said.get("change_id") if isinstance(said, dict) else None
        return change_id if isinstance(change_id, str) and change_id else None

    async def store_change_id(self, oma_url: str, job_id: str, disk_id: str, previous: str | None) -> None:
        """Report a disk as well copied. Raises ChangeIdNotStoredError."""
        body: dict[str, Any] = {"change_id": new_change_id(job_id, disk_id), "disk_id": disk_id}
        if previous is not None:
            body["previous_change_id"] = previous
        try:
            answer = await self._http.post(f"{_api(oma_url)}/replications/{job_id}/changeid", json=body)
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ChangeIdNotStoredError(f"the ChangeID of {disk_id} was not stored: {error}") from error

    async def close(self) -> None:
        await self._http.aclose()


def new_change_id(job_id: str, disk_id: str) -> str:
    """In VMware's form `UUID/number`; the same for the same disk of the same job."""
    return f"{uuid5(NAMESPACE_URL, f'{job_id}/{disk_id}')}/1"


def _api(oma_url: str) -> str:
    return f"{oma_url.rstrip('/')}/api/v1"
