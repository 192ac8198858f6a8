"""How an appliance may be reached: what is configured is checked before anything is asked."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from raw_server import json_response, serving
from test_transport_tls import LOOPBACK, serving_tls
from vma_answers import JOB, envelope, question

from fsm.states import Verdict
from vma.access import Access, AccessError, checked
from vma.client import VmaClient


@pytest.mark.parametrize(
    ("url", "hosts", "why"),
    [
        ("ftp://vma", (), "scheme must be http or https"),
        ("http://u:p@vma", (), "credentials are not allowed"),
        ("http://169.254.169.254", (), "link-local"),
        ("http://other.example", ("vma-*.example",), "host other.example is not one of those allowed: vma-*.example"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused_by_the_name_of_its_appliance(
    url: str, hosts: tuple[str, ...], why: str
) -> None:
    with pytest.raises(AccessError, match=r"appliance vma-2: ") as refused:
        checked("vma-2", url, hosts)
    assert why in str(refused.value)


def test_hosts_are_allowed_by_pattern_whatever_their_case() -> None:
    assert checked("a", "http://VMA-7.Example:9081/", ("vma-?.example",)) == "http://VMA-7.Example:9081"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"cert_file": "/c"}, "needs both its files"),
        ({"ca_file": "/no/such"}, "No such file"),
        ({"cert_file": "/no/such", "key_file": "/no/such"}, "No such file"),
        ({"token_file": "/no/such"}, "token file /no/such"),
    ],
)
def test_files_that_are_not_there_are_named(files: dict[str, Any], why: str) -> None:
    with pytest.raises(AccessError, match=f"appliance vma-2: .*{why}"):
        Access("https://vma", **files).check("vma-2")


@pytest.mark.parametrize("token", ["", "two words", "x" * 5000, "tab\there"])
def test_a_token_file_holds_one_token(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(AccessError, match="does not hold one token") as refused:
        Access("https://vma", token_file=str(file)).check("vma-2")
    assert token.strip() == "" or token not in str(refused.value)


@pytest.mark.parametrize("field", ["ca_file", "token_file"])
def test_without_tls_a_token_is_not_sent(tmp_path: Path, field: str) -> None:
    with pytest.raises(AccessError, match="is not https"):
        Access("http://vma", **{field: str(tmp_path)}).check("vma-2")


def test_a_pinned_authority_is_the_only_one() -> None:
    assert len(Access("https://vma", ca_file=str(LOOPBACK)).tls("vma-2").get_ca_certs()) == 1  # type: ignore[union-attr]
    assert Access("http://vma").tls("vma-2") is None


def test_an_appliance_behind_tls_is_asked_with_its_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")

    async def run() -> None:
        answer = json_response(envelope(JOB))
        async with serving_tls(answer) as url:
            client = VmaClient(Access(url, ca_file=str(LOOPBACK), token_file=str(token)), name="vma-2")
            assert (await client.ask(question())).verdict is Verdict.RUNNING
            assert b"authorization: Bearer s3cret" in client._progress_of(JOB).message
            await client.aclose()
            client = VmaClient(Access(url), name="vma-2")
            evidence = await client.ask(question())
            assert evidence.verdict is Verdict.UNREACHABLE
            assert "certificate" in (evidence.error or "")
            await client.aclose()

    asyncio.run(run())


def test_without_a_token_no_authorisation_is_sent() -> None:
    async def run() -> str:
        async with serving({JOB: json_response(envelope(JOB))}) as server:
            client = VmaClient(server.url)
            await client.ask(question())
            await client.aclose()
            return server.heads[0].lower()

    assert "authorization" not in asyncio.run(run())


def test_tls_is_at_least_1_2() -> None:
    context = Access("https://vma").tls("vma-2")
    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
