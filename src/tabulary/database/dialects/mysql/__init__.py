"""MariaDB and MySQL."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from sqlalchemy.dialects.mysql.base import MySQLDialect

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.dialects.base import Dialect
from tabulary.database.dialects.mysql import errors
from tabulary.database.dialects.mysql.catalog import MySQLCatalog
from tabulary.database.dialects.mysql.ddl import MySQLDDL
from tabulary.database.dialects.mysql.driver import MySQLConnection, MySQLDriver
from tabulary.database.dialects.mysql.dump import MySQLDump
from tabulary.database.dialects.mysql.expressions import MySQLExpressions
from tabulary.database.dialects.mysql.journal import MySQLJournal
from tabulary.database.dialects.mysql.scratch import scratch
from tabulary.database.dialects.mysql.trial import MySQLTrial
from tabulary.database.dialects.mysql.values import MySQLValues
from tabulary.database.driver import Driver
from tabulary.database.options import ConnectionOptions


class MySQL(Dialect):
    name: ClassVar[str] = "mysql"
    vendor: ClassVar[str] = "mysql"
    client_names: ClassVar[tuple[str, ...]] = ("mysql", "mysql2", "mariadb")
    transactional_ddl: ClassVar[bool] = False
    has_returning = False
    problems = errors

    def __init__(self) -> None:
        self.sa_dialect = MySQLDialect(paramstyle="format")
        self.expressions = MySQLExpressions()
        self.values = MySQLValues()
        self.catalog = MySQLCatalog()
        self.ddl = MySQLDDL(self)
        self.dump = MySQLDump()
        self.trial = MySQLTrial()
        self.journal = MySQLJournal()

    def driver(self, options: ConnectionOptions) -> Driver:
        return MySQLDriver(self, options)

    def learn(self, server: str) -> None:
        """Take note of what a server can do, by its version: ``10.11.19-MariaDB`` knows RETURNING, MySQL does not."""
        version = tuple(int(part) for part in re.findall(r"\d+", server.removeprefix("5.5.5-"))[:2])
        self.has_returning = "mariadb" in server.lower() and version >= (10, 5)
        self.sa_dialect.insert_returning = self.has_returning

    def scratch(self, connection: Connection, empty: Collection[str]) -> AbstractAsyncContextManager[None]:
        return scratch(connection, empty)

    async def lock(self, connection: Connection, name: str, *, through_ddl: bool = False) -> None:
        own = connection.inner
        assert isinstance(own, MySQLConnection)
        await own.hold(name)

    async def estimate(self, connection: Connection, sql: str, values: Sequence[Any], table: str | None) -> int | None:
        plan = json.decode(await connection.fetch_value(f"EXPLAIN FORMAT=JSON {sql}", values))
        return _rows_of(plan.get("query_block", {}))


def _rows_of(block: Mapping[str, Any]) -> int | None:
    """The rows that a plan expects: of each table so many, of which so many in a hundred meet the conditions.

    MySQL says what comes out of the last join; None where there is no such number, as for conditions that never hold.
    """
    found = 1.0
    for step in block.get("nested_loop", [block]):
        table = step.get("table", {})
        if "rows_produced_per_join" in table:
            found = float(table["rows_produced_per_join"])
        elif "rows" in table:
            found *= float(table["rows"]) * float(table.get("filtered", 100)) / 100
        else:
            return None
    return int(found)


DIALECT = MySQL
