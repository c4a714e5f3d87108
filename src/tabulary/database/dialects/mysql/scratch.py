"""A database beside the one that is served, to try changes of tables out in: here each of them commits at once."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from asyncmy.errors import MySQLError

from tabulary.core.errors import UnprocessableContent
from tabulary.database.connection import Connection

_OWN = """
SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME = DATABASE()
"""
_TABLES = """
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'
"""
_NO_RIGHT = (1044, 1045, 1142, 1227)
_LONGEST_NAME = 64


@asynccontextmanager
async def scratch(connection: Connection, empty: Collection[str]) -> AsyncIterator[None]:
    """Put the connection into a new database that has the same tables, and drop that afterwards.

    Args:
        connection: one of a pool, without an open transaction.
        empty: system tables whose rows are left out; of the other system tables they are copied, of collections never.

    Raises :class:`UnprocessableContent` when the database user may not make databases.
    """
    quote = connection.dialect.quote
    ((own, charset, collation),) = await connection.fetch_rows(_OWN)
    suffix = f"_try_{secrets.token_hex(6)}"
    name = quote(own[: _LONGEST_NAME - len(suffix)] + suffix)
    try:
        await connection.execute(f"CREATE DATABASE {name} CHARACTER SET {charset} COLLATE {collation}")
    except MySQLError as problem:
        if problem.args[:1] and problem.args[0] in _NO_RIGHT:
            raise UnprocessableContent(
                "Changes are tried out in a database beside this one, and the database user may not make any:"
                " grant CREATE and DROP on *.* for it, or try the change on a copy"
            ) from problem
        raise
    try:
        await connection.execute("SET foreign_key_checks = 0")
        tables = [table for (table,) in await connection.fetch_rows(_TABLES)]
        made = [(await connection.fetch_rows(f"SHOW CREATE TABLE {quote(table)}"))[0][1] for table in tables]
        await connection.execute(f"USE {name}")
        for statement in made:
            await connection.execute(statement.replace("%", "%%"))
        for table in tables:
            if table.startswith("directus_") and table not in empty:
                rows = f"SELECT * FROM {quote(own)}.{quote(table)}"  # noqa: S608 (quoted)
                await connection.execute(f"INSERT INTO {quote(table)} {rows}")
        await connection.execute("SET foreign_key_checks = 1")
        yield
    finally:
        await connection.execute(f"USE {quote(own)}")
        await connection.execute(f"DROP DATABASE {name}")
        await connection.execute("SET foreign_key_checks = 1")
