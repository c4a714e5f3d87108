"""PostgreSQL through asyncpg, with a pool of our own.

All scalar types travel as text: PostgreSQL itself parses what we bind and its errors are the reference's errors. Our
pool does without asyncpg's reset round trip: a connection that comes back inside a transaction or from a cancelled call
is closed instead, which rolls back as well.

Behind pgbouncer (``ConnectionOptions.pgbouncer``) each transaction may run in another session of the server, so nothing
is left in a session: statements are not prepared ahead, notices are not listened to, and it gets no settings
but those that pgbouncer itself carries along. Locks and ``SET`` belong to a transaction everywhere.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import asyncpg

from tabulary.core import json
from tabulary.core.errors import ConfigurationError
from tabulary.database.connection import Connection
from tabulary.database.options import ConnectionOptions
from tabulary.database.server import ServerConnection, ServerDriver
from tabulary.database.versions import CHANNEL, ConnectionWatch, Watch

if TYPE_CHECKING:
    from tabulary.database.dialects.base import Dialect

logger = logging.getLogger("tabulary.database")

_STATEMENT_CACHE = 500
_POOLER_REFUSES = "unsupported startup parameter"
_MIXED_UP = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""What sessions that are not one's own do to prepared statements."""
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


class PostgreSQLConnection(ServerConnection):
    """One asyncpg connection."""

    unknown_after = (asyncio.CancelledError, asyncpg.InternalClientError)

    def __init__(self, dialect: Dialect, raw: asyncpg.Connection[Any]) -> None:
        super().__init__(dialect)
        self.raw = raw

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
        if isinstance(problem, _MIXED_UP):
            logger.error("prepared statements got mixed up; behind pgbouncer, set DB_PGBOUNCER=true: %s", problem)
        super()._note(problem)

    async def _begin(self) -> None:
        await self.execute("BEGIN")

    async def _commit(self) -> None:
        await self.execute("COMMIT")

    async def _rollback(self) -> None:
        if self.usable:
            await self.execute("ROLLBACK")

    @property
    def usable(self) -> bool:
        return not self.tainted and not self.raw.is_closed()


class PostgreSQLDriver(ServerDriver[PostgreSQLConnection]):
    """The pool of one PostgreSQL database."""

    unreachable = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
    connection_class: ClassVar[type[PostgreSQLConnection]] = PostgreSQLConnection

    def __init__(self, dialect: Dialect, options: ConnectionOptions) -> None:
        """Raises :class:`ConfigurationError` for a search path behind pgbouncer, which cannot carry it along."""
        if options.pgbouncer and options.search_path:
            raise ConfigurationError(
                "DB_SEARCH_PATH does not reach the database through pgbouncer; unset it and run there:"
                " ALTER ROLE <the user> SET search_path = …"
            )
        super().__init__(dialect, options)

    def watch(self, notice: Callable[[], None]) -> Watch:
        # LISTEN is the session's, and behind pgbouncer sessions are everybody's
        if self._options.pgbouncer or not self._dialect.has_notices:
            return ConnectionWatch(self._connect, self._discard)

        async def connect() -> Connection:
            connection = await self._connect()
            await connection.raw.add_listener(CHANNEL, lambda *_: notice())
            return connection

        return ConnectionWatch(connect, self._discard)

    def release(self, connection: Connection) -> None:
        assert isinstance(connection, PostgreSQLConnection)
        clean = not (connection.in_transaction or connection.raw.is_closed() or connection.raw.is_in_transaction())
        self._pool.release(connection, reuse=clean)

    def _discard(self, connection: Connection) -> None:
        assert isinstance(connection, PostgreSQLConnection)
        if connection.raw.is_closed():
            return
        if connection.cancelled:
            self._end_later(_close(connection.raw))
        else:
            connection.raw.terminate()

    async def _connect(self) -> PostgreSQLConnection:
        options = self._options
        raw = await self._reached(
            host=options.socket or options.host,
            port=options.port,
            user=options.user,
            password=options.password,
            database=options.database,
            ssl=options.ssl,
            timeout=options.connect_timeout,
            statement_cache_size=0 if options.pgbouncer else _STATEMENT_CACHE,
            server_settings=self._session_settings(),
        )
        try:
            # CockroachDB says so in a parameter of its own, beside the version of PostgreSQL that it stands for
            self._dialect.learn(getattr(raw.get_settings(), "crdb_version", "PostgreSQL"))
            for name, decoder in _DECODERS.items():
                await raw.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=decoder, format="text")
        except BaseException:
            raw.terminate()
            raise
        return self.connection_class(self._dialect, raw)

    async def _reached(self, **address: Any) -> asyncpg.Connection[Any]:
        """Raises :class:`ConfigurationError` when a pooler answers that was not expected."""
        try:
            return await asyncpg.connect(**address)
        except asyncpg.ProtocolViolationError as problem:
            if _POOLER_REFUSES not in str(problem):
                raise
            raise ConfigurationError(
                f"What answers is a pooler in front of PostgreSQL ({problem}): set DB_PGBOUNCER=true"
            ) from problem

    def _session_settings(self) -> dict[str, str]:
        options = self._options
        settings = {"application_name": options.application_name, "timezone": "UTC"}
        if not options.pgbouncer:
            settings["jit"] = "off"  # compiling costs more than our statements take
        if options.search_path:
            settings["search_path"] = ", ".join('"' + p.replace('"', '""') + '"' for p in options.search_path)
        return settings


async def _close(raw: asyncpg.Connection[Any]) -> None:
    """Close a connection whose statement was cancelled, once the server knows that it was."""
    try:
        await raw.close(timeout=_PATIENCE)
    except Exception as problem:
        logger.debug("a cancelled statement was not ended: %s", problem)
        raw.terminate()
