"""CockroachDB, which speaks PostgreSQL's protocol and most of its SQL.

What differs, with the page of its documentation (cockroachlabs.com/docs/stable/…) that says so:

* A change of tables commits the open transaction and is one of its own (``session-variables``:
  ``autocommit_before_ddl``, ``online-schema-changes#limitations``). So changes of the data model keep a journal, as on
  MariaDB, and their lock is held on a connection beside.
* Advisory locks do nothing (``functions-and-operators``: compatibility functions). A lock is a row that is written.
* Nothing listens and nothing notifies (``postgresql-compatibility``).
* ``READ COMMITTED`` is asked for, as PostgreSQL has it and our guards are made for (``read-committed``); where a
  cluster does not give it, transactions are ``SERIALIZABLE`` and lose more races
  (``transaction-retry-error-reference``).
* Integers are of 64 bits where their size is not said (``int``), and ``SERIAL`` makes keys beyond 2^53 (``serial``),
  which JavaScript cannot hold: keys are identity columns with a sequence (``create-table#identity-columns``).
* JSON is always JSONB (``jsonb``): the order of members is the alphabet's.

No CockroachDB takes part in the tests: its SQL is compiled and compared, and what PostgreSQL understands of it runs
there.
"""

from __future__ import annotations

from typing import ClassVar

from tabulary.database.connection import Connection
from tabulary.database.dialects.cockroachdb.catalog import CockroachDBCatalog
from tabulary.database.dialects.cockroachdb.ddl import CockroachDBDDL
from tabulary.database.dialects.cockroachdb.driver import CockroachDBConnection, CockroachDBDriver
from tabulary.database.dialects.cockroachdb.dump import CockroachDBDump
from tabulary.database.dialects.cockroachdb.expressions import CockroachDBExpressions
from tabulary.database.dialects.cockroachdb.journal import CockroachDBJournal
from tabulary.database.dialects.postgresql import PostgreSQL
from tabulary.database.driver import Driver
from tabulary.database.options import ConnectionOptions


class CockroachDB(PostgreSQL):
    """See the module."""

    name: ClassVar[str] = "cockroachdb"
    vendor: ClassVar[str] = "cockroachdb"
    client_names: ClassVar[tuple[str, ...]] = ("cockroachdb",)
    transactional_ddl: ClassVar[bool] = False
    # several changes in one statement are allowed as long as their tables differ (known-limitations); a row with its
    # trail may be two of the same, and the longer way is the one that all databases can go
    has_writable_cte: ClassVar[bool] = False
    has_notices: ClassVar[bool] = False
    retry_delays: ClassVar[tuple[float, ...]] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)

    def __init__(self) -> None:
        super().__init__()
        self.expressions = CockroachDBExpressions()
        self.catalog = CockroachDBCatalog()
        self.ddl = CockroachDBDDL(self)
        self.dump = CockroachDBDump()
        self.journal = CockroachDBJournal()

    def driver(self, options: ConnectionOptions) -> Driver:
        return CockroachDBDriver(self, options)

    def learn(self, server: str) -> None:
        """Any version: what a server lacks it says itself."""

    async def lock(self, connection: Connection, name: str, *, through_ddl: bool = False) -> None:
        own = connection.inner
        assert isinstance(own, CockroachDBConnection)
        await own.hold(name, through_ddl)


DIALECT = CockroachDB
