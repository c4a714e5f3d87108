"""PostgreSQL through asyncpg, with a pool of our own.

All scalar types travel as text: PostgreSQL itself parses what we bind and its errors are the reference's errors. Our
pool does without asyncpg's reset round trip: a connection that comes back inside a transaction or from a cancelled call
is closed instead, which rolls back as well.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.dialects.postgresql import errors
from tabulary.database.driver import Driver
from tabulary.database.errors import ConnectionLost
from tabulary.database.options import ConnectionOptions
from tabulary.database.pool import Pool
from tabulary.database.versions import CHANNEL, ConnectionWatch, Watch

if TYPE_CHECKING:
    from tabulary.database.dialects.base import Dialect

logger = logging.getLogger("tabulary.database")

_STATEMENT_CACHE = 500
_PATIENCE = 5.0


def _read_bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _same(text: str) -> str:
    return text


_DECODERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), int),
    **dict.fromkeys(("float4", "float8"), float),
    "bool": "t".__eq__,
    "bytea": _read_bytes,
    **dict.fromkeys(
        (
            "numeric",
            "date",
            "time",
            "timetz",
            "timestamp",
            "timestamptz",
            "interval",
            "uuid",
            "json",
            "jsonb",
            "money",
            "inet",
            "cidr",
            "macaddr",
            "macaddr8",
            "bit",
            "varbit",
            "xml",
            "point",
            "line",
            "lseg",
            "box",
            "path",
            "polygon",
            "circle",
            "tsvector",
            "tsquery",
            "regclass",
            "regtype",
        ),
        _same,
    ),
}
_UNKNOWN_STATE = (asyncio.CancelledError, asyncpg.InternalClientError)
"""After these a connection is not used again."""

_COUNT = re.compile(r"(\d+)$")


def bound(value: Any) -> Any:
    """A value as PostgreSQL's input text. Lists stay lists (array parameters), their elements become text."""
    if value is None or type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [bound(v) for v in value]
    if isinstance(value, dict):
        return json.encode(value).decode()
    return str(value)


class PostgreSQLConnection(Connection):
    """One asyncpg connection. ``tainted`` after a cancelled call: its state is unknown then."""

    def __init__(self, dialect: Dialect, raw: asyncpg.Connection[Any]) -> None:
        super().__init__(dialect)
        self.raw = raw
        self.tainted = False
        self.cancelled = False

    async def fetch_value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        try:
            return await self.raw.fetchval(sql, *map(bound, values))
        except BaseException as problem:
            self._note(problem)
            raise

    async def fetch_rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return list(map(tuple, await self.raw.fetch(sql, *map(bound, values))))
        except BaseException as problem:
            self._note(problem)
            raise

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        try:
            status = await self.raw.execute(sql, *map(bound, values))
        except BaseException as problem:
            self._note(problem)
            raise
        count = _COUNT.search(status)
        return int(count[1]) if count else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            await self.raw.executemany(sql, [tuple(map(bound, row)) for row in rows])
        except BaseException as problem:
            self._note(problem)
            raise

    @property
    def last_insert_id(self) -> int | None:
        return None

    def _note(self, problem: BaseException) -> None:
        """Remember what a failed call means for the connection. Raises :class:`ConnectionLost` when it is gone."""
        if isinstance(problem, _UNKNOWN_STATE):
            self.tainted = True
            self.cancelled = isinstance(problem, asyncio.CancelledError)
        if errors.is_connection_lost(problem):
            self.tainted = True
            raise ConnectionLost from problem

    async def _begin(self) -> None:
        await self.execute("BEGIN")

    async def _commit(self) -> None:
        await self.execute("COMMIT")

    async def _rollback(self) -> None:
        if self.usable:
            await self.execute("ROLLBACK")

    @property
    def usable(self) -> bool:
        """False when the connection is gone or in an unknown state."""
        return not self.tainted and not self.raw.is_closed()


class PostgreSQLDriver(Driver):
    """The pool of one PostgreSQL database."""

    def __init__(self, dialect: Dialect, options: ConnectionOptions) -> None:
        self._dialect, self._options = dialect, options
        self._closing: set[asyncio.Task[None]] = set()
        self._pool: Pool[PostgreSQLConnection] = Pool(
            self._connect,
            self._discard,
            lambda c: c.usable,
            size=max(1, options.pool_max),
            timeout=options.acquire_timeout,
        )

    @property
    def usage(self) -> tuple[int, int]:
        return self._pool.usage

    async def open(self) -> None:
        self._pool.reopen()
        await self._pool.fill(max(1, self._options.pool_min))

    async def close(self) -> None:
        self._pool.close()
        await asyncio.gather(*self._closing)
        await asyncio.sleep(0)  # lets the transports close

    def watch(self, notice: Callable[[], None]) -> Watch:
        async def connect() -> Connection:
            connection = await self._connect()
            await connection.raw.add_listener(CHANNEL, lambda *_: notice())
            return connection

        return ConnectionWatch(connect, self._discard)

    async def acquire(self, write: bool) -> Connection:
        try:
            return await self._pool.acquire()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as problem:  # any kind: it was reached before
            logger.warning("the database can't be connected to: %s", problem)
            raise ConnectionLost from problem

    def release(self, connection: Connection) -> None:
        assert isinstance(connection, PostgreSQLConnection)
        clean = not (connection.in_transaction or connection.raw.is_closed() or connection.raw.is_in_transaction())
        self._pool.release(connection, reuse=clean)

    def _discard(self, connection: Connection) -> None:
        assert isinstance(connection, PostgreSQLConnection)
        if connection.raw.is_closed():
            return
        if connection.cancelled:
            task = asyncio.ensure_future(_close(connection.raw))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        else:
            connection.raw.terminate()

    async def _connect(self) -> PostgreSQLConnection:
        options = self._options
        server_settings = {
            "application_name": options.application_name,
            "timezone": "UTC",
            "jit": "off",  # compiling costs more than our statements take
        }
        if options.search_path:
            server_settings["search_path"] = ", ".join('"' + p.replace('"', '""') + '"' for p in options.search_path)
        raw = await asyncpg.connect(
            host=options.socket or options.host,
            port=options.port,
            user=options.user,
            password=options.password,
            database=options.database,
            ssl=options.ssl,
            timeout=options.connect_timeout,
            statement_cache_size=_STATEMENT_CACHE,
            server_settings=server_settings,
        )
        try:
            for name, decoder in _DECODERS.items():
                await raw.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=decoder, format="text")
        except BaseException:
            raw.terminate()
            raise
        return PostgreSQLConnection(self._dialect, raw)


async def _close(raw: asyncpg.Connection[Any]) -> None:
    """Close a connection whose statement was cancelled, once the server knows that it was."""
    try:
        await raw.close(timeout=_PATIENCE)
    except Exception as problem:
        logger.debug("a cancelled statement was not ended: %s", problem)
        raw.terminate()
