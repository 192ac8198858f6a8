"""The settings of the VMA as its client takes them."""

from api.settings import VmaSettings
from vma.access import Access
from vma.limits import VmaLimits


def limits_of(vma: VmaSettings) -> VmaLimits:
    """Times, sizes, and how much at once."""
    return VmaLimits(
        vma.connect_timeout, vma.read_timeout, vma.total_timeout, vma.max_body, vma.in_flight, vma.most_in_flight
    )


def access_of(vma: VmaSettings) -> Access:
    """Where the default appliance is, and how it is reached."""
    return Access(str(vma.url), vma.ca_file, vma.token_file, vma.cert_file, vma.key_file)
