"""Dumps of PostgreSQL: structure as the catalog's own texts, rows by COPY.

Everything is read in one transaction that sees one moment, and loaded in one transaction: tables first, then rows, then
what rests on rows (keys, indexes, counters), so that loading is quick and either complete or undone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.dialects.postgresql import dump_queries as queries
from tabulary.database.dialects.postgresql.driver import PostgreSQLConnection
from tabulary.database.dump import Dump, DumpError, Saved, Sink, Source, check_rows, chunks, work

STRUCTURE = "structure.json"
_COUNT = re.compile(r"(\d+)$")


class PostgreSQLDump(Dump):
    """See the module."""

    async def save(self, connection: Connection, sink: Sink) -> Saved:
        assert isinstance(connection, PostgreSQLConnection)
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if impossible := await _column(connection, queries.IMPOSSIBLE):
                raise DumpError(f"This can't be saved here, use pg_dump: {', '.join(impossible)}")
            structure = await self._structure(connection)
            with sink.member(STRUCTURE) as file:
                file.write(json.encode(structure))
            counts = {}
            for place, table in enumerate(structure["tables"]):
                with sink.member(_member(place)) as file:

                    async def put(data: bytes) -> None:
                        await work(lambda: file.write(data))

                    status = await connection.raw.copy_from_table(
                        table["name"], schema_name=table["schema"], columns=table["columns"], output=put
                    )
                counts[_label(table)] = _rows(status)
            return Saved(counts, await _column(connection, queries.OTHERS))

    async def _structure(self, connection: Connection) -> dict[str, Any]:
        """What there is, as SQL: to run before the rows come, and after."""
        sequences = await connection.fetch_rows(queries.SEQUENCES)
        tables = await connection.fetch_rows(queries.TABLES)
        schemas = sorted({schema for schema, *_ in tables})
        before = [f"CREATE SCHEMA IF NOT EXISTS {connection.dialect.quote(schema)}" for schema in schemas]
        before += [
            f"CREATE EXTENSION IF NOT EXISTS {connection.dialect.quote(name)}"
            for name in await _column(connection, queries.EXTENSIONS)
        ]
        before += await _column(connection, queries.ENUMS)
        before += [create for create, _ in sequences]
        before += [create for _, _, create, _ in tables]
        after = [owner for _, owner in sequences if owner]
        for query in (queries.CONSTRAINTS, queries.INDEXES, queries.COMMENTS):
            after += await _column(connection, query)
        after += [await self._counter(connection, *row) for row in await connection.fetch_rows(queries.COUNTERS)]
        named = [{"schema": schema, "name": name, "columns": columns} for schema, name, _, columns in tables]
        return {"before": before, "tables": named, "after": after}

    async def _counter(self, connection: Connection, schema: str, name: str, identity: str | None) -> str:
        """The statement that sets a sequence to where it stands. That of an identity column has no sure name there."""
        quote = connection.dialect.quote
        place = f"{quote(schema)}.{quote(name)}"
        state = await connection.fetch_rows(f"SELECT last_value, is_called FROM {place}")  # noqa: S608 (quoted)
        last, called = state[0]
        if identity is None:
            sequence = _literal(place)
        else:
            table, _, column = identity.rpartition("|")
            sequence = f"pg_get_serial_sequence({_literal(table)}, {_literal(column)})"
        return f"SELECT setval({sequence}, {last}, {'true' if called else 'false'})"

    async def load(self, connection: Connection, source: Source, expected: Mapping[str, int]) -> None:
        assert isinstance(connection, PostgreSQLConnection)
        with source.open(STRUCTURE) as file:
            structure = json.decode(file.read())
        async with connection.transaction():
            for statement in [*await _column(connection, queries.PRESENT), *structure["before"]]:
                await connection.execute(statement)
            for place, table in enumerate(structure["tables"]):
                with source.open(_member(place)) as file:
                    status = await connection.raw.copy_to_table(
                        table["name"],
                        schema_name=table["schema"],
                        columns=table["columns"],
                        source=chunks(file),
                    )
                check_rows(_label(table), _rows(status), expected)
            for statement in structure["after"]:
                await connection.execute(statement)


async def _column(connection: Connection, sql: str) -> list[str]:
    return [value for (value,) in await connection.fetch_rows(sql)]


def _label(table: Mapping[str, Any]) -> str:
    return f"{table['schema']}.{table['name']}"


def _rows(status: str) -> int:
    found = _COUNT.search(status)
    return int(found[1]) if found else 0


def _member(place: int) -> str:
    return f"tables/{place:04}.copy"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
