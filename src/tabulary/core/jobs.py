"""Work that goes on after the answer to the request that asked for it: imports and exports in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("tabulary.jobs")


class Jobs:
    """The jobs of one Tabulary object. They report their own failures; what escapes them is logged."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin a job that nobody waits for."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def drain(self, within: float | None = None) -> None:
        """Wait for the jobs under way, at most ``within`` seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=within)

    async def close(self, within: float = 5) -> None:
        """Wait for the jobs under way for a while, then stop those that are left."""
        await self.drain(within)
        for task in self._running:
            task.cancel()
        await self.drain()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("a job in the background failed", exc_info=problem)
