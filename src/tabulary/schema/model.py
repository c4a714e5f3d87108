"""The data model in full: what the catalog and the metadata say, and the API objects that ``/collections`` and
``/fields`` show of it (spec schema-and-platform §2.3–2.4). The overview is the part of it that items work with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tabulary.core.settings import Settings
from tabulary.database.catalog import ColumnFacts, ForeignKeyFacts, TableFacts
from tabulary.database.connection import Connection
from tabulary.database.versions import TABLE
from tabulary.schema.build import build_schema
from tabulary.schema.metadata import Metadata, read_metadata
from tabulary.schema.overview import Relation, Schema
from tabulary.schema.system import Meta, SystemMetadata
from tabulary.schema.types import default_value, is_alias, platform_type

ApiObject = dict[str, Any]


@dataclass(frozen=True)
class DataModel:
    """Everything known of the data model at one moment. Immutable; the objects it hands out are the caller's own."""

    tables: tuple[TableFacts, ...]
    columns: Mapping[str, Sequence[ColumnFacts]]
    foreign_keys: tuple[ForeignKeyFacts, ...]
    metadata: Metadata
    system: SystemMetadata
    excluded: frozenset[str]
    schema: Schema

    # --- looking up --------------------------------------------------------------------------
    def table(self, name: str) -> TableFacts | None:
        return self._tables.get(name)

    def column(self, collection: str, name: str) -> ColumnFacts | None:
        return next((c for c in self.columns.get(collection, ()) if c.name == name), None)

    def collection_row(self, collection: str) -> Meta | None:
        """The stored metadata row, None for what has none (system collections too)."""
        return next((row for row in self.metadata.collections if row["collection"] == collection), None)

    def field_row(self, collection: str, name: str) -> Meta | None:
        return next((r for r in self.metadata.fields if r["collection"] == collection and r["field"] == name), None)

    def relation(self, collection: str, name: str) -> Relation | None:
        """The relation whose many side is this field."""
        return next((r for r in self.schema.relations if r.collection == collection and r.field == name), None)

    # --- API objects -------------------------------------------------------------------------
    def collections(self) -> list[ApiObject]:
        """All collections: stored rows, then the system's, then tables that nobody described."""
        described = [*self.metadata.collections, *self.system.collections.values()]
        found = [self._described(meta) for meta in described if meta["collection"] not in self.excluded]
        known = {meta["collection"] for meta in described} | self.excluded
        found += [
            {"collection": table.name, "schema": dict(table.schema), "meta": None}
            for table in self.tables
            if table.name not in known
        ]
        return found

    def fields(self, collection: str | None = None) -> list[ApiObject]:
        """The fields of one or of all collections: columns in catalog order, then aliases."""
        served = self.schema.collections
        columns = [
            self._column_object(column)
            for table in ([collection] if collection else self.columns)
            if table in served
            for column in self.columns.get(table, ())
        ]
        aliases = [
            {"collection": row["collection"], "field": row["field"], "type": "alias", "schema": None, "meta": dict(row)}
            for row in self._field_rows(collection)
            if row["collection"] in served
            and is_alias(row["special"] or ())
            and (row["collection"], row["field"]) not in self._columns
        ]
        return columns + aliases

    def field(self, collection: str, name: str) -> ApiObject | None:
        """One field, also one whose metadata row stands alone; None when there is neither column nor metadata."""
        column = self._columns.get((collection, name))
        meta = self._field_metas.get((collection, name))
        if column is None and meta is None:
            return None
        found = self._column_object(column) if column else {"type": "alias", "schema": None}
        return {
            "collection": collection,
            "field": name,
            "type": found["type"],
            "meta": None if meta is None else dict(meta),
            "schema": found["schema"],
        }

    def _described(self, meta: Meta) -> ApiObject:
        table = self.table(meta["collection"])
        return {
            "collection": meta["collection"],
            "meta": dict(meta),
            "schema": None if table is None else dict(table.schema),
        }

    def _column_object(self, column: ColumnFacts) -> ApiObject:
        meta = self._field_metas.get((column.table, column.name))
        kind = platform_type(
            column.data_type,
            (meta or {}).get("special") or (),
            precision=column.numeric_precision,
            scale=column.numeric_scale,
            max_length=column.max_length,
        )
        return {
            "collection": column.table,
            "field": column.name,
            "type": kind,
            "schema": {**column.as_schema(), "default_value": default_value(column.default_value, kind)},
            "meta": None if meta is None else dict(meta),
        }

    def _field_rows(self, collection: str | None) -> Iterable[Meta]:
        for row in self.metadata.fields:
            if collection in (None, row["collection"]):
                yield row
        for name, metas in self.system.fields.items():
            if collection in (None, name):
                yield from metas.values()

    @cached_property
    def _tables(self) -> dict[str, TableFacts]:
        return {table.name: table for table in self.tables}

    @cached_property
    def _columns(self) -> dict[tuple[str, str], ColumnFacts]:
        return {(c.table, c.name): c for columns in self.columns.values() for c in columns}

    @cached_property
    def _field_metas(self) -> dict[tuple[str, str], Meta]:
        return {(row["collection"], row["field"]): row for row in self._field_rows(None)}


async def read_data_model(
    connection: Connection, settings: Settings, system: SystemMetadata, version: int = 0
) -> DataModel:
    """Read catalog and metadata through ``connection`` (an open transaction sees its own changes)."""
    catalog = connection.dialect.catalog
    tables = tuple(await catalog.tables(connection, settings))
    names = {table.name for table in tables}
    columns: dict[str, list[ColumnFacts]] = {}
    for column in await catalog.columns(connection, settings):
        if column.table in names:
            columns.setdefault(column.table, []).append(column)
    foreign_keys = tuple(await catalog.foreign_keys(connection, settings))
    metadata = await read_metadata(connection, columns, system)
    excluded = frozenset((*(settings.get("DB_EXCLUDE_TABLES") or ()), TABLE))
    searched = await catalog.search_indexes(connection)
    schema = build_schema(tables, columns, foreign_keys, metadata, system, excluded, version, searched)
    return DataModel(tables, columns, foreign_keys, metadata, system, excluded, schema)
