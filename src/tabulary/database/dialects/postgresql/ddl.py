"""Column types and DDL of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from tabulary.database.connection import Connection
from tabulary.database.ddl import DDL, LENGTH, PRECISION, SCALE, ColumnSpec, Verbatim, bare, geometry_kind
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


class PostgreSQLDDL(DDL):
    index_name_limit: ClassVar[int | None] = 63

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
        await self._index(connection, name, table, columns, unique=True, concurrently=True)

    async def create_index(self, connection: Connection, table: str, *columns: str, concurrently: bool = False) -> None:
        name = constraint_name(table, "_".join(columns), "index", self.index_name_limit)
        await self._index(connection, name, table, columns, unique=False, concurrently=concurrently)

    async def _index(
        self, connection: Connection, name: str, table: str, columns: Sequence[str], *, unique: bool, concurrently: bool
    ) -> None:
        index = sa.Index(name, *bare(table, *columns).c, unique=unique, postgresql_concurrently=concurrently)
        await self._make(connection, CreateIndex(index))
