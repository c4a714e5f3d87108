"""The overview, joined from what the catalog says and what the metadata adds (spec schema-and-platform §1.2, §1.7).

Pure: the same facts and rows give the same schema.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tabulary.database.catalog import ColumnFacts, ForeignKeyFacts, SearchIndexFacts, TableFacts
from tabulary.schema.metadata import Metadata
from tabulary.schema.overview import AUTO_INCREMENT, Collection, Field, Relation, Schema
from tabulary.schema.system import Meta, SystemMetadata
from tabulary.schema.types import default_value, is_alias, platform_type

logger = logging.getLogger("tabulary.schema")


def build_schema(
    tables: Iterable[TableFacts],
    columns: Mapping[str, Sequence[ColumnFacts]],
    foreign_keys: Iterable[ForeignKeyFacts],
    metadata: Metadata,
    system: SystemMetadata,
    excluded: Iterable[str] = (),
    version: int = 0,
    search_indexes: Iterable[SearchIndexFacts] = (),
) -> Schema:
    """The schema that services work with. Tables that cannot be served are left out with a warning."""
    searched = {index.table: index.columns for index in search_indexes}
    metas: dict[str, Meta] = {**{row["collection"]: row for row in metadata.collections}, **system.collections}
    field_rows = _field_rows(metadata, system)
    hidden = frozenset(excluded)
    collections = [
        replace(
            _collection(table, columns.get(table.name, ()), metas.get(table.name), field_rows.get(table.name, ())),
            search_index=searched.get(table.name, ()),
        )
        for table in tables
        if table.name not in hidden and _can_be_served(table)
    ]
    return Schema.of(collections, build_relations(foreign_keys, metadata, system), version)


def build_relations(
    foreign_keys: Iterable[ForeignKeyFacts], metadata: Metadata, system: SystemMetadata
) -> list[Relation]:
    """One relation per foreign key with its metadata, then those that metadata alone tells of (§1.7)."""
    rows: list[Meta] = [*metadata.relations, *system.relations]
    by_field: dict[tuple[str, str], list[Meta]] = {}
    for row in rows:
        by_field.setdefault((row["many_collection"], row["many_field"]), []).append(row)
    used, relations = set(), []
    for key in foreign_keys:
        fitting = (row for row in by_field.get((key.table, key.column), ()) if _leads_to(row, key.foreign_key_table))
        meta = next((row for row in fitting if id(row) not in used), None)
        used.add(id(meta))
        relations.append(Relation(key.table, key.column, key.foreign_key_table, key.as_schema(), meta))
    left = (row for row in rows if id(row) not in used)
    relations += [Relation(row["many_collection"], row["many_field"], row["one_collection"], None, row) for row in left]
    return relations


def _leads_to(row: Meta, table: str) -> bool:
    return row["one_collection"] in (None, "", table)


def _can_be_served(table: TableFacts) -> bool:
    if len(table.primary_keys) != 1:
        logger.warning("collection %s has no key of exactly one column and is ignored", table.name)
        return False
    if " " in table.name:
        logger.warning("collection %s has a space in its name and is ignored", table.name)
        return False
    return True


def _field_rows(metadata: Metadata, system: SystemMetadata) -> dict[str, list[Meta]]:
    """Metadata of fields by collection; the system's own come last and so win. Those without data are left out."""
    rows: dict[str, list[Meta]] = {}
    for row in metadata.fields:
        rows.setdefault(row["collection"], []).append(row)
    for collection, metas in system.fields.items():
        rows.setdefault(collection, []).extend(metas.values())
    return {name: [row for row in found if "no-data" not in (row["special"] or ())] for name, found in rows.items()}


def _collection(
    table: TableFacts, columns: Sequence[ColumnFacts], meta: Meta | None, field_rows: Sequence[Meta]
) -> Collection:
    rows = {row["field"]: row for row in field_rows}
    fields = {column.name: _field(column.name, column, rows.get(column.name)) for column in columns}
    for name, row in rows.items():
        if name not in fields and is_alias(row["special"] or ()):
            fields[name] = _field(name, None, row)
    given = meta or {}
    return Collection(
        collection=table.name,
        primary=table.primary_keys[0],
        fields=fields,
        singleton=bool(given.get("singleton", False)),
        note=given.get("note"),
        sort_field=given.get("sort_field"),
        accountability=given.get("accountability", "all"),
    )


def _field(name: str, column: ColumnFacts | None, row: Meta | None) -> Field:
    given: Meta = row or {}
    special = tuple(given.get("special") or ())
    common: dict[str, Any] = {
        "special": special,
        "note": given.get("note"),
        "validation": _parsed(given.get("validation")),
        "searchable": given.get("searchable", True) is not False,
    }
    if column is None:
        return Field(name, "alias", alias=True, **common)
    kind = _overview_type(column, special)
    return Field(
        name,
        kind,
        db_type=column.data_type,
        default_value=_overview_default(column, kind),
        nullable=column.is_nullable is not False,
        generated=bool(column.is_generated),
        precision=column.numeric_precision or None,
        scale=column.numeric_scale or None,
        **common,
    )


def _overview_type(column: ColumnFacts, special: Sequence[str]) -> str:
    """Unlike ``GET /fields``, the overview takes a ``numeric`` without precision for a decimal (§1.3)."""
    return platform_type(column.data_type, special, precision=0, scale=0, max_length=column.max_length)


def _overview_default(column: ColumnFacts, kind: str) -> Any:
    raw = column.default_value
    if column.has_auto_increment or (isinstance(raw, str) and raw.startswith("nextval(")):
        return AUTO_INCREMENT
    return default_value(raw, kind)


def _parsed(validation: Any) -> Any:
    return msgspec.json.decode(validation) if isinstance(validation, str) and validation else validation or None
