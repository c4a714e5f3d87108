"""A pool of anything that is slow to open: last in, first out, bounded, with fair and limited waiting.

Releasing is synchronous and costs nothing: no reset round trip. A thing that is broken or in an unknown state is
thrown away and its place given to the next who waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from tabulary.core.errors import ServiceUnavailable

T = TypeVar("T")


class Pool(Generic[T]):
    """``make`` opens one, ``discard`` closes one at once, ``usable`` says without I/O whether an idle one still is."""

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, T]],
        discard: Callable[[T], None],
        usable: Callable[[T], bool],
        *,
        size: int,
        timeout: float,
    ) -> None:
        self._make, self._discard, self._usable = make, discard, usable
        self._size, self._timeout = size, timeout
        self._idle: list[T] = []
        self._taken = 0
        self._waiting: deque[asyncio.Future[T | None]] = deque()
        self._opening: set[asyncio.Future[T]] = set()
        self._closed = False

    @property
    def taken(self) -> int:
        """How many are in use or being opened."""
        return self._taken

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def usage(self) -> tuple[int, int]:
        """How many are in use, and how many more could be handed out at once."""
        return self._taken, max(0, self._size - self._taken)

    async def fill(self, count: int) -> None:
        """Open things ahead of their use until ``count`` exist."""
        while len(self._idle) + self._taken < min(count, self._size):
            self._taken += 1
            self.release(await self._open())

    async def acquire(self) -> T:
        """An idle thing or a new one. Raises ServiceUnavailable when none comes free in time."""
        while self._idle:
            thing = self._idle.pop()
            if self._usable(thing):
                self._taken += 1
                return thing
            self._discard(thing)
        if self._taken < self._size:
            self._taken += 1
            return await self._open()
        thing_or_place = await self._wait()
        return thing_or_place if thing_or_place is not None else await self._open()

    def release(self, thing: T, reuse: bool = True) -> None:
        """Give back. ``reuse`` False throws it away and lets the next who waits open another."""
        if self._closed or not (reuse and self._usable(thing)):
            self._discard(thing)
            self._pass_on(None)
        else:
            self._pass_on(thing)

    def reopen(self) -> None:
        """Take up work after :meth:`close`."""
        self._closed = False

    def close(self) -> None:
        """Close what is idle now and the rest as it comes back."""
        self._closed = True
        while self._idle:
            self._discard(self._idle.pop())

    async def settle(self) -> None:
        """After :meth:`close`: wait for what is being opened for callers who may have gone; it is closed then."""
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.sleep(0)  # their callbacks

    async def _open(self) -> T:
        """Open one for a place that is already counted; the place is given on when it fails.

        Opening goes on when the caller is cancelled: what comes of it is the next one's.
        """
        opening = asyncio.ensure_future(self._make())
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._opened_for_nobody)
            raise
        except BaseException:
            self._pass_on(None)
            raise

    def _opened_for_nobody(self, opening: asyncio.Future[T]) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._pass_on(None)
        else:
            self.release(opening.result())

    async def _wait(self) -> T | None:
        turn: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeout):
                return await turn
        except BaseException as problem:
            if turn.done() and not turn.cancelled():
                self._give_on(turn.result())  # it came in the moment we stopped waiting
            else:
                turn.cancel()
            if isinstance(problem, TimeoutError):
                raise ServiceUnavailable("database", "No connection came free in time") from None
            raise

    def _give_on(self, thing: T | None) -> None:
        if thing is None:
            self._pass_on(None)
        else:
            self.release(thing)

    def _pass_on(self, thing: T | None) -> None:
        """Hand a thing, or the right to open one, to the first who waits; else keep it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(thing)
                return
        self._taken -= 1
        if thing is not None:
            self._idle.append(thing)
