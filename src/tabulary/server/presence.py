"""Reads whose client has gone away end, and their statements with them: nobody waits for the answer.

Only reads that take long are watched, so that the others pay for a timer and nothing else. Writes are never broken off:
their client may have gone for lack of patience, but it has asked for a change.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

from tabulary.server.body import Disconnected

PATIENCE = 0.5
"""Seconds that a read takes before anybody looks whether its client is still there."""


class Presence:
    """Around the work for one request without a body. Raises :class:`Disconnected` when the client has gone."""

    __slots__ = ("_gone", "_listening", "_receive", "_task", "_timer")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()
        if self._gone and self._task is not None:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise Disconnected from None

    def _begin(self) -> None:
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self._gone = True
            self._task.cancel()
