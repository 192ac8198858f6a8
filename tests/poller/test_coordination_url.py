"""Which coordination servers are refused and why, and what of an URL is shown."""

import sys

import pytest

from poller.by_members import dealt
from poller.coordination import CoordinationUrlError, Group
from poller.coordination_url import redacted, refusal


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@host:6379/0", "redis://host?sentinel=main&sentinel_password=secret", "redis:///run/redis.sock",
        "redis://[::1]:6379", "redis://me:a%2Fb@[::1]",
        "etcd3+http://host:2379", "etcd3+https://host", "zookeeper://one:2181,two:2181", "kazoo://host",
    ],
)  # fmt: skip
def test_servers_that_forget_the_dead_are_taken(url: str) -> None:
    assert refusal(url) is None
    assert "secret" not in redacted(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///var/lib/oma", "it is of one host"),
        ("ipc://", "it is of one host"),
        ("memcached://host", "forgets who lives whenever its memory is short"),
        ("postgresql://u:secret@host/db", "set replicas.mode = database"),
        ("mysql://u:secret@host/db", "set replicas.mode = database"),
        ("kubernetes://", "only locks"),
        ("amqp://host", "must be the URL of a coordination server: redis://"),
        ("host:6379", "must be the URL of a coordination server"),
        ("redis://:secret@", "names no host"),
        ("redis://[::1", "no URL"),
        ("redis://:secret/secret@host:6379", "%2F"),
        ("redis://me:1/secret@host:6379", "%2F"),
        ("redis://:secret?secret@host:6379", "%3F"),
        ("redis://:secret#secret@host:6379", "%23"),
        ("", "must be the URL"),
    ],
)
def test_what_cannot_coordinate_is_refused_with_the_reason_and_without_its_secrets(url: str, why: str) -> None:
    assert why in str(refusal(url))
    assert "secret" not in str(refusal(url))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:p@ss@host:1/0", "redis://:***@host:1/0"),
        ("redis://me:p%40ss@host", "redis://me:***@host"),
        ("redis://me@host", "redis://me@host"),
        ("zookeeper://a,b?keyfile_password=x&timeout=3", "zookeeper://a,b?keyfile_password=***&timeout=3"),
        ("me:secret@host", "(not a URL)"),
        ("redis://:p/s@host:1/0", "redis://:***@host:1/0"),
        ("redis://me:p#s?s@host", "redis://me:***@host"),
        ("redis://host:1?sentinel_password=p@s&db=1", "redis://host:1?sentinel_password=***&db=1"),
    ],
)
def test_an_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    ("url", "package"), [("etcd3+http://host", "tooz[etcd3gw]"), ("redis://host", "oma-fsm[tooz]")]
)
def test_what_is_not_installed_is_told_with_the_command(
    url: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "etcd3gw", None)
    if "redis" in url:
        monkeypatch.setitem(sys.modules, "tooz.coordination", None)
    with pytest.raises(CoordinationUrlError) as refused:
        Group(url, "me", {})
    assert f"pip install '{package}'" in str(refused.value)


# --- who gets which share -------------------------------------------------------------------------------


def names(count: int) -> frozenset[str]:
    return frozenset(f"replica-{n}" for n in range(count))


@pytest.mark.parametrize(("members", "most"), [(1, 64), (2, 32), (3, 22), (5, 13), (32, 2)])
def test_every_share_is_dealt_and_nobody_gets_more_than_a_fair_part(members: int, most: int) -> None:
    holders = dealt(names(members))
    assert len(holders) == 64
    assert max(map(holders.count, names(members))) == most


@pytest.mark.parametrize("members", [2, 3, 5])
def test_most_shares_stay_where_they_are_when_one_comes_or_goes(members: int) -> None:
    before, after = dealt(names(members)), dealt(names(members + 1))
    moved = sum(one != other for one, other in zip(before, after, strict=True))
    assert moved <= 64 / (members + 1) * 1.5


def test_nobody_gets_anything_if_nobody_polls() -> None:
    assert dealt(frozenset()) == ()
