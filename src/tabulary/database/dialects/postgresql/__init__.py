"""PostgreSQL, and what speaks its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy.dialects.postgresql.base import PGDialect

from tabulary.core import json
from tabulary.core.errors import ConfigurationError
from tabulary.database.connection import Connection
from tabulary.database.dialects.base import Dialect
from tabulary.database.dialects.postgresql import errors
from tabulary.database.dialects.postgresql.catalog import PostgreSQLCatalog
from tabulary.database.dialects.postgresql.ddl import PostgreSQLDDL
from tabulary.database.dialects.postgresql.driver import PostgreSQLDriver
from tabulary.database.dialects.postgresql.dump import PostgreSQLDump
from tabulary.database.dialects.postgresql.expressions import PostgreSQLExpressions
from tabulary.database.dialects.postgresql.trial import PostgreSQLTrial
from tabulary.database.dialects.postgresql.values import PostgreSQLValues
from tabulary.database.driver import Driver
from tabulary.database.options import ConnectionOptions

_LOCK_SPACE = 0x7461_6275
"""First key of our advisory locks ("tabu"), so that they do not meet other programs' locks."""


class PostgreSQL(Dialect):
    name: ClassVar[str] = "postgresql"
    vendor: ClassVar[str] = "postgres"
    client_names: ClassVar[tuple[str, ...]] = ("pg", "postgres", "postgresql")
    transactional_ddl: ClassVar[bool] = True
    has_returning = True
    has_writable_cte: ClassVar[bool] = True
    has_notices: ClassVar[bool] = True
    problems = errors

    def __init__(self) -> None:
        # the base dialect writes no casts around parameters: they are text of the column's type
        self.sa_dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        self.sa_dialect._backslash_escapes = False  # standard_conforming_strings is on
        self.expressions = PostgreSQLExpressions()
        self.values = PostgreSQLValues()
        self.catalog = PostgreSQLCatalog()
        self.ddl = PostgreSQLDDL(self)
        self.dump = PostgreSQLDump()
        self.trial = PostgreSQLTrial()

    def driver(self, options: ConnectionOptions) -> Driver:
        return PostgreSQLDriver(self, options)

    def learn(self, server: str) -> None:
        """Raises :class:`ConfigurationError` for CockroachDB, which needs a dialect of its own."""
        if server.startswith("CockroachDB"):
            raise ConfigurationError(f"The database is {server.partition(' (')[0]}: set DB_CLIENT=cockroachdb")

    async def lock(self, connection: Connection, name: str, *, through_ddl: bool = False) -> None:
        await connection.execute("SELECT pg_advisory_xact_lock($1::int4, hashtext($2::text))", (_LOCK_SPACE, name))

    async def notify(self, connection: Connection, channel: str) -> None:
        if self.has_notices:
            await connection.execute("SELECT pg_notify($1, '')", (channel,))

    async def estimate(self, connection: Connection, sql: str, values: Sequence[Any], table: str | None) -> int | None:
        plan = json.decode(await connection.fetch_value(f"EXPLAIN (FORMAT JSON) {sql}", values))
        return int(plan[0]["Plan"]["Plan Rows"])


DIALECT = PostgreSQL
