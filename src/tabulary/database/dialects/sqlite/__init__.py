"""SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from tabulary.database.connection import Connection
from tabulary.database.dialects.base import Dialect, Steps
from tabulary.database.dialects.sqlite import errors
from tabulary.database.dialects.sqlite.catalog import SQLiteCatalog
from tabulary.database.dialects.sqlite.ddl import SQLiteDDL
from tabulary.database.dialects.sqlite.driver import SQLiteDriver
from tabulary.database.dialects.sqlite.dump import SQLiteDump
from tabulary.database.dialects.sqlite.expressions import SQLiteExpressions
from tabulary.database.dialects.sqlite.trial import SQLiteTrial
from tabulary.database.dialects.sqlite.values import SQLiteValues
from tabulary.database.driver import Driver
from tabulary.database.options import ConnectionOptions


class SQLite(Dialect):
    name: ClassVar[str] = "sqlite"
    vendor: ClassVar[str] = "sqlite"
    client_names: ClassVar[tuple[str, ...]] = ("sqlite3", "sqlite", "better-sqlite3")
    transactional_ddl: ClassVar[bool] = True
    has_returning = True
    steps: ClassVar[Steps | None] = Steps(last_key=sa.func.last_insert_rowid(type_=sa.Integer()), schema="main")
    problems = errors

    def __init__(self) -> None:
        self.sa_dialect = SQLiteDialect(paramstyle="qmark")
        self.expressions = SQLiteExpressions()
        self.values = SQLiteValues()
        self.catalog = SQLiteCatalog()
        self.ddl = SQLiteDDL(self)
        self.dump = SQLiteDump()
        self.trial = SQLiteTrial()

    def driver(self, options: ConnectionOptions) -> Driver:
        return SQLiteDriver(self, options)

    async def plan(self, connection: Connection, sql: str, values: Sequence[Any]) -> str:
        rows = await connection.fetch_rows(f"EXPLAIN QUERY PLAN {sql}", values)
        return "\n".join(str(row[-1]) for row in rows)

    def automatic_special(self, type_name: str) -> str | None:
        return "cast-timestamp" if type_name == "timestamp" else super().automatic_special(type_name)

    async def estimate(self, connection: Connection, sql: str, values: Sequence[Any], table: str | None) -> int | None:
        """Only of whole tables, and only after somebody ran ``ANALYZE``: plans say no numbers here."""
        if table is None or not await connection.fetch_value("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'"):
            return None
        rows = await connection.fetch_rows("SELECT stat FROM sqlite_stat1 WHERE tbl = ?", [table])
        return max((int(str(stat).split(" ")[0]) for (stat,) in rows if stat), default=None)


DIALECT = SQLite
