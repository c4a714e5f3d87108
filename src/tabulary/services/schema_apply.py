"""Carrying out the difference between two snapshots, step by step in one change (spec schema-and-platform §3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.schema.diff import Entry, applied, is_creation, is_deletion
from tabulary.schema.snapshot import Snapshot
from tabulary.services.collection_removal import remove_collection
from tabulary.services.collections import create_collection, update_collection
from tabulary.services.field_removal import remove_field
from tabulary.services.fields import create_field, update_field
from tabulary.services.relations import as_object, create_relation, delete_relation, update_relation
from tabulary.services.schema_bodies import check_field, check_relation
from tabulary.services.schema_change import SchemaChange

Diff = Mapping[str, Sequence[Entry]]


async def apply_diff(change: SchemaChange, diff: Diff) -> None:
    """Collections first, then fields, indexes of system fields, and relations last."""
    made = await _create_collections(change, diff)
    await _delete_collections(change, diff)
    for entry in diff["collections"]:
        if not is_creation(entry) and not is_deletion(entry):
            await _edit_collection(change, entry)
    for entry in diff["fields"]:
        if entry["collection"] not in made:
            await _apply_field(change, entry)
    for entry in diff["systemFields"]:
        wanted = entry["diff"][0]["rhs"]
        given = {"field": entry["field"], "schema": {"is_indexed": wanted}}
        await update_field(change, entry["collection"], given)
    for test in (is_creation, _is_edit, is_deletion):
        for entry in filter(test, diff["relations"]):
            await _apply_relation(change, entry)


def check_applicable(diff: Diff, current: Snapshot) -> NoReturn:
    """Tell why a difference taken from another data model cannot be applied. Always raises :class:`InvalidPayload`."""
    for name in ("collections", "fields", "relations"):
        known = {_key(o) for o in current[name]}
        for entry in diff[name]:
            there = _key(entry) in known
            if is_creation(entry) and there:
                raise InvalidPayload(f'The difference creates "{_label(entry)}", which exists already')
            if is_deletion(entry) and not there:
                raise InvalidPayload(f'The difference deletes "{_label(entry)}", which does not exist')
    raise InvalidPayload("The hash does not match the current data model: take the difference again")


def _is_edit(entry: Entry) -> bool:
    return not is_creation(entry) and not is_deletion(entry)


def _key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in ("collection", "field", "related_collection"))


def _label(entry: Entry) -> str:
    label = ".".join(filter(None, (entry["collection"], entry.get("field"))))
    return f"{label}-> {entry['related_collection']}" if entry.get("related_collection") else label


async def _create_collections(change: SchemaChange, diff: Diff) -> set[str]:
    """Make the new collections with their fields, folders before what lies in them."""
    pending = {e["collection"]: e["diff"][0]["rhs"] for e in diff["collections"] if is_creation(e)}
    made: set[str] = set()

    async def make(name: str) -> None:
        collection = pending[name]
        made.add(name)
        group: Any = (collection.get("meta") or {}).get("group")
        if group in pending and group not in made:
            await make(group)
        fields = [e["diff"][0]["rhs"] for e in diff["fields"] if e["collection"] == name and is_creation(e)]
        await create_collection(change, {**collection, "fields": [_portable(f) for f in fields]})

    for name in pending:
        if name not in made:
            await make(name)
    return made


async def _delete_collections(change: SchemaChange, diff: Diff) -> None:
    gone = [e["collection"] for e in diff["collections"] if is_deletion(e)]
    if any(name in change.platform.schemas.system.collections for name in gone):
        raise Forbidden
    for relation in (await change.model()).schema.relations:
        if relation.collection in gone or relation.related_collection in gone:
            await delete_relation(change, relation.collection, relation.field)
    for name in gone:
        await remove_collection(change, name)


async def _edit_collection(change: SchemaChange, entry: Entry) -> None:
    name = entry["collection"]
    current = next((c for c in (await change.model()).collections() if c["collection"] == name), None)
    if current is None:
        raise InvalidPayload(f'Collection "{name}" doesn\'t exist')
    await update_collection(change, name, applied(current, entry["diff"]).get("meta"))


async def _apply_field(change: SchemaChange, entry: Entry) -> None:
    collection, name = entry["collection"], entry["field"]
    if change.platform.schemas.system.is_field(collection, name):
        raise Forbidden
    if collection not in (await change.model()).schema.collections:
        raise InvalidPayload(f'Collection "{collection}" doesn\'t exist')
    if is_deletion(entry):
        await remove_field(change, collection, name)
    elif is_creation(entry):
        given = check_field(entry["diff"][0]["rhs"], new=False, named=True)
        await create_field(change, collection, _portable(given))
    else:
        current = (await change.model()).field(collection, name)
        if current is None:
            raise InvalidPayload(f'Field "{name}" doesn\'t exist in collection "{collection}"')
        field = check_field(applied(current, entry["diff"]), new=False, named=True)
        await update_field(change, collection, {key: field[key] for key in ("field", "type", "schema", "meta")})


async def _apply_relation(change: SchemaChange, entry: Entry) -> None:
    collection, field = entry["collection"], entry["field"]
    relation = (await change.model()).relation(collection, field)
    if relation is not None and (relation.meta or {}).get("system"):
        raise Forbidden
    if is_creation(entry):
        await create_relation(change, check_relation(entry["diff"][0]["rhs"], new=True))
    elif relation is None:
        if not is_deletion(entry):
            raise InvalidPayload(f'Field "{field}" in collection "{collection}" doesn\'t have a relationship')
    elif is_deletion(entry):
        await delete_relation(change, collection, field)
    else:
        changed = check_relation(applied(as_object(relation), entry["diff"]), new=False)
        await update_relation(change, collection, field, changed)


def _portable(field: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that another database keeps as ``char(36)`` are uuids where there is such a type."""
    schema = field.get("schema") or {}
    is_uuid = schema.get("data_type") in ("char", "varchar") and schema.get("max_length") == 36
    if is_uuid and (schema.get("is_primary_key") or schema.get("foreign_key_table")):
        return {**field, "type": "uuid"}
    return dict(field)
