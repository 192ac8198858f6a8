"""What an OMA left behind is shown over REST, whatever is missing in it."""

import asyncio

import httpx
from oma_world import NOW, ZONE, job, statuses
from sqlalchemy import Engine

from api.app import create_app
from api.facade import OmaFsm
from api.settings import Settings, VmaSettings
from migrations.adopt import adopt

NOWHERE = VmaSettings.model_validate({"url": "http://127.0.0.1:1"})
OF_ALL = ("replications", "vma-polling/status", "job-recovery/status", "diagrams/fleet")
OF_ONE = ("replications/{}", "replications/{}/history", "replications/{}/refusals", "replications/{}/diagram",
          "vma-polling/jobs/{}")  # fmt: skip


def test_every_job_of_an_oma_can_be_looked_at(oma: Engine) -> None:
    job(oma, "ageless", "replicating", created_at=None, updated_at=None, started_at=None)
    adopt(oma, ZONE, NOW)
    paths = [*OF_ALL, *(path.format(job_id) for path in OF_ONE for job_id in statuses(oma))]

    async def story() -> dict[str, int]:
        app = create_app(OmaFsm(Settings(database_url=oma.url.render_as_string(hide_password=False), vma=NOWHERE)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://oma")
        async with app.router.lifespan_context(app), client as http:
            return {path: (await http.get(f"/api/v1/{path}")).status_code for path in paths}

    found = asyncio.run(story())
    assert {path: code for path, code in found.items() if code != 200} == {}
