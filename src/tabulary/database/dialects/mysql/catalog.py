"""The catalog of MariaDB and MySQL, read from ``information_schema`` for the connected database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tabulary.database.catalog import Catalog, ColumnFacts, ForeignKeyFacts, IndexFacts, TableFacts, first_references
from tabulary.database.connection import Connection
from tabulary.database.journal import JOURNAL

_KEYS = (
    "name",
    "table",
    "data_type",
    "default_value",
    "generation_expression",
    "max_length",
    "numeric_precision",
    "numeric_scale",
    "is_generated",
    "is_nullable",
    "is_unique",
    "is_indexed",
    "is_primary_key",
    "has_auto_increment",
    "foreign_key_column",
    "foreign_key_table",
    "comment",
)
_FOREIGN_KEY_KEYS = (
    "table",
    "column",
    "foreign_key_table",
    "foreign_key_column",
    "constraint_name",
    "on_update",
    "on_delete",
)

_TABLES = f"""
SELECT t.TABLE_NAME, t.TABLE_SCHEMA, t.TABLE_COMMENT, t.TABLE_COLLATION, t.ENGINE
FROM information_schema.TABLES t
WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND t.TABLE_NAME <> '{JOURNAL}'
ORDER BY t.TABLE_NAME
"""  # noqa: S608 (a constant)

_COLUMNS = f"""
SELECT c.COLUMN_NAME, c.TABLE_NAME, c.COLUMN_TYPE, c.COLUMN_DEFAULT, c.GENERATION_EXPRESSION,
    c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.EXTRA, c.IS_NULLABLE, c.COLUMN_KEY,
    c.COLUMN_COMMENT
FROM information_schema.COLUMNS c
JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE'
    AND t.TABLE_NAME <> '{JOURNAL}'
ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""  # noqa: S608 (a constant)

_INDEXES = """
SELECT s.TABLE_NAME, s.INDEX_NAME, s.NON_UNIQUE, s.COLUMN_NAME, s.SEQ_IN_INDEX
FROM information_schema.STATISTICS s
WHERE s.TABLE_SCHEMA = DATABASE() ORDER BY s.TABLE_NAME, s.INDEX_NAME, s.SEQ_IN_INDEX
"""

_FOREIGN_KEYS = """
SELECT k.TABLE_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE,
    k.CONSTRAINT_NAME
FROM information_schema.KEY_COLUMN_USAGE k
JOIN information_schema.REFERENTIAL_CONSTRAINTS r
    ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
    AND r.TABLE_NAME = k.TABLE_NAME
WHERE k.CONSTRAINT_SCHEMA = DATABASE() AND r.CONSTRAINT_SCHEMA = DATABASE() AND k.TABLE_SCHEMA = DATABASE()
    AND k.REFERENCED_TABLE_NAME IS NOT NULL
ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION
"""

_ESCAPE = re.compile(r"(?:\\|'(?='))(.)", re.DOTALL)
_ESCAPED = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


class MySQLCatalog(Catalog):
    async def tables(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[TableFacts]:
        keys: dict[str, list[str]] = {}
        for table, index, _, column, _ in await connection.fetch_rows(_INDEXES):
            if index == "PRIMARY":
                keys.setdefault(table, []).append(column)
        return [
            TableFacts(
                name,
                tuple(keys.get(name, ())),
                {"name": name, "schema": schema, "comment": comment, "collation": collation, "engine": engine},
            )
            for name, schema, comment, collation, engine in await connection.fetch_rows(_TABLES)
        ]

    async def columns(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[ColumnFacts]:
        indexed = {
            (table, column)
            for table, _, non_unique, column, place in await connection.fetch_rows(_INDEXES)
            if non_unique and place == 1
        }
        references = first_references(await self.foreign_keys(connection))
        return [
            _column(row, (row[1], row[0]) in indexed, references.get((row[1], row[0])))
            for row in await connection.fetch_rows(_COLUMNS)
        ]

    async def foreign_keys(
        self, connection: Connection, settings: Mapping[str, Any] | None = None
    ) -> list[ForeignKeyFacts]:
        rows = await connection.fetch_rows(_FOREIGN_KEYS)
        parts: dict[tuple[str, str], int] = {}
        for row in rows:
            parts[row[0], row[6]] = parts.get((row[0], row[6]), 0) + 1
        single = [row for row in rows if parts[row[0], row[6]] == 1]
        return [
            ForeignKeyFacts(table, column, target, target_column, on_update, on_delete, name, keys=_FOREIGN_KEY_KEYS)
            for table, column, target, target_column, on_update, on_delete, name in single
        ]

    async def indexes(self, connection: Connection, table: str) -> list[IndexFacts]:
        found: dict[str, tuple[list[str], bool]] = {}
        for owner, index, non_unique, column, _ in await connection.fetch_rows(_INDEXES):
            if owner == table and index != "PRIMARY":
                found.setdefault(index, ([], not non_unique))[0].append(column)
        return [IndexFacts(name, tuple(columns), unique) for name, (columns, unique) in found.items()]


def _column(row: tuple[Any, ...], indexed: bool, reference: tuple[str, str] | None) -> ColumnFacts:
    name, table, declared, default, expression, length, precision, scale, extra, nullable, key, comment = row
    return ColumnFacts(
        name=name,
        table=table,
        data_type=type_word(declared),
        default_value=_default_text(default),
        generation_expression=expression or None,
        max_length=length,
        numeric_precision=precision,
        numeric_scale=scale,
        is_generated=extra.upper().endswith("GENERATED") and "DEFAULT_GENERATED" not in extra.upper(),
        is_nullable=nullable == "YES",
        is_unique=key == "UNI",
        is_indexed=indexed,
        is_primary_key=key == "PRI",
        has_auto_increment="auto_increment" in extra,
        foreign_key_table=reference[0] if reference else None,
        foreign_key_column=reference[1] if reference else None,
        comment=comment,
        keys=_KEYS,
    )


def type_word(declared: str) -> str:
    """``int(10) unsigned`` is ``int unsigned``, ``tinyint(1)`` is ``boolean``."""
    if declared == "tinyint(1)":
        return "boolean"
    return re.sub(r"\(.*\)", "", declared, flags=re.DOTALL)


def _default_text(default: str | None) -> str | None:
    """The plain text of a default. MariaDB tells SQL (quoted, escaped), MySQL the value itself."""
    if default is None or default.upper() == "NULL":
        return None
    if default.lower() in ("current_timestamp()", "now()"):
        return "CURRENT_TIMESTAMP"  # the wire knows one spelling of the current moment
    if len(default) > 1 and default[0] == default[-1] == "'":
        return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), default[1:-1])
    return default
