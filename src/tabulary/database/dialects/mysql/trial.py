"""Measuring reads on MariaDB and MySQL. What is made of indexes there is committed at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.trial import Trial, Work

_BYTES = "SELECT INDEX_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
_KEY, _ROWS = 6, 9
"""Where EXPLAIN of MySQL shows the index and the rows that it expects."""


class MySQLTrial(Trial):
    """See the module."""

    unit: ClassVar[str] = "rows"
    can_take_back: ClassVar[bool] = False

    async def work(self, connection: Connection, sql: str, values: Sequence[Any]) -> Work:
        """MariaDB counts the rows of a run; of MySQL we take the estimate."""
        if connection.dialect.has_returning:
            text = await connection.fetch_value(f"ANALYZE FORMAT=JSON {sql}", values)
            told = json.decode(text)
            nodes = list(_nodes(told))
            rows = sum(
                node["r_rows"] * node["r_loops"] for node in nodes if node.get("r_rows") and "table_name" in node
            )
            used = frozenset(node["key"] for node in nodes if isinstance(node.get("key"), str))
            return Work(int(rows), used, told["query_block"]["r_total_time_ms"])
        began = time.perf_counter()
        await connection.fetch_rows(sql, values)
        took = (time.perf_counter() - began) * 1000
        lines = await connection.fetch_rows(f"EXPLAIN {sql}", values)
        used = frozenset(str(line[_KEY]) for line in lines if line[_KEY])
        return Work(sum(int(line[_ROWS] or 0) for line in lines), used, took)

    async def bytes(self, connection: Connection, table: str) -> int:
        return int(await connection.fetch_value(_BYTES, [table]) or 0)

    async def settle(self, connection: Connection, table: str) -> None:
        await connection.fetch_rows(f"ANALYZE TABLE {connection.dialect.quote(table)}")


def _nodes(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        yield found
        found = list(found.values())
    if isinstance(found, list):
        for entry in found:
            yield from _nodes(entry)
