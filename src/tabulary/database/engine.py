"""The database of one Tabulary object: a dialect, a driver with its pool, and transactions that retry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from tabulary.core.errors import ServiceUnavailable
from tabulary.core.tracing import Tracing
from tabulary.database.connection import Connection
from tabulary.database.dialects import dialect_for
from tabulary.database.dialects.base import Dialect
from tabulary.database.driver import Driver
from tabulary.database.errors import ConnectionLost
from tabulary.database.options import ConnectionOptions
from tabulary.database.tracing import trace
from tabulary.database.versions import Versions, Watch

logger = logging.getLogger("tabulary.database")

T = TypeVar("T")


class _Outdated(Exception):
    """A replica lacks what a statement names."""


class Database:
    """Connections to one database. An async context manager, or :meth:`open` and :meth:`close`.

    Exceptions of the driver propagate as they are; :meth:`Dialect.classify` tells what they mean.
    """

    def __init__(self, settings: Mapping[str, Any] | ConnectionOptions) -> None:
        """Raises :class:`ConfigurationError` when the settings name no database or an unknown kind."""
        given = settings if isinstance(settings, ConnectionOptions) else ConnectionOptions.from_settings(settings)
        self.options = given
        self.dialect: Dialect = dialect_for(given.client)
        self._driver = self.dialect.driver(given)
        self._replica = None if given.replica is None else self.dialect.driver(given.replica)
        self.versions = Versions(self, given.forget_after)
        self.tracing: Tracing | None = None
        """What makes spans of the statements that connections of this database run."""

    @property
    def has_replica(self) -> bool:
        return self._replica is not None

    @property
    def usage(self) -> tuple[int, int]:
        """Connections in use, and how many more could be handed out at once."""
        return self._driver.usage

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Database:
        """A database by URL; ``options`` are fields of :class:`ConnectionOptions`."""
        return cls(ConnectionOptions.from_url(url, **options))

    async def open(self) -> None:
        """Make sure that the database answers. Raises the driver's exception when it does not."""
        await self._driver.open()
        if self._replica is not None:
            try:
                await self._replica.open()
            except Exception as problem:
                logger.warning("the replica can't be reached, all reads go to the database itself: %s", problem)

    async def close(self) -> None:
        await self.versions.close()
        await self._driver.close()
        if self._replica is not None:
            await self._replica.close()

    def watch(self, notice: Callable[[], None]) -> Watch:
        """What reads the versions of this database, on a connection of its own."""
        return self._driver.watch(notice)

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def connection(self, write: bool = False) -> AsyncIterator[Connection]:
        """A connection of the pool; every statement commits by itself unless a transaction is opened on it.

        ``write`` says that it will write outside of a transaction, so that a database with a single writer hands out
        that one.
        """
        connection = await self._driver.acquire(write)
        connection.versions = self.versions
        if self.tracing is not None:
            trace(connection, self.tracing)
        try:
            yield connection
        finally:
            self._driver.release(connection)

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run ``work``, which only reads and need not see the last writes, on the replica where there is one.

        What the replica cannot answer, because it is away or its tables are older, the database itself does.
        """
        if self._replica is not None:
            try:
                return await self._read_from(self._replica, work)
            except (ServiceUnavailable, _Outdated) as problem:
                logger.warning("the replica did not answer a read: %s", problem)
        async with self.connection() as connection:
            return await work(connection)

    async def _read_from(self, replica: Driver, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            connection = await replica.acquire(False)
        except Exception as problem:
            raise ConnectionLost from problem
        if self.tracing is not None:
            trace(connection, self.tracing)
        try:
            return await work(connection)
        except Exception as problem:
            if self.dialect.is_schema_outdated(problem):
                raise _Outdated("its tables are older") from problem
            raise
        finally:
            replica.release(connection)

    @asynccontextmanager
    async def transaction(self, connection: Connection | None = None) -> AsyncIterator[Connection]:
        """A connection in an open transaction: a new one, or the given connection's, joined when it has one."""
        if connection is not None:
            async with connection.transaction():
                yield connection
            return
        async with self.connection(write=True) as fresh, fresh.transaction():
            yield fresh

    async def outdate(self, topics: Iterable[str], connection: Connection | None = None) -> None:
        """Have all processes forget what they remember of some topics, whether they have changed or not."""
        async with self.transaction(connection) as opened:
            opened.outdates(topics)

    @asynccontextmanager
    async def schema_transaction(self) -> AsyncIterator[Connection]:
        """A transaction for changes of tables: foreign keys are not enforced where a table must be rebuilt (SQLite)."""
        async with self.connection(write=True) as fresh, fresh.without_foreign_keys(), fresh.transaction():
            yield fresh

    async def run_in_transaction(
        self, work: Callable[[Connection], Awaitable[T]], connection: Connection | None = None
    ) -> T:
        """Run ``work(connection)`` in a transaction; again, as ``Dialect.retry_delays`` say, when it lost a race.

        Only an outermost transaction is repeated: within an open one ``work`` runs once. ``work`` must do nothing that
        a roll-back does not undo.
        """
        if connection is not None and connection.in_transaction:
            return await work(connection)

        async def in_transaction() -> T:
            async with self.transaction(connection) as open_connection:
                return await work(open_connection)

        return await self._repeated(in_transaction)

    async def run_atomic(self, work: Callable[[Connection], Awaitable[T]], connection: Connection) -> T:
        """Like :meth:`run_in_transaction`, for work that writes by one statement or chain and needs no transaction."""
        if connection.in_transaction:
            return await work(connection)
        return await self._repeated(partial(work, connection))

    async def _repeated(self, work: Callable[[], Awaitable[T]]) -> T:
        for delay in (*self.dialect.retry_delays, None):
            try:
                return await work()
            except Exception as problem:
                if delay is None or not self.dialect.is_transient(problem):
                    raise
                await asyncio.sleep(delay)
        raise AssertionError("unreachable")
