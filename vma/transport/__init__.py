"""The way to an appliance: a transport under httpx's interface that asks, and nothing else."""

from vma.transport.exchange import Exchange, TotalTimeout
from vma.transport.request import Written
from vma.transport.transport import VmaTransport

__all__ = ["Exchange", "TotalTimeout", "VmaTransport", "Written"]
