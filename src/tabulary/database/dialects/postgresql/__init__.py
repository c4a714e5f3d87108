"""PostgreSQL, and what speaks its protocol."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy.dialects.postgresql.base import PGDialect

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
    client_names: ClassVar[tuple[str, ...]] = ("pg", "postgres", "postgresql", "cockroachdb")
    transactional_ddl: ClassVar[bool] = True
    has_returning = True
    has_writable_cte: ClassVar[bool] = True
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

    async def lock(self, connection: Connection, name: str) -> None:
        await connection.execute("SELECT pg_advisory_xact_lock($1::int4, hashtext($2::text))", (_LOCK_SPACE, name))

    async def notify(self, connection: Connection, channel: str) -> None:
        await connection.execute("SELECT pg_notify($1, '')", (channel,))


DIALECT = PostgreSQL
