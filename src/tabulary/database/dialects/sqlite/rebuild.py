"""Rebuilding a table to change what ALTER TABLE cannot, in the order that SQLite's documentation advises:
make the new table, copy, drop the old one, rename, make indexes and triggers again.

Dropping a table deletes its rows first, which would fire the cascades of tables that point at it. So foreign keys must
not be enforced (:meth:`Database.schema_transaction`) where something points at the table.
"""

from __future__ import annotations

from collections.abc import Callable

from tabulary.database.connection import Connection
from tabulary.database.dialects.sqlite.table_text import TableText

PREFIX = "_tabulary_rebuild_"


async def rebuild(
    connection: Connection,
    quote: Callable[[str], str],
    table: str,
    change: Callable[[TableText], TableText],
    without: str | None = None,
) -> None:
    """Replace ``table`` by what ``change`` makes of its text. ``without`` is a column that goes, with its indexes.

    Raises ``ValueError`` when there is no such table, ``RuntimeError`` inside a transaction that enforces foreign keys.
    """
    if connection.in_transaction:
        await _rebuild(connection, quote, table, change, without)
        return
    async with connection.without_foreign_keys(), connection.transaction():
        await _rebuild(connection, quote, table, change, without)


async def _rebuild(
    connection: Connection,
    quote: Callable[[str], str],
    table: str,
    change: Callable[[TableText], TableText],
    without: str | None,
) -> None:
    sql = await connection.fetch_value("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [table])
    if sql is None:
        raise ValueError(f'There is no table "{table}"')
    await _check_safe(connection, table)
    dependants = await _dependants(connection, table, without)
    old = TableText.parse(sql)
    new = change(old)
    kept = set(new.stored_columns)
    columns = ", ".join(quote(name) for name in old.stored_columns if name in kept)
    temporary = PREFIX + table

    await connection.execute("PRAGMA legacy_alter_table = ON")  # views that use the table must not stop the renaming
    try:
        await connection.execute(new.create(quote(temporary)))
        if columns:
            copy = f"INSERT INTO {quote(temporary)} ({columns}) SELECT {columns} FROM {quote(table)}"  # noqa: S608
            await connection.execute(copy)  # all names are quoted
        await _keep_numbering(connection, table, temporary)
        await connection.execute(f"DROP TABLE {quote(table)}")
        await connection.execute(f"ALTER TABLE {quote(temporary)} RENAME TO {quote(table)}")
    finally:
        await connection.execute("PRAGMA legacy_alter_table = OFF")
    for statement in dependants:
        await connection.execute(statement)


async def _check_safe(connection: Connection, table: str) -> None:
    if not await connection.fetch_value("PRAGMA foreign_keys"):
        return
    referenced = await connection.fetch_value(
        "SELECT 1 FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
        ' AND lower(f."table") = lower(?) LIMIT 1',
        [table],
    )
    if referenced:
        raise RuntimeError(f'"{table}" is referenced: change it in Database.schema_transaction()')


async def _dependants(connection: Connection, table: str, without: str | None) -> list[str]:
    """The statements of indexes and triggers to make again."""
    rows = await connection.fetch_rows(
        "SELECT m.sql, m.type = 'index' AND EXISTS (SELECT 1 FROM pragma_index_info(m.name) i WHERE i.name = ?)"
        " FROM sqlite_master m WHERE m.tbl_name = ? AND m.type IN ('index', 'trigger') AND m.sql IS NOT NULL",
        [without, table],
    )
    return [sql for sql, dropped in rows if not dropped]


async def _keep_numbering(connection: Connection, table: str, temporary: str) -> None:
    """Carry AUTOINCREMENT's counter over, so that keys of deleted rows are not given again."""
    if not await connection.fetch_value("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"):
        return
    last = await connection.fetch_value("SELECT seq FROM sqlite_sequence WHERE name = ?", [table])
    if last is not None:
        await connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", [temporary])
        await connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [temporary, last])
