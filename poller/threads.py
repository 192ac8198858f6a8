"""Threads for what blocks. The event loop's own are anybody's: whoever fills them keeps all others waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """So many of one's own; with one, things are done in turn."""

    def __init__(self, name: str, most: int = 1) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)

    async def run(self, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the call returns or raises. Who is cancelled meanwhile does not stop it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(what, *args, **kwargs))
