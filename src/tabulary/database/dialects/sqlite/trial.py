"""Trying indexes out on SQLite: on a copy of the file, so that writers need not wait."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from tabulary.database.connection import Connection
from tabulary.database.dialects.sqlite.driver import SQLiteConnection, bound
from tabulary.database.engine import Database
from tabulary.database.trial import Trial, Work

_STRIDE = 100
"""Steps of SQLite's virtual machine between two calls of the counter."""
_USED = re.compile(r"(?:USING (?:COVERING )?INDEX|SCAN) (\S+)")


class SQLiteTrial(Trial):
    """See the module."""

    unit: ClassVar[str] = "steps"
    little: ClassVar[int] = 5_000

    async def work(self, connection: Connection, sql: str, values: Sequence[Any]) -> Work:
        assert isinstance(connection, SQLiteConnection)
        given = tuple(map(bound, values))

        def timed(raw: sqlite3.Connection) -> float:
            began = time.perf_counter()
            raw.execute(sql, given).fetchall()
            return (time.perf_counter() - began) * 1000

        def counted(raw: sqlite3.Connection) -> int:
            ticks = 0

            def tick() -> int:
                nonlocal ticks
                ticks += 1
                return 0

            raw.set_progress_handler(tick, _STRIDE)
            try:
                raw.execute(sql, given).fetchall()
            finally:
                raw.set_progress_handler(None, 0)
            return ticks * _STRIDE

        steps = await connection.on_file(counted)
        plan = await connection.dialect.plan(connection, sql, values)
        return Work(steps, frozenset(_USED.findall(plan)), await connection.on_file(timed))

    async def bytes(self, connection: Connection, table: str) -> int:
        pages, free, size = [
            int(await connection.fetch_value(f"PRAGMA {name}"))
            for name in ("page_count", "freelist_count", "page_size")
        ]
        return (pages - free) * size

    @asynccontextmanager
    async def place(self, database: Database) -> AsyncIterator[Database]:
        with tempfile.TemporaryDirectory(prefix="tabulary-") as folder:
            path = Path(folder) / "copy.db"
            async with database.connection() as connection:
                assert isinstance(connection, SQLiteConnection)
                await connection.on_file(lambda raw: _copy(raw, path))
            async with Database(replace(database.options, filename=str(path), replica=None)) as copy:
                yield copy


def _copy(raw: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(path)) as target:
        raw.backup(target)
