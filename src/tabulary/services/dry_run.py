"""Trying a change out: it runs in a transaction that is always rolled back, and what it wrote is told as SQL.

Where the database commits each change of a table at once, it runs in a database beside the one that is served, which
has the same tables and the rows of system tables, and is dropped afterwards.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tabulary.core import json
from tabulary.core.errors import UnprocessableContent
from tabulary.database.connection import Connection
from tabulary.database.journal import JOURNAL
from tabulary.items.platform import Platform

_WRITES = re.compile(
    r"\s*(CREATE|ALTER|DROP|RENAME|COMMENT|INSERT|UPDATE|DELETE|TRUNCATE|WITH\b.*\bINSERT)\b", re.I | re.S
)
_LONGEST_VALUE = 60
_EMPTY = frozenset(
    f"directus_{name}"
    for name in ("activity", "revisions", "sessions", "notifications", "comments", "files", "versions")
)
"""System tables that no change of the data model or of the state reads, and that may be big."""


async def tried(platform: Platform, work: Callable[[Connection], Awaitable[Any]]) -> list[str]:
    """The SQL that ``work`` writes through the connection it gets; nothing of it stays.

    Raises :class:`UnprocessableContent` where the database can't be made to try anything, and what ``work`` raises.
    """
    recorder: Recorder | None = None
    try:
        async with _stage(platform) as connection:
            recorder = Recorder(connection)
            await work(recorder)
            raise _TakeBack
    except _TakeBack:
        pass
    finally:
        platform.schemas.invalidate()  # nobody may keep what was only tried
        platform.access.invalidate()
    return recorder.statements if recorder is not None else []


@asynccontextmanager
async def _stage(platform: Platform) -> AsyncIterator[Connection]:
    """A transaction in which everything may happen, because nothing of it will stay."""
    database = platform.database
    if database.dialect.transactional_ddl:
        async with database.schema_transaction() as connection:
            yield connection
        return
    async with database.connection(write=True) as connection:
        scratch = database.dialect.scratch(connection, _EMPTY)
        if scratch is None:
            raise UnprocessableContent(
                "This database commits each change of a table at once, so that its SQL can't be tried out"
            )
        async with scratch, connection.transaction():
            yield connection


class _TakeBack(Exception):
    """Ends the transaction of a try."""


class Recorder(Connection):
    """A connection in an open transaction that notes the text of what is written through it.

    Its callbacks for the time after the commit are never called.
    """

    def __init__(self, inner: Connection) -> None:
        super().__init__(inner.dialect)
        self._inner = inner
        self._depth = 1
        self.statements: list[str] = []

    @property
    def inner(self) -> Connection:
        return self._inner.inner

    async def fetch_value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        self._note(sql, values)
        return await self._inner.fetch_value(sql, values)

    async def fetch_rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._note(sql, values)
        return await self._inner.fetch_rows(sql, values)

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        self._note(sql, values)
        return await self._inner.execute(sql, values)

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self._note(sql, row)
        await self._inner.execute_many(sql, rows)

    @property
    def last_insert_id(self) -> int | None:
        return self._inner.last_insert_id

    @asynccontextmanager
    async def without_foreign_keys(self) -> AsyncIterator[None]:
        yield  # the transaction around has lifted them already

    async def _begin(self) -> None:
        raise RuntimeError("the transaction is open")

    _commit = _rollback = _begin

    def _note(self, sql: str, values: Sequence[Any]) -> None:
        if not _WRITES.match(sql) or JOURNAL in sql:
            return
        if self.dialect.sa_dialect.paramstyle == "format":
            sql = sql.replace("%%", "%")  # that was for the driver
        shown = ", ".join(_short(value) for value in values)
        self.statements.append(f"{sql.strip()};" + (f"  -- {shown}" if shown else ""))


def _short(value: Any) -> str:
    text = json.encode(value).decode() if not isinstance(value, bytes) else "<bytes>"
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
