"""What the drivers of database servers have in common: one pool, and connections whose state can become unknown."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from tabulary.database.connection import Connection
from tabulary.database.driver import Driver
from tabulary.database.errors import ConnectionLost
from tabulary.database.options import ConnectionOptions
from tabulary.database.pool import Pool

if TYPE_CHECKING:
    from tabulary.database.dialects.base import Dialect

logger = logging.getLogger("tabulary.database")

C = TypeVar("C", bound="ServerConnection")


class ServerConnection(Connection):
    """A connection over the network. ``tainted``: it is gone, or nobody knows what state it is in."""

    unknown_after: ClassVar[tuple[type[BaseException], ...]] = (asyncio.CancelledError,)
    """After these a connection is not used again."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.tainted = False
        self.cancelled = False
        """A call was cancelled: its statement may still be running in the server."""

    @property
    @abstractmethod
    def usable(self) -> bool:
        """False when the connection is gone or in an unknown state."""

    def _note(self, problem: BaseException) -> None:
        """Remember what a failed call means for the connection. Raises :class:`ConnectionLost` when it is gone."""
        if isinstance(problem, self.unknown_after):
            self.tainted = True
            self.cancelled = isinstance(problem, asyncio.CancelledError)
        if self.dialect.is_connection_lost(problem):
            self.tainted = True
            raise ConnectionLost from problem


class ServerDriver(Driver, Generic[C]):
    """The pool of one database. ``unreachable`` are the exceptions with which connecting fails."""

    unreachable: ClassVar[tuple[type[BaseException], ...]]

    def __init__(self, dialect: Dialect, options: ConnectionOptions) -> None:
        self._dialect, self._options = dialect, options
        self._ending: set[asyncio.Task[None]] = set()
        self._pool: Pool[C] = Pool(
            self._connect,
            self._discard,
            lambda connection: connection.usable,
            size=max(1, options.pool_max),
            timeout=options.acquire_timeout,
        )

    @abstractmethod
    async def _connect(self) -> C:
        """A new connection. Driver exceptions propagate."""

    @abstractmethod
    def _discard(self, connection: Connection) -> None:
        """Close a connection at once, whatever it is doing."""

    @property
    def usage(self) -> tuple[int, int]:
        return self._pool.usage

    async def open(self) -> None:
        self._pool.reopen()
        await self._pool.fill(max(1, self._options.pool_min))

    async def close(self) -> None:
        self._pool.close()
        await self._pool.settle()
        await asyncio.gather(*self._ending)
        await asyncio.sleep(0)  # lets the transports close

    async def acquire(self, write: bool) -> Connection:
        try:
            return await self._pool.acquire()
        except self.unreachable as problem:  # of whatever kind: it was there
            logger.warning("the database can't be connected to: %s", problem)
            raise ConnectionLost from problem

    def _end_later(self, work: Coroutine[Any, Any, None]) -> None:
        """End a statement that nobody waits for; :meth:`close` waits for it."""
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
