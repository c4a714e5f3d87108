"""The rows that people store about their collections, fields and relations, read in one go and made plain.

``directus_collections``, ``directus_fields`` and ``directus_relations`` are read directly and not through the items
engine, because the engine cannot work before this is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from tabulary.database.catalog import ColumnFacts
from tabulary.database.connection import Connection
from tabulary.schema.system import SystemMetadata
from tabulary.schema.types import platform_type

Row = dict[str, Any]

_TABLES = (("directus_collections", "collection"), ("directus_fields", "id"), ("directus_relations", "id"))


@dataclass(frozen=True)
class Metadata:
    """Metadata rows by table, with JSON parsed, csv split and booleans as booleans; keys in table order."""

    collections: tuple[Row, ...] = ()
    fields: tuple[Row, ...] = ()
    relations: tuple[Row, ...] = ()


async def read_metadata(
    connection: Connection, columns: Mapping[str, Sequence[ColumnFacts]], system: SystemMetadata
) -> Metadata:
    """Read the three tables. A table that the catalog does not have counts as empty (a database before bootstrap)."""
    found: list[tuple[Row, ...]] = []
    for table, order in _TABLES:
        facts = columns.get(table)
        found.append(await _rows(connection, table, facts, order, system) if facts else ())
    return Metadata(*found)


async def _rows(
    connection: Connection, table: str, facts: Sequence[ColumnFacts], order: str, system: SystemMetadata
) -> tuple[Row, ...]:
    source = sa.table(table, *(sa.column(fact.name) for fact in facts))
    known = system.fields.get(table, {})
    kinds = {f.name: platform_type(f.data_type, known.get(f.name, {}).get("special") or ()) for f in facts}
    rows = await connection.select(sa.select(*source.columns).order_by(source.columns[order]))
    return tuple({name: _plain(value, kinds[name]) for name, value in row.items()} for row in rows)


def _plain(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "json" and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:  # one row that nobody can read must not close the platform
            return value
    if kind == "csv" and isinstance(value, str):
        return value.split(",") if value else []
    return value
