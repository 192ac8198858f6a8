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
        ("sqlite:///oma.db", {"mode": "tooz", "coordination_url": "redis://host"}, "needs PostgreSQL or MariaDB"),
        ("postgresql://host/oma", {"poll": False}, "needs replicas.mode = database or tooz"),
        ("postgresql://host/oma", {"mode": "tooz"}, "tooz needs replicas.coordination_url: redis://host:6379, etcd3"),
        ("postgresql://host/oma", {"mode": "tooz", "coordination_url": "memcached://host"}, "whenever its memory is"),
        ("postgresql://host/oma", {"coordination_url": "redis://host"}, "is read in replicas.mode = tooz only"),
        ("postgresql://host/oma", {"mode": "zookeeper"}, "Input should be 'single', 'database' or 'tooz'"),
    ],
)
def test_settings_with_which_replicas_cannot_work_are_refused(url: str, replicas: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings.model_validate({"database_url": url, "replicas": replicas})


def test_a_refused_setting_does_not_show_the_secret_of_the_coordination_server() -> None:
    replicas = {"mode": "tooz", "coordination_url": "mysql://oma:not-to-be-shown@host"}
    with pytest.raises(ValueError, match=r"set replicas\.mode = database") as refused:
        Settings.model_validate({"database_url": "postgresql://host/oma", "replicas": replicas})
    assert "not-to-be-shown" not in str(refused.value)
    allowed = Settings.model_validate(
        {
            "database_url": "postgresql://host/oma",
            "replicas": replicas | {"coordination_url": "redis://:not-to-be-shown@host"},
        }
    )
    assert "not-to-be-shown" not in repr(allowed)
