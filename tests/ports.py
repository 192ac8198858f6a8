"""Ports of a test's own: nobody else is given them, also while nobody listens there."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"


@contextmanager
def held_port() -> Iterator[int]:
    """A port for a server that may be down for a while, or not be up yet.

    A port that was free a moment ago is given to whoever listens on any, or connects to somewhere. Linux gives away
    none that is bound; servers, which allow that (SO_REUSEADDR), may listen there beside us, who do not.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, 0))
        port = int(held.getsockname()[1])
        if sys.platform != "linux":
            held.close()
        yield port
