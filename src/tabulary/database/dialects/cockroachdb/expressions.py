"""Read expressions of CockroachDB: those of PostgreSQL, with rows named by their table."""

from __future__ import annotations

from typing import ClassVar

from tabulary.database.dialects.postgresql.expressions import PostgreSQLExpressions


class CockroachDBExpressions(PostgreSQLExpressions):
    """``x.*`` is no argument of a function here; the name of a derived table is the row, and no field has this one."""

    row: ClassVar[str] = "tabulary_row"
    row_value: ClassVar[str] = "tabulary_row"
