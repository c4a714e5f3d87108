"""The tracked data model as one portable object (spec schema-and-platform §3.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha1
from typing import Any

from tabulary.core import json
from tabulary.database.catalog import ColumnFacts
from tabulary.schema.model import DataModel

Snapshot = dict[str, Any]

DIRECTUS_VERSION = "11.17.4"
"""The version whose snapshots are taken and given: they can be exchanged with it."""
VENDORS = ("mysql", "postgres", "cockroachdb", "sqlite", "oracle", "mssql", "redshift")
INDEXES_OF_THE_SYSTEM = frozenset(
    {
        ("directus_activity", "timestamp"),
        ("directus_revisions", "parent"),
        ("directus_revisions", "activity"),
    }
)
"""The indexes of a fresh database, which are there on every database."""
LISTS = ("collections", "fields", "systemFields", "relations")
COLUMN_KEYS = (
    "name",
    "table",
    "data_type",
    "default_value",
    "max_length",
    "numeric_precision",
    "numeric_scale",
    "is_nullable",
    "is_unique",
    "is_indexed",
    "is_primary_key",
    "is_generated",
    "generation_expression",
    "has_auto_increment",
    "foreign_key_table",
    "foreign_key_column",
)
FOREIGN_KEY_KEYS = (
    "table",
    "column",
    "foreign_key_table",
    "foreign_key_column",
    "constraint_name",
    "on_update",
    "on_delete",
)


def take_snapshot(model: DataModel, vendor: str, *, keys_have_indexes: bool = False) -> Snapshot:
    """Everything that has a metadata row of its own, without ids; and which system columns have an index.

    ``keys_have_indexes``: the database indexes foreign keys by itself; those indexes are nobody's choice and left out.
    """
    fields = sorted(_tracked(model.fields()), key=lambda f: (f["collection"], f["meta"]["id"]))
    relations = sorted(
        _tracked(
            {
                "collection": r.collection,
                "field": r.field,
                "related_collection": r.related_collection,
                "meta": r.meta,
                "schema": r.schema,
            }
            for r in model.schema.relations
        ),
        key=lambda r: (r["collection"], r["meta"]["id"]),
    )
    return {
        "version": 1,
        "directus": DIRECTUS_VERSION,
        "vendor": vendor,
        "collections": sorted(map(collection_entry, _tracked(model.collections())), key=lambda c: c["collection"]),
        "fields": [field_entry(f) for f in fields],
        "systemFields": _system_fields(model, keys_have_indexes),
        "relations": [relation_entry(r) for r in relations],
    }


def snapshot_hash(snapshot: Snapshot) -> str:
    """40 hex digits that change whenever the snapshot does."""
    return sha1(json.encode(_sorted(snapshot)), usedforsecurity=False).hexdigest()


def collection_entry(given: Mapping[str, Any]) -> dict[str, Any]:
    """A collection reduced to what snapshots hold; a folder has no ``schema``."""
    schema = given.get("schema")
    entry = {"collection": given["collection"], "meta": _meta(given.get("meta"))}
    return entry if schema is None else {**entry, "schema": {"name": schema.get("name", given["collection"])}}


def field_entry(given: Mapping[str, Any]) -> dict[str, Any]:
    """A field reduced to what snapshots hold."""
    entry = {key: given.get(key) for key in ("collection", "field", "type")}
    return {**entry, "meta": _meta(given.get("meta")), "schema": _picked(given.get("schema"), COLUMN_KEYS)}


def relation_entry(given: Mapping[str, Any]) -> dict[str, Any]:
    """A relation reduced to what snapshots hold."""
    entry = {key: given.get(key) for key in ("collection", "field", "related_collection")}
    return {**entry, "meta": _meta(given.get("meta")), "schema": _picked(given.get("schema"), FOREIGN_KEY_KEYS)}


def _tracked(objects: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [o for o in objects if o["meta"] is not None and not o["meta"].get("system")]


def _system_fields(model: DataModel, keys_have_indexes: bool) -> list[dict[str, Any]]:
    def is_chosen(column: ColumnFacts) -> bool:
        implied = keys_have_indexes and column.foreign_key_table is not None
        return column.is_indexed and (not implied or (column.table, column.name) in INDEXES_OF_THE_SYSTEM)

    indexed = [
        (collection, column.name)
        for collection in model.system.fields
        for column in model.columns.get(collection, ())
        if is_chosen(column) and model.system.is_field(collection, column.name)
    ]
    return [{"collection": c, "field": f, "schema": {"is_indexed": True}} for c, f in sorted(indexed)]


def _meta(given: Mapping[str, Any] | None) -> Any:
    return None if given is None else _sorted({k: v for k, v in given.items() if k != "id"})


def _picked(given: Mapping[str, Any] | None, keys: Iterable[str]) -> dict[str, Any] | None:
    return None if given is None else {key: given[key] for key in keys if key in given}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(v) for v in value] if isinstance(value, list) else value
