"""Only the address of an appliance is accepted, and the complaint says what is wrong with another."""

import pytest

from vma.address import checked_base_url
from vma.client import VmaClient


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:9081", "http://localhost:9081"),
        ("https://vma.example/", "https://vma.example"),
        ("http://10.0.0.7:8081/tunnel/", "http://10.0.0.7:8081/tunnel"),
        ("http://[::1]:9081", "http://[::1]:9081"),
    ],
)
def test_an_address_is_accepted(url: str, base: str) -> None:
    assert checked_base_url(url) == base


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file:///etc/passwd", "the scheme must be http or https, not 'file'"),
        ("ftp://vma", "the scheme must be http or https, not 'ftp'"),
        ("localhost:9081", "the scheme must be http or https"),
        ("", "the scheme must be http or https"),
        ("http://", "the host is missing"),
        ("http://:9081", "the host is missing"),
        ("http://admin@vma", "credentials are not allowed"),
        ("http://vma:0", "the port must be 1 to 65535"),
        ("http://vma:99999", "Port out of range"),
        ("http://vma:x", "Port could not be cast"),
        ("http://vma?x=1", "a query or fragment is not allowed"),
        ("http://vma#", "a query or fragment is not allowed"),
        ("http://vma /", "spaces or control characters"),
        ("http://vma\n", "spaces or control characters"),
        ("http://vma\\@evil", "spaces or control characters"),
        ("http://169.254.169.254/", "link-local addresses are not allowed"),
        ("http://[fe80::1]", "link-local addresses are not allowed"),
        ("http://[::ffff:169.254.169.254]", "link-local addresses are not allowed"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_an_address_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="^VMA address .*" + complaint):
        checked_base_url(url)


def test_the_complaint_does_not_repeat_credentials() -> None:
    with pytest.raises(ValueError, match="credentials are not allowed") as refused:
        VmaClient("http://admin:hunter2@vma:9081")
    assert "hunter2" not in str(refused.value)
    assert "admin" not in str(refused.value)
