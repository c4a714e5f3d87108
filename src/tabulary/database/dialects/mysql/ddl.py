"""Column types and DDL of MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import sqlalchemy as sa

from tabulary.database.connection import Connection
from tabulary.database.ddl import (
    DDL,
    LENGTH,
    PRECISION,
    SCALE,
    ColumnSpec,
    ForeignKeySpec,
    NoSearchIndex,
    Verbatim,
    geometry_kind,
)

_TYPES = {
    "text": "text",
    "csv": "text",
    "integer": "int",
    "bigInteger": "bigint",
    "boolean": "tinyint(1)",
    "date": "date",
    "dateTime": "datetime",
    "timestamp": "timestamp",
    "time": "time",
    "json": "json",
    "uuid": "char(36)",
    "binary": "blob",
}
_LONG = frozenset({"text", "csv", "json", "binary"})
_COLUMN = """
SELECT COLUMN_TYPE, EXTRA, COLUMN_COMMENT, IS_NULLABLE, COLUMN_DEFAULT FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s AND COLUMN_NAME = %s
"""


class MySQLDDL(DDL):
    index_name_limit: ClassVar[int | None] = 64
    indexes_foreign_keys: ClassVar[bool] = True

    def type_text(self, spec: ColumnSpec) -> str:
        precision, scale = spec.precision or PRECISION, SCALE if spec.scale is None else spec.scale
        if spec.type in ("string", "hash"):
            return f"varchar({(spec.type == 'string' and spec.max_length) or LENGTH})"
        if spec.type in ("float", "decimal"):
            return f"{spec.type}({precision}, {scale})"
        if spec.type.startswith("geometry"):
            return geometry_kind(spec.type)
        unsigned = " unsigned" if spec.unsigned and spec.type in ("integer", "bigInteger") else ""
        return _TYPES[spec.type] + unsigned

    def auto_increment_type(self, spec: ColumnSpec) -> Verbatim:
        return Verbatim(self.type_text(replace(spec, unsigned=True)), "auto_increment")

    def column_type(self, spec: ColumnSpec) -> Verbatim:
        kind = super().column_type(spec)
        if spec.type == "timestamp" and spec.nullable and not spec.primary_key:
            return Verbatim(kind.text, "NULL")  # without the word, older servers make the column NOT NULL
        return kind

    def random_uuid(self) -> str:
        return "(uuid())"

    def literal_default(self, spec: ColumnSpec, text: str) -> str | sa.TextClause:
        if spec.type not in _LONG:
            return text
        literal = str(
            sa.literal(text, sa.String()).compile(
                dialect=self.dialect.sa_dialect, compile_kwargs={"literal_binds": True}
            )
        ).replace("%%", "%")  # the clause doubles percent signs again
        return sa.text(f"({literal})".replace(":", r"\:"))  # long types take expressions only

    async def alter_column(self, connection: Connection, table: str, spec: ColumnSpec) -> None:
        """One MODIFY with the whole definition; what it would lose (unsigned, auto increment, comment) is repeated."""
        kind = self.column_type(spec).text
        comment = None
        for declared, extra, comment_text, *_ in await connection.fetch_rows(_COLUMN, [table, spec.name]):
            if "unsigned" in declared and spec.type in ("integer", "bigInteger") and "unsigned" not in kind:
                kind += " unsigned"
            spec = replace(spec, auto_increment="auto_increment" in extra)
            comment = comment_text or None
        suffix = "auto_increment" if spec.auto_increment else ""
        if spec.type == "timestamp" and spec.nullable:
            suffix = "NULL"
        await self._run(
            connection,
            lambda op: op.alter_column(
                table,
                spec.name,
                type_=Verbatim(kind, suffix),
                nullable=spec.nullable and not spec.primary_key,
                server_default=self.default_clause(spec),
                existing_comment=comment,
            ),
        )

    async def add_foreign_key(self, connection: Connection, key: ForeignKeySpec) -> None:
        """An ``int`` column that points at an ``int unsigned`` key becomes unsigned first."""
        column = await connection.fetch_rows(_COLUMN, [key.table, key.column])
        target = await connection.fetch_rows(_COLUMN, [key.related_table, key.related_column])
        if column and target:
            declared, extra, comment, nullable, default = column[0]
            if target[0][0].endswith("unsigned") and not declared.endswith("unsigned") and "int" in declared:
                given = None if default in (None, "NULL") else sa.text(default.replace(":", r"\:"))
                await self._run(
                    connection,
                    lambda op: op.alter_column(
                        key.table,
                        key.column,
                        type_=Verbatim(declared + " unsigned", extra),
                        nullable=nullable == "YES",
                        server_default=given,
                        existing_comment=comment or None,
                    ),
                )
        await super().add_foreign_key(connection, key)

    def drop_index_texts(self, table: str, name: str) -> list[str]:
        return [f"DROP INDEX {self.dialect.quote(name)} ON {self.dialect.quote(table)}"]

    async def search_index_texts(
        self, connection: Connection, table: str, key: str, columns: Sequence[str], concurrently: bool = False
    ) -> list[str]:
        raise NoSearchIndex(
            "FULLTEXT indexes find words and their beginnings; a search finds parts of words, which no index here does."
        )

    async def drop_column(self, connection: Connection, table: str, column: str) -> None:
        """The foreign key goes first: a column cannot be dropped under it."""
        await self.drop_foreign_key(connection, table, column)
        await super().drop_column(connection, table, column)
