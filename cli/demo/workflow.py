"""The OMA's workflow, played over REST: what the embedding service does with its own code."""

from typing import Any
from uuid import uuid4

import httpx

from cli.demo.cast import Actor


class Workflow:
    """Creates jobs, brings them forward, and starts the copies on the VMA, as the OMA would."""

    def __init__(self, oma_url: str, vma_url: str) -> None:
        self._oma_url = oma_url
        self.oma = httpx.Client(base_url=f"{oma_url}/api/v1", timeout=5.0, trust_env=False)
        self.vma = httpx.Client(base_url=f"{vma_url}/api/v1", timeout=5.0, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self.oma.close()
        self.vma.close()

    def create(self, actor: Actor) -> str:
        """Create the job and attach its volumes; its id."""
        body = {
            "vm_name": actor.name,
            "vmware_vm_id": f"vm-{actor.name}",
            "vm_path": actor.vm_path,
            "vcenter_host": "vcenter.example",
            "disks": [
                {"disk_id": disk, "capacity_bytes": size}
                for disk, size in zip(actor.disk_ids, actor.sizes, strict=True)
            ],
        }
        job_id: str = self._do(self.oma.post("/replications", json=body))["job_id"]
        self.fire(job_id, "attach")
        for disk in actor.disk_ids:
            volume = {"volume_id": str(uuid4()), "volume_name": f"{actor.name}-{disk}"}
            self._do(self.oma.put(f"/replications/{job_id}/disks/{disk}/volume", json=volume))
        return job_id

    def start(self, job_id: str, actor: Actor) -> None:
        """Start the copy on the VMA and say so."""
        self.fire(job_id, "ready")
        exports = {disk["disk_id"]: disk["export_name"] for disk in self.job(job_id)["disks"]}
        body = {
            "job_id": job_id,
            "vcenter": "vcenter.example",
            "username": "demo",
            "password": "demo",
            "vm_paths": [actor.vm_path],
            "oma_url": self._oma_url,
            "nbd_targets": [
                {"disk_id": disk, "nbd_url": f"nbd://127.0.0.1:10809/{exports[disk]}", "size_bytes": size}
                for disk, size in zip(actor.disk_ids, actor.sizes, strict=True)
            ],
        }
        self._do(self.vma.post("/replicate", json=body))
        self.fire(job_id, "start")

    def fire(self, job_id: str, event: str) -> None:
        """Fire an event of the workflow."""
        self._do(self.oma.post(f"/replications/{job_id}/events/{event}"))

    def job(self, job_id: str) -> dict[str, Any]:
        """One job as the API shows it."""
        return self._do(self.oma.get(f"/replications/{job_id}"))

    def history(self, job_id: str) -> list[dict[str, Any]]:
        """Its decisions, first to last."""
        items: list[dict[str, Any]] = self._do(self.oma.get(f"/replications/{job_id}/history"))["items"]
        return items

    def _do(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
        body: dict[str, Any] = answer.json()
        return body
