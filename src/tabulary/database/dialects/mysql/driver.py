"""MariaDB and MySQL through asyncmy, with a pool of our own.

SQL is in the ``format`` style: a value is ``%s`` and a plain percent sign is ``%%``, with or without values. Results
are plain: moments, dates, times and decimals are the database's text.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncmy
from asyncmy.constants import CLIENT, FIELD_TYPE
from asyncmy.converters import conversions
from asyncmy.errors import MySQLError

from tabulary.core import json
from tabulary.core.errors import ServiceUnavailable
from tabulary.database.connection import Connection
from tabulary.database.server import ServerConnection, ServerDriver
from tabulary.database.versions import ConnectionWatch, Watch

if TYPE_CHECKING:
    from tabulary.database.dialects.base import Dialect

logger = logging.getLogger("tabulary.database")

_SESSION = (
    "SET SESSION time_zone = '+00:00', group_concat_max_len = 4294967295,"
    " sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
"""As on PostgreSQL: a statement sees what has committed before it, so that a check behind a lock sees the truth."""
_LOCK_SECONDS = 60


def _as_text(value: Any) -> Any:
    return value


_CONVERSIONS = {
    **conversions,
    **dict.fromkeys(
        (
            FIELD_TYPE.TIMESTAMP,
            FIELD_TYPE.DATETIME,
            FIELD_TYPE.DATE,
            FIELD_TYPE.TIME,
            FIELD_TYPE.DECIMAL,
            FIELD_TYPE.NEWDECIMAL,
        ),
        _as_text,
    ),
}


def bound(value: Any) -> Any:
    """A value as asyncmy takes it."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.datetime):
        at = value.astimezone(dt.UTC) if value.tzinfo else value
        return at.strftime("%Y-%m-%d %H:%M:%S") + (f".{at.microsecond:06d}" if at.microsecond else "")
    if isinstance(value, dict | list | tuple):
        return json.encode(value).decode()
    return str(value)


class MySQLConnection(ServerConnection):
    """One asyncmy connection."""

    def __init__(self, dialect: Dialect, raw: asyncmy.Connection) -> None:
        super().__init__(dialect)
        self.raw = raw
        self._last_id: int | None = None
        self._held: list[str] = []

    async def fetch_value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        row = await (await self._run(sql, values)).fetchone()
        return None if row is None else row[0]

    async def fetch_rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return list(await (await self._run(sql, values)).fetchall())

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        cursor = await self._run(sql, values)
        self._last_id = cursor.lastrowid or None
        return max(0, int(cursor.rowcount))

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            await self.raw.cursor().executemany(sql, [tuple(map(bound, row)) for row in rows])
        except BaseException as problem:
            self._note(problem)
            raise

    @property
    def last_insert_id(self) -> int | None:
        return self._last_id

    async def _run(self, sql: str, values: Sequence[Any]) -> Any:
        cursor = self.raw.cursor()
        try:
            await cursor.execute(sql, tuple(map(bound, values)))
        except BaseException as problem:
            self._note(problem)
            raise
        return cursor

    async def _begin(self) -> None:
        await self._run("BEGIN", ())

    async def _commit(self) -> None:
        await self._run("COMMIT", ())
        await self._let_go()

    async def _rollback(self) -> None:
        if self.usable:
            await self._run("ROLLBACK", ())
            await self._let_go()

    @property
    def usable(self) -> bool:
        # the private fact is the only one that tells of a server which closed the connection while nobody used it
        return bool(not self.tainted and self.raw.connected and not getattr(self.raw, "_stream_broken", False))

    @property
    def holds_locks(self) -> bool:
        return bool(self._held)

    async def hold(self, name: str) -> None:
        """Hold a named lock of this database until the transaction ends. It is the session's: DDL does not free it."""
        if name in self._held:
            return
        if await self.fetch_value("SELECT GET_LOCK(CONCAT(DATABASE(), %s), %s)", ("." + name, _LOCK_SECONDS)) != 1:
            raise ServiceUnavailable("database", f'The lock "{name}" did not come free in time')
        self._held.append(name)

    async def _let_go(self) -> None:
        while self._held:
            await self.fetch_value("SELECT RELEASE_LOCK(CONCAT(DATABASE(), %s))", ("." + self._held.pop(),))


class MySQLDriver(ServerDriver[MySQLConnection]):
    """The pool of one MariaDB or MySQL database."""

    unreachable = (MySQLError, OSError)

    def watch(self, notice: Callable[[], None]) -> Watch:
        return ConnectionWatch(self._connect, self._discard)  # nothing here tells of changes

    def release(self, connection: Connection) -> None:
        assert isinstance(connection, MySQLConnection)
        self._pool.release(connection, reuse=not (connection.in_transaction or connection.holds_locks))
        if connection.cancelled:
            self._end_later(self._kill(connection.raw.thread_id()))

    def _discard(self, connection: Connection) -> None:
        assert isinstance(connection, MySQLConnection)
        connection.raw.close()

    async def _kill(self, thread: int) -> None:
        """End a statement that nobody waits for: the server does not notice by itself that the connection is closed."""
        try:
            connection = await self._connect()
            try:
                await connection.execute(f"KILL {int(thread)}")
            finally:
                self._discard(connection)
        except Exception as problem:  # it has ended, or the server has
            logger.debug("a cancelled statement was not ended: %s", problem)

    async def _connect(self) -> MySQLConnection:
        options = self._options
        raw = await asyncmy.connect(
            host=options.host or "127.0.0.1",
            port=options.port or 3306,
            unix_socket=options.socket,
            user=options.user,
            password=options.password or "",
            db=options.database,
            ssl=options.ssl or None,
            connect_timeout=max(1, int(options.connect_timeout)),
            charset="utf8mb4",
            autocommit=True,
            init_command=_SESSION,
            conv=_CONVERSIONS,
            client_flag=CLIENT.FOUND_ROWS,  # an UPDATE counts the rows it found, not only those it changed
        )
        self._dialect.learn(raw.get_server_info())
        connection = MySQLConnection(self._dialect, raw)
        try:
            await connection.execute(_ISOLATION)
        except BaseException:
            raw.close()
            raise
        return connection
