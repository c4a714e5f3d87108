"""Unique and other indexes of single columns, in the change or, when asked for, after it without locks (spec §2.1)."""

from __future__ import annotations

from dataclasses import replace

from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec
from tabulary.services.columns import column_error
from tabulary.services.schema_change import SchemaChange


def without_indexes(spec: ColumnSpec) -> ColumnSpec:
    """The same column without its indexes, which :func:`set_indexes` makes."""
    return replace(spec, unique=False, indexed=False)


async def set_indexes(change: SchemaChange, table: str, before: ColumnSpec, after: ColumnSpec) -> None:
    """Give or take indexes so that the column has those of ``after``. Existing ones are found whatever their name."""
    ddl, connection, name = change.connection.dialect.ddl, change.connection, after.name
    if before.unique and not after.unique:
        await change.ddl(ddl.drop_unique(connection, table, name), ("index", table, name, True, True))
    if before.indexed and not after.indexed:
        await change.ddl(ddl.drop_index(connection, table, name), ("index", table, name, False, True))
    wanted = []
    if after.unique and not before.unique:
        wanted.append((_create_unique, True))
    if after.indexed and not before.indexed:
        wanted.append((_create_index, False))
    for create, unique in wanted:
        if change.concurrent_indexes:
            change.after_commit(lambda free, create=create: create(free, table, name, True))  # type: ignore[misc]
        else:
            await change.ddl(create(connection, table, name, False), ("index", table, name, unique, False))


async def _create_unique(connection: Connection, table: str, name: str, concurrently: bool) -> None:
    try:
        await connection.dialect.ddl.create_unique(connection, table, name, concurrently=concurrently)
    except Exception as problem:
        raise column_error(connection, problem, table, name) from problem


async def _create_index(connection: Connection, table: str, name: str, concurrently: bool) -> None:
    await connection.dialect.ddl.create_index(connection, table, name, concurrently=concurrently)
