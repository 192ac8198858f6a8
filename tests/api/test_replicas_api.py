"""Replicas over REST."""

import os
from collections.abc import Callable

import pytest
from api_stage import Stage

from api.settings import Settings

Play = Callable[..., None]


def test_a_single_service_lists_itself(play: Play) -> None:
    async def story(on: Stage) -> None:
        [me] = (await on.get("/api/v1/replicas"))["items"]
        assert (me["mode"], me["pid"], me["this"], me["polls"]) == ("single", os.getpid(), True, True)
        assert (me["alive"], me["shares"], me["slot"]) == (None, None, None)

    play(story)


@pytest.mark.parametrize(
    ("url", "replicas", "why"),
    [
        ("sqlite:///oma.db", {"mode": "database"}, "needs PostgreSQL or MariaDB"),
        ("postgresql://host/oma", {"poll": False}, "needs replicas.mode = database"),
        ("postgresql://host/oma", {"mode": "zookeeper"}, "Input should be 'single', 'database' or 'tooz'"),
    ],
)
def test_settings_with_which_replicas_cannot_work_are_refused(url: str, replicas: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings.model_validate({"database_url": url, "replicas": replicas})
