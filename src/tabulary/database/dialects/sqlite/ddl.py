"""Column types and DDL of SQLite. What ALTER TABLE cannot do is done by rebuilding the table (see ``rebuild.py``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateIndex

from tabulary.database.catalog import ColumnFacts, IndexFacts
from tabulary.database.connection import Connection
from tabulary.database.ddl import (
    DDL,
    LENGTH,
    ColumnSpec,
    ForeignKeySpec,
    NoSearchIndex,
    TableSpec,
    Verbatim,
    bare,
    foreign_key,
    geometry_kind,
)  # fmt: skip
from tabulary.database.dialects.sqlite import search
from tabulary.database.dialects.sqlite.rebuild import rebuild
from tabulary.database.dialects.sqlite.table_text import TableText
from tabulary.database.naming import constraint_name

_TYPES = {
    "text": "text",
    "csv": "text",
    "integer": "integer",
    "bigInteger": "bigint",
    "float": "float",
    "decimal": "float",
    "boolean": "boolean",
    "date": "date",
    "dateTime": "datetime",
    "timestamp": "datetime",
    "time": "time",
    "json": "json",
    "uuid": "char(36)",
    "binary": "blob",
}
_UUID = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)


class SQLiteDDL(DDL):
    index_name_limit: ClassVar[int | None] = None

    def type_text(self, spec: ColumnSpec) -> str:
        if spec.type in ("string", "hash"):
            return f"varchar({(spec.type == 'string' and spec.max_length) or LENGTH})"
        if spec.type.startswith("geometry"):
            return geometry_kind(spec.type)
        return _TYPES[spec.type]

    def auto_increment_type(self, spec: ColumnSpec) -> Verbatim:
        return Verbatim("integer", "primary key autoincrement")

    def current_timestamp(self, spec: ColumnSpec, precision: str | None) -> str:
        return "CURRENT_TIMESTAMP"

    def random_uuid(self) -> str:
        return _UUID

    # --- tables and columns ------------------------------------------------------------------
    async def create_tables(self, connection: Connection, tables: Sequence[TableSpec]) -> None:
        """Foreign keys are part of a table from the start; they may point at tables that come later."""
        for table in tables:
            await self._create_table(connection, table)

    def _table(self, table: TableSpec) -> sa.Table:
        made = super()._table(table)
        for key in table.foreign_keys:
            foreign_key(made, key, key.name)
        return made

    async def add_column(self, connection: Connection, table: str, spec: ColumnSpec) -> None:
        column = self._column(spec, alone=True)
        default = self.default_clause(spec)
        computed = isinstance(default, sa.TextClause) and default.text.startswith(("(", "CURRENT"))
        if not (spec.primary_key or computed) and (spec.nullable or default is not None):
            await self._run(connection, lambda op: op.add_column(table, column))
        else:  # ADD COLUMN takes no key and no computed default
            await self._change(connection, table, lambda text: text.add_column(spec.name, self._definition(spec)))
        await self._create_indexes(connection, TableSpec(table, [spec]))

    async def drop_table(self, connection: Connection, name: str) -> None:
        """With its search index, whose triggers go by themselves."""
        await super().drop_table(connection, name)
        await self.drop_search_index(connection, name)

    async def drop_column(self, connection: Connection, table: str, column: str) -> None:
        """The search index of the table is made again without the column: its triggers name it."""
        searched = await self._searched(connection, table)
        await self.drop_search_index(connection, table)
        await self._change(connection, table, lambda text: text.drop_column(column), without=column)
        kept = [name for name in searched if name != column]
        if kept and await search.key_is_rowid(connection, table):
            key = await connection.fetch_value("SELECT name FROM pragma_table_info(?) WHERE pk > 0", [table])
            for statement in await self.search_index_texts(connection, table, key, kept):
                await connection.execute(statement)

    async def alter_column(self, connection: Connection, table: str, spec: ColumnSpec) -> None:
        # the key and AUTOINCREMENT of the column stay clauses of its old definition
        definition = self._definition(replace(spec, auto_increment=False, primary_key=False))
        await self._change(connection, table, lambda text: text.alter_column(spec.name, definition))

    # --- indexes and foreign keys ------------------------------------------------------------
    def can_index(self, column: ColumnFacts) -> bool:
        return not column.data_type.startswith(("json", "blob"))

    async def search_index_texts(
        self, connection: Connection, table: str, key: str, columns: Sequence[str], concurrently: bool = False
    ) -> list[str]:
        """An index of trigrams, made anew where there is one already; it needs keys that are rowids."""
        if not await search.key_is_rowid(connection, table):
            raise NoSearchIndex(f'The key "{key}" of "{table}" is no INTEGER PRIMARY KEY, which the index needs.')
        quote = self.dialect.quote
        old = search.removal(quote, table) if await self._has_search_index(connection, table) else []
        return [*old, *search.creation(quote, table, key, columns)]

    def search_index_name(self, table: str, columns: Sequence[str]) -> str:
        return search.index_name(table)

    def drop_index_texts(self, table: str, name: str) -> list[str]:
        if name == search.index_name(table):
            return search.removal(self.dialect.quote, table)
        return super().drop_index_texts(table, name)

    async def drop_search_index(self, connection: Connection, table: str) -> None:
        if await self._has_search_index(connection, table):
            for statement in search.removal(self.dialect.quote, table):
                await connection.execute(statement)

    @staticmethod
    async def _has_search_index(connection: Connection, table: str) -> bool:
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(await connection.fetch_value(sql, [search.index_name(table)]))

    async def _searched(self, connection: Connection, table: str) -> tuple[str, ...]:
        found = await self.dialect.catalog.search_indexes(connection)
        return next((index.columns for index in found if index.table == table), ())

    async def create_unique(
        self, connection: Connection, table: str, *columns: str, concurrently: bool = False
    ) -> None:
        """A unique index: a constraint would be part of the table's text."""
        name = constraint_name(table, "_".join(columns), "unique")
        await self._make(connection, CreateIndex(sa.Index(name, *bare(table, *columns).c, unique=True)))

    async def _drop_one(self, connection: Connection, table: str, index: IndexFacts) -> None:
        """A constraint is part of the table's text."""
        if index.is_constraint:
            await self._change(connection, table, lambda text: text.drop_unique(index.columns[0]))
        else:
            await super()._drop_one(connection, table, index)

    async def add_foreign_key(self, connection: Connection, key: ForeignKeySpec) -> None:
        quote = self.dialect.quote
        target = f"{quote(key.related_table)} ({quote(key.related_column)})"
        clause = f"FOREIGN KEY ({quote(key.column)}) REFERENCES {target}"
        clause += f" ON DELETE {key.on_delete}" if key.on_delete else ""
        clause += f" ON UPDATE {key.on_update}" if key.on_update else ""
        await self._change(connection, key.table, lambda text: text.add_constraint(clause))

    async def drop_foreign_key(self, connection: Connection, table: str, column: str) -> str | None:
        """SQLite's foreign keys have no names: the column's name stands for it."""
        keys = await self.dialect.catalog.foreign_keys(connection)
        if not any(key.table == table and key.column == column for key in keys):
            return None
        await self._change(connection, table, lambda text: text.drop_foreign_key(column))
        return column

    def _definition(self, spec: ColumnSpec) -> str:
        """A column as it stands in CREATE TABLE."""
        return str(CreateColumn(self._column(spec, alone=True)).compile(dialect=self.dialect.sa_dialect)).strip()

    async def _change(
        self, connection: Connection, table: str, change: Callable[[TableText], TableText], without: str | None = None
    ) -> None:
        await rebuild(connection, self.dialect.quote, table, change, without)
        if not await search.key_is_rowid(connection, table):
            await self.drop_search_index(connection, table)  # its rows have other numbers now
