"""The catalog of CockroachDB, which is PostgreSQL's but for what we keep there ourselves and for numbered keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tabulary.database.catalog import ColumnFacts, TableFacts
from tabulary.database.connection import Connection
from tabulary.database.dialects.cockroachdb.driver import LOCKS
from tabulary.database.dialects.postgresql.catalog import PostgreSQLCatalog
from tabulary.database.journal import JOURNAL

_OURS = frozenset({LOCKS, JOURNAL})
_NUMBERED = ("unique_rowid()", "nextval(")


class CockroachDBCatalog(PostgreSQLCatalog):
    async def tables(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[TableFacts]:
        return [table for table in await super().tables(connection, settings) if table.name not in _OURS]

    async def columns(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[ColumnFacts]:
        return [numbered(column) for column in await super().columns(connection, settings) if column.table not in _OURS]


def numbered(column: ColumnFacts) -> ColumnFacts:
    """A key that ``SERIAL`` made numbers itself, too: by ``unique_rowid()``, or by a sequence that nobody owns."""
    by_default = column.is_primary_key and (column.default_value or "").startswith(_NUMBERED)
    return replace(column, has_auto_increment=True) if by_default else column
