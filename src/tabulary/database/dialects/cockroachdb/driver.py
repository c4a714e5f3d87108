"""CockroachDB through asyncpg: PostgreSQL's driver, with locks that are rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tabulary.core.errors import ServiceUnavailable
from tabulary.database.connection import Connection
from tabulary.database.dialects.postgresql.driver import PostgreSQLConnection, PostgreSQLDriver

LOCKS: Final = "tabulary_locks"
"""The table whose rows are locks. No catalog shows it."""
_CREATE = f"CREATE TABLE IF NOT EXISTS {LOCKS} (name varchar(255) NOT NULL PRIMARY KEY)"
_EXISTS = "SELECT count(*) FROM information_schema.tables WHERE table_name = $1"
_TAKE = f"INSERT INTO {LOCKS} (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name"  # noqa: S608
_LOCK_SECONDS = 60
_BEGIN = "START TRANSACTION"


class CockroachDBConnection(PostgreSQLConnection):
    """A connection whose transaction ends with the next change of a table. ``keeper`` makes a connection beside it."""

    keeper: Callable[[], Awaitable[CockroachDBConnection]]

    def __init__(self, dialect: Any, raw: Any) -> None:
        super().__init__(dialect, raw)
        self._keepers: dict[str, CockroachDBConnection] = {}

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        if sql == _BEGIN and self.raw.is_in_transaction():
            await super().execute("COMMIT")  # what came before stands, as where a change of tables has ended it
        return await super().execute(sql, values)

    async def hold(self, name: str, through_ddl: bool) -> None:
        """Hold a lock until the transaction ends.

        Args:
            through_ddl: also while changes of tables end the transaction in between: a transaction on another
                connection holds it then.

        Raises :class:`ServiceUnavailable` when it does not come free in time.
        """
        if name in self._keepers:
            return
        try:
            async with asyncio.timeout(_LOCK_SECONDS):
                if not through_ddl:
                    await self.execute(_TAKE, [name])
                    return
                await self._keep(name)
        except TimeoutError:
            raise ServiceUnavailable("database", f'The lock "{name}" did not come free in time') from None

    async def _keep(self, name: str) -> None:
        keeper = await self.keeper()
        try:
            try:
                await keeper.take(name)
            except Exception as problem:
                if not self.dialect.is_schema_outdated(problem):
                    raise
                await keeper.make_locks()
                await keeper.take(name)
        except BaseException:
            keeper.raw.terminate()
            raise
        self._keepers[name] = keeper

    async def take(self, name: str) -> None:
        """Open a transaction and hold the lock in it."""
        await self.execute("BEGIN")
        await self.execute(_TAKE, [name])

    async def make_locks(self) -> None:
        """Make the table, at the first lock on a database."""
        await self.execute("ROLLBACK")
        try:
            await self.execute(_CREATE)
        except Exception:
            if not await self.fetch_value(_EXISTS, [LOCKS]):  # else somebody made it at the same moment
                raise

    async def _commit(self) -> None:
        await super()._commit()
        self.let_go()

    async def _rollback(self) -> None:
        try:
            await super()._rollback()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Free the locks that are held beside."""
        while self._keepers:
            self._keepers.popitem()[1].raw.terminate()


class CockroachDBDriver(PostgreSQLDriver):
    """The pool of one CockroachDB database."""

    connection_class = CockroachDBConnection

    def release(self, connection: Connection) -> None:
        assert isinstance(connection, CockroachDBConnection)
        connection.let_go()  # where the transaction did not get to its end
        super().release(connection)

    async def _connect(self) -> PostgreSQLConnection:
        connection = await super()._connect()
        assert isinstance(connection, CockroachDBConnection)
        connection.keeper = self._keeper
        return connection

    async def _keeper(self) -> CockroachDBConnection:
        """A connection outside of the pool, so that who holds a lock and who waits for it never wait for a place."""
        connection = await self._connect()
        assert isinstance(connection, CockroachDBConnection)
        return connection

    def _session_settings(self) -> dict[str, str]:
        settings = super()._session_settings()
        settings.pop("jit", None)
        return settings | {"autocommit_before_ddl": "on", "default_transaction_isolation": "read committed"}
