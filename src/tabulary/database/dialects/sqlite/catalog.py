"""The catalog of SQLite: ``sqlite_master`` joined with the pragmas' table-valued functions, one query a kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tabulary.core import json
from tabulary.database.catalog import (
    Catalog,
    ColumnFacts,
    ForeignKeyFacts,
    IndexFacts,
    SearchIndexFacts,
    TableFacts,
    first_references,
    without_quotes,
)
from tabulary.database.connection import Connection
from tabulary.database.dialects.sqlite.search import COMPLETE, FOUND, PREFIX

_KEYS = (
    "name",
    "table",
    "data_type",
    "default_value",
    "max_length",
    "numeric_precision",
    "numeric_scale",
    "is_generated",
    "generation_expression",
    "is_nullable",
    "is_unique",
    "is_indexed",
    "is_primary_key",
    "has_auto_increment",
    "foreign_key_column",
    "foreign_key_table",
)
_FOREIGN_KEY_KEYS = (
    "table",
    "column",
    "foreign_key_table",
    "foreign_key_column",
    "on_update",
    "on_delete",
    "constraint_name",
)

_OF_USERS = f"m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND substr(m.name, 1, {len(PREFIX)}) <> '{PREFIX}'"
"""Tables of the user: neither SQLite's own nor the indexes for searching."""

_TABLES = f"""
SELECT m.name, m.sql, (SELECT json_group_array(c.name) FROM (
    SELECT name FROM pragma_table_info(m.name) WHERE pk > 0 ORDER BY pk) AS c)
FROM sqlite_master m WHERE m.type = 'table' AND {_OF_USERS} ORDER BY m.name
"""  # noqa: S608 (a constant)

_COLUMNS = f"""
SELECT c.name, m.name, c.type, c.dflt_value, c.hidden, c."notnull", c.pk, m.sql LIKE '%AUTOINCREMENT%'
FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
WHERE m.type = 'table' AND {_OF_USERS} ORDER BY m.name, c.cid
"""  # noqa: S608 (a constant)

_INDEXES = f"""
SELECT m.name, i.name, i."unique", i.origin, (SELECT json_group_array(c.name) FROM (
    SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) AS c), i.partial
FROM sqlite_master m JOIN pragma_index_list(m.name) i
WHERE m.type = 'table' AND {_OF_USERS} ORDER BY m.name, i.name
"""  # noqa: S608 (a constant)

_FOREIGN_KEYS = f"""
SELECT m.name, f."from", f."table", f."to", f.on_update, f.on_delete, f.id,
    (SELECT name FROM pragma_table_info(f."table") WHERE pk = 1)
FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND {_OF_USERS} ORDER BY m.name, f.id DESC, f.seq
"""  # noqa: S608 (a constant)

_TYPE = re.compile(r"[a-z ]*")
_LENGTH = re.compile(r"\(\s*(\d+)")


class SQLiteCatalog(Catalog):
    async def tables(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[TableFacts]:
        return [
            TableFacts(name, _names(keys), {"name": name, "sql": sql})
            for name, sql, keys in await connection.fetch_rows(_TABLES)
        ]

    async def columns(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[ColumnFacts]:
        single: dict[tuple[str, str], set[bool]] = {}
        for table, _, unique, _, columns, _ in await connection.fetch_rows(_INDEXES):
            names = _names(columns)
            if len(names) == 1:
                single.setdefault((table, names[0]), set()).add(bool(unique))
        references = first_references(await self.foreign_keys(connection))
        return [
            _column(row, single.get((row[1], row[0]), set()), references.get((row[1], row[0])))
            for row in await connection.fetch_rows(_COLUMNS)
        ]

    async def foreign_keys(
        self, connection: Connection, settings: Mapping[str, Any] | None = None
    ) -> list[ForeignKeyFacts]:
        rows = await connection.fetch_rows(_FOREIGN_KEYS)
        parts: dict[tuple[str, int], int] = {}
        for row in rows:
            parts[row[0], row[6]] = parts.get((row[0], row[6]), 0) + 1
        return [
            ForeignKeyFacts(table, column, target, key or target_key, on_update, on_delete, keys=_FOREIGN_KEY_KEYS)
            for table, column, target, key, on_update, on_delete, number, target_key in rows
            if parts[table, number] == 1
        ]

    async def indexes(self, connection: Connection, table: str) -> list[IndexFacts]:
        return [
            IndexFacts(name, _names(columns), bool(unique), origin == "u")
            for owner, name, unique, origin, columns, partial in await connection.fetch_rows(_INDEXES)
            if owner == table and origin != "pk" and not partial and None not in json.decode(columns)
        ]

    async def search_indexes(self, connection: Connection) -> list[SearchIndexFacts]:
        """Only whole ones: without one of its triggers an index misses changes."""
        return [
            SearchIndexFacts(name, table, _names(columns))
            for table, name, columns, triggers in await connection.fetch_rows(FOUND)
            if triggers == COMPLETE
        ]


def _column(row: tuple[Any, ...], indexes: set[bool], reference: tuple[str, str] | None) -> ColumnFacts:
    name, table, declared, default, hidden, not_null, key, auto_increment = row
    kind = _TYPE.match(declared.lower())
    length = _LENGTH.search(declared)
    return ColumnFacts(
        name=name,
        table=table,
        data_type=kind[0].strip() if kind else "",
        default_value=without_quotes(default),
        max_length=int(length[1]) if length else None,
        is_generated=hidden != 0,
        is_nullable=not not_null,
        is_unique=True in indexes,
        is_indexed=False in indexes,
        is_primary_key=key > 0,
        has_auto_increment=bool(key and auto_increment),
        foreign_key_table=reference[0] if reference else None,
        foreign_key_column=reference[1] if reference else None,
        keys=_KEYS,
    )


def _names(array: str) -> tuple[str, ...]:
    """Column names of an index as the JSON array of SQLite; an expression has none."""
    return tuple(name for name in json.decode(array) if name is not None)
