"""Answers that take the same time, whatever they find: what is quick would tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Stopwatch:
    """Measures from its making. Handlers make one first thing and wait on it last."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    async def reach(self, milliseconds: float) -> None:
        """Wait until so much time has passed since the start."""
        await asyncio.sleep(max(0.0, self._start + milliseconds / 1000 - time.monotonic()))


@asynccontextmanager
async def at_least(milliseconds: float) -> AsyncIterator[None]:
    """Make what happens inside, also a failure, take at least so long."""
    watch = Stopwatch()
    try:
        yield
    finally:
        await watch.reach(milliseconds)
