"""Trying indexes out on PostgreSQL: in a transaction that is rolled back, on the tables themselves.

Writers of a table wait while an index of it is tried; a try that would have to wait for others gives up instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.trial import Trial, Work

_BYTES = "SELECT pg_indexes_size(to_regclass(quote_ident($1)))"
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


class PostgreSQLTrial(Trial):
    """See the module."""

    unit: ClassVar[str] = "rows"

    async def work(self, connection: Connection, sql: str, values: Sequence[Any]) -> Work:
        text = await connection.fetch_value(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", values)
        told = json.decode(text)[0]
        nodes = list(_nodes(told["Plan"]))
        used = frozenset(node["Index Name"] for node in nodes if "Index Name" in node)
        return Work(sum(map(_rows, nodes)), used, told["Execution Time"])

    async def bytes(self, connection: Connection, table: str) -> int:
        return int(await connection.fetch_value(_BYTES, [table]) or 0)

    async def prepare(self, connection: Connection) -> None:
        await connection.execute(_LOCK_TIMEOUT)

    async def settle(self, connection: Connection, table: str) -> None:
        await connection.execute(f"ANALYZE {connection.dialect.quote(table)}")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    """Rows of a table that a node has looked at."""
    if "Relation Name" not in node:
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 1))
