"""Dumps of MariaDB and MySQL: the server's own CREATE TABLE texts, and the rows as lines of JSON.

Tables are read as they are at one moment, streamed from the server. Loading is no single transaction there, because
creating a table commits; it begins with dropping all tables and may be repeated when it breaks off.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO, Any

from asyncmy.cursors import SSCursor

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.dialects.mysql.driver import MySQLConnection
from tabulary.database.dump import Dump, DumpError, Saved, Sink, Source, check_rows, work

STRUCTURE = "structure.json"
_ROWS_AT_ONCE = 500
_BYTES_AT_ONCE = 4 << 20

_TABLES = "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1"
_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s AND EXTRA NOT LIKE '%%GENERATED%%' ORDER BY ORDINAL_POSITION
"""
_OTHERS = """
SELECT CONCAT('trigger ', TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()
UNION ALL SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME) FROM information_schema.ROUTINES
WHERE ROUTINE_SCHEMA = DATABASE()
"""


class MySQLDump(Dump):
    """See the module."""

    async def save(self, connection: Connection, sink: Sink) -> Saved:
        assert isinstance(connection, MySQLConnection)
        await connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        try:
            async with connection.transaction():
                return await self._save(connection, sink)
        finally:
            await connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    async def _save(self, connection: MySQLConnection, sink: Sink) -> Saved:
        found = await connection.fetch_rows(_TABLES)
        tables = [name for name, kind in found if kind == "BASE TABLE"]
        left_out = [f"{kind.lower()} {name}" for name, kind in found if kind != "BASE TABLE"]
        left_out += [name for (name,) in await connection.fetch_rows(_OTHERS)]
        structure = []
        for name in tables:
            quoted = connection.dialect.quote(name)
            text = (await connection.fetch_rows(f"SHOW CREATE TABLE {quoted}"))[0][1]
            columns = await connection.fetch_rows(_COLUMNS, [name])
            structure.append({"name": name, "create": text, "columns": [column for column, _ in columns]})
        with sink.member(STRUCTURE) as file:
            file.write(json.encode(structure))
        counts = {}
        for place, entry in enumerate(structure):
            columns = await connection.fetch_rows(_COLUMNS, [entry["name"]])
            with sink.member(_member(place)) as file:
                counts[entry["name"]] = await self._save_rows(connection, entry["name"], columns, file)
        return Saved(counts, left_out)

    async def _save_rows(
        self, connection: MySQLConnection, table: str, columns: Sequence[tuple[str, str]], file: IO[bytes]
    ) -> int:
        quote = connection.dialect.quote
        # a FLOAT is printed with six digits; as a double it is exact
        chosen = ", ".join(f"{quote(name)} + 0e0" if kind == "float" else quote(name) for name, kind in columns)
        cursor = connection.raw.cursor(SSCursor)
        await cursor.execute(f"SELECT {chosen} FROM {quote(table)}")  # noqa: S608 (names of the catalog, quoted)
        count = 0
        try:
            while rows := await cursor.fetchmany(_ROWS_AT_ONCE):
                count += len(rows)
                block = b"".join(json.encode([_written(value) for value in row]) + b"\n" for row in rows)
                await work(lambda block=block: file.write(block))  # type: ignore[misc]
        finally:
            await cursor.close()
        return count

    async def load(self, connection: Connection, source: Source, expected: Mapping[str, int]) -> None:
        with source.open(STRUCTURE) as file:
            structure = json.decode(file.read())
        await connection.execute("SET FOREIGN_KEY_CHECKS = 0")
        try:
            for name, kind in await connection.fetch_rows(_TABLES):
                if kind == "BASE TABLE":
                    await connection.execute(f"DROP TABLE {connection.dialect.quote(name)}")
            for place, entry in enumerate(structure):
                await connection.execute(entry["create"].replace("%", "%%"))
                with source.open(_member(place)) as file:
                    rows = await self._load_rows(connection, entry["name"], entry["columns"], file)
                check_rows(entry["name"], rows, expected)
        finally:
            await connection.execute("SET FOREIGN_KEY_CHECKS = 1")

    async def _load_rows(self, connection: Connection, table: str, columns: Sequence[str], file: IO[bytes]) -> int:
        quote, count = connection.dialect.quote, 0
        head = f"INSERT INTO {quote(table)} ({', '.join(map(quote, columns))}) VALUES "  # noqa: S608 (quoted)
        group = f"({', '.join(['%s'] * len(columns))})"
        async with connection.transaction():
            async for rows in _batches(file):
                values = [_read(value) for row in rows for value in row]
                await connection.execute(head + ", ".join([group] * len(rows)), values)
                count += len(rows)
        return count


async def _batches(file: IO[bytes]) -> AsyncIterator[list[list[Any]]]:
    def read() -> list[list[Any]]:
        rows: list[list[Any]] = []
        size = 0
        while len(rows) < _ROWS_AT_ONCE and size < _BYTES_AT_ONCE and (line := file.readline()):
            rows.append(json.decode(line))
            size += len(line)
        return rows

    while rows := await work(read):
        yield rows


def _member(place: int) -> str:
    return f"tables/{place:04}.jsonl"


def _written(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (KeyError, ValueError) as problem:
        raise DumpError("A value of the dump can't be read") from problem
