"""Column types and DDL of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from tabulary.database.catalog import ColumnFacts
from tabulary.database.connection import Connection
from tabulary.database.ddl import (
    DDL,
    LENGTH,
    PRECISION,
    SCALE,
    ColumnSpec,
    NoSearchIndex,
    Verbatim,
    bare,
    geometry_kind,
)
from tabulary.database.naming import constraint_name

_TYPES = {
    "text": "text",
    "csv": "text",
    "integer": "integer",
    "bigInteger": "bigint",
    "float": "real",
    "boolean": "boolean",
    "date": "date",
    "dateTime": "timestamp without time zone",
    "timestamp": "timestamp with time zone",
    "time": "time without time zone",
    "json": "json",
    "uuid": "uuid",
    "binary": "bytea",
}

_LONGEST_INDEXED = 600
"""Characters, of at most four bytes."""
_TRIGRAMS_PLACE = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'
"""
_INVALID = """
SELECT 1 FROM pg_index x WHERE x.indexrelid = to_regclass(quote_ident($1)) AND NOT x.indisvalid
"""
_TRIGRAMS_AVAILABLE = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"


class PostgreSQLDDL(DDL):
    index_name_limit: ClassVar[int | None] = 63
    indexes_concurrently: ClassVar[bool] = True

    def type_text(self, spec: ColumnSpec) -> str:
        if spec.type in ("string", "hash"):
            return f"varchar({(spec.type == 'string' and spec.max_length) or LENGTH})"
        if spec.type == "decimal":
            return f"numeric({spec.precision or PRECISION}, {SCALE if spec.scale is None else spec.scale})"
        if spec.type.startswith("geometry"):
            return f"geometry({geometry_kind(spec.type)}, 4326)"
        return _TYPES[spec.type]

    def auto_increment_type(self, spec: ColumnSpec) -> Verbatim:
        return Verbatim("bigserial" if spec.type == "bigInteger" else "serial")

    def boolean_default(self, value: bool) -> str:
        return "true" if value else "false"

    async def alter_column(self, connection: Connection, table: str, spec: ColumnSpec) -> None:
        """Default and NOT NULL leave first, as both may not fit the new type, and come back after it."""
        self.column_type(spec)
        kind = self.type_text(spec)
        column = self.dialect.quote(spec.name)
        keeps_constraint = spec.primary_key  # a key cannot lose NOT NULL
        if not spec.auto_increment:
            await self._run(connection, lambda op: op.alter_column(table, spec.name, server_default=None))
        if not keeps_constraint:
            await self._run(connection, lambda op: op.alter_column(table, spec.name, nullable=True))
        await self._run(
            connection,
            lambda op: op.alter_column(table, spec.name, type_=Verbatim(kind), postgresql_using=f"{column}::{kind}"),
        )
        if (default := self.default_clause(spec)) is not None:
            await self._run(connection, lambda op: op.alter_column(table, spec.name, server_default=default))
        if not (spec.nullable or keeps_constraint):
            await self._run(connection, lambda op: op.alter_column(table, spec.name, nullable=False))

    async def create_unique(
        self, connection: Connection, table: str, *columns: str, concurrently: bool = False
    ) -> None:
        """Online, only an index can be made, not a constraint; it must not run in a transaction."""
        if not concurrently:
            await super().create_unique(connection, table, *columns)
            return
        name = constraint_name(table, "_".join(columns), "unique", self.index_name_limit)
        index = sa.Index(name, *bare(table, *columns).c, unique=True, postgresql_concurrently=True)
        await self._make(connection, CreateIndex(index))

    def index_text(self, table: str, *columns: str, concurrently: bool = False) -> str:
        name = self.index_name(table, *columns)
        index = sa.Index(name, *bare(table, *columns).c, postgresql_concurrently=concurrently)
        return self._text(CreateIndex(index))

    async def drop_remains(self, connection: Connection, name: str) -> None:
        if await connection.fetch_value(_INVALID, [name]):
            await connection.execute(f"DROP INDEX IF EXISTS {self.dialect.quote(name)}")

    def can_index(self, column: ColumnFacts) -> bool:
        """A value has to fit a third of a page (2,704 bytes): writing a longer one would fail because of the index."""
        if column.data_type == "character varying":
            return column.max_length is not None and column.max_length <= _LONGEST_INDEXED
        return super().can_index(column)

    async def search_index_texts(
        self, connection: Connection, table: str, key: str, columns: Sequence[str], concurrently: bool = False
    ) -> list[str]:
        """A GIN index of trigrams over ``lower(column)``: what a search compares, so that the planner does the rest."""
        schema = await connection.fetch_value(_TRIGRAMS_PLACE)
        texts = []
        if schema is None:
            if not await connection.fetch_value(_TRIGRAMS_AVAILABLE):
                raise NoSearchIndex("The server lacks the extension pg_trgm (package postgresql-contrib).")
            texts = ["CREATE EXTENSION IF NOT EXISTS pg_trgm"]
        quote = self.dialect.quote
        operators = f"{quote(schema)}.gin_trgm_ops" if schema else "gin_trgm_ops"
        name = self.search_index_name(table, columns)
        indexed = ", ".join(f"lower({quote(column)}) {operators}" for column in columns)
        how = "INDEX CONCURRENTLY" if concurrently else "INDEX"
        return [*texts, f"CREATE {how} {quote(name)} ON {quote(table)} USING gin ({indexed})"]
