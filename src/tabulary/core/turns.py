"""The same read asked by many at the same moment runs in turns that they share.

While a statement runs, whoever asks for the very same one (SQL and values alike, so the same rules apply too) waits for
the *next* run and shares its answer. That run begins after all who share it asked, so nobody gets an answer older than
the own question: what was committed before a read began is in it. A stampede costs the database two statements instead
of thousands, and a read without company is not delayed.

After a long run that several shared, the next one may wait a little: whoever has just been answered often asks again at
once, as dashboards do. Without that, those who ask fall into two halves that wait for each other's runs, each twice as
long as need be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
Run = Callable[[], Awaitable[T]]

LONG_RUN = 0.01
"""Seconds; what takes less is over sooner than a pause for company could be worth."""
LONGEST_PAUSE = 0.05
"""Seconds."""


@dataclass(slots=True)
class _Turn(Generic[T]):
    """A run that is going on (or the pause after it), and who waits for the one after it."""

    run: Run[T] | None = None
    following: asyncio.Future[T] | None = None
    waiting: int = 0


@dataclass(slots=True)
class Turns(Generic[T]):
    """Runs by what they answer. For one event loop.

    ``pause``: that of long runs, as a part of their length; ``clock`` and ``sleep`` measure and make it, in seconds.
    """

    pause: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _going: dict[Hashable, _Turn[T]] = field(default_factory=dict)
    _tasks: dict[asyncio.Task[None], Hashable] = field(default_factory=dict)

    async def take(self, key: Hashable, run: Run[T]) -> T:
        """What ``run`` answers, from a run that begins now or later. Raises what that run raises."""
        going = self._going.get(key)
        if going is None:
            self._going[key] = _Turn()
            began = self.clock()
            try:
                return await run()
            finally:
                self._pass_on(key, self.clock() - began, company=False)
        if going.following is None:
            going.run, going.following = run, asyncio.get_running_loop().create_future()
        going.waiting += 1
        # Shielded: one caller who goes away must not take the answer from the others.
        return await asyncio.shield(going.following)

    async def close(self) -> None:
        """Begin nothing more, and end what follows a first run; who waits for it is cancelled. May be used again."""
        for going in self._going.values():
            if going.following is not None:
                going.following.cancel()
            going.run, going.following, going.waiting = None, None, 0
        following = dict(self._tasks)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        for key in following.values():
            self._going.pop(key, None)  # of a task that was cancelled before it began

    def _pass_on(self, key: Hashable, seconds: float, company: bool) -> None:
        """The run under this key has ended after so long, and had several to answer (or not): see to the next one."""
        ended = self._going.get(key, _Turn())  # without one after :meth:`close`
        is_long = seconds >= LONG_RUN and (company or ended.waiting > 0)
        pause = min(seconds * self.pause, LONGEST_PAUSE) if is_long else 0.0
        if not pause and not ended.waiting:
            self._going.pop(key, None)
            return
        task = asyncio.ensure_future(self._go_on(key, ended, pause))
        self._tasks[task] = key
        task.add_done_callback(self._tasks.pop)

    async def _go_on(self, key: Hashable, ended: _Turn[T], pause: float) -> None:
        """Pause, then run for all who wait by then: the turn before is in its place until the pause is over."""
        cut: BaseException | None = None
        try:
            if pause:
                await self.sleep(pause)
        except BaseException as problem:
            cut = problem
        if ended.run is None or ended.following is None:
            self._going.pop(key, None)
        elif cut is None:
            await self._lead(key, ended.run, ended.following, ended.waiting > 1)
        else:
            self._going.pop(key, None)
            _fail(ended.following, cut)
        if cut is not None:
            raise cut

    async def _lead(self, key: Hashable, run: Run[T], waiting: asyncio.Future[T], company: bool) -> None:
        self._going[key] = _Turn()
        began = self.clock()
        try:
            answer = await run()
            if not waiting.done():  # as it is when :meth:`close` came between
                waiting.set_result(answer)
        except BaseException as problem:
            _fail(waiting, problem)
            if not isinstance(problem, Exception):
                raise
        finally:
            self._pass_on(key, self.clock() - began, company)


def _fail(waiting: asyncio.Future[T], problem: BaseException) -> None:
    if isinstance(problem, asyncio.CancelledError):
        waiting.cancel()
    elif not waiting.done():
        waiting.set_exception(problem)
        waiting.exception()  # retrieved: those who waited may all have gone away
