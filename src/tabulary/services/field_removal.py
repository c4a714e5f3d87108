"""Removing a field and every trace of it: relations, reverse fields, mentions (spec schema-and-platform §2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from tabulary.core.errors import Forbidden
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Relation
from tabulary.services.relations import delete_relation
from tabulary.services.schema_change import SchemaChange

_COLLECTIONS = sa.table(
    "directus_collections",
    *(sa.column(name) for name in ("collection", "archive_field", "sort_field")),
    sa.column("item_duplication_fields"),
)
_FIELDS = sa.table("directus_fields", *(sa.column(name) for name in ("collection", "field", "group")))
_RELATIONS = sa.table("directus_relations", sa.column("id"), sa.column("one_field"))
_PERMISSIONS = sa.table("directus_permissions", *(sa.column(name) for name in ("id", "collection", "fields")))


async def remove_field(change: SchemaChange, collection: str, field: str) -> None:
    """Remove one field. Nothing happens when there is none.

    Raises :class:`Forbidden` for the primary key: without it the collection would vanish (§8, pitfall 4).
    """
    model = await change.model()
    column, row = model.column(collection, field), model.field_row(collection, field)
    if column is not None and column.is_primary_key:
        raise Forbidden
    await change.filter("fields.delete", [field], {"collection": collection})
    # paths are rewritten first: they can be followed only while the relations stand
    await drop_duplication_paths(change, model, lambda at, name, _target: (at, name) == (collection, field))
    await _detach(change, model, collection, field)
    if column is not None:
        ddl = change.connection.dialect.ddl
        await change.ddl(ddl.drop_column(change.connection, collection, field), ("finish field", collection, field))
    await _forget(change, collection, field)
    if row is not None:
        await change.items("directus_fields").delete_one(row["id"], change.options(emit_events=False))
    await _shrink_permissions(change, collection, field)
    if column is not None or row is not None:
        change.tell("fields.delete", {"payload": [field], "collection": collection})


async def drop_duplication_paths(
    change: SchemaChange, model: DataModel, is_gone: Callable[[str, str, str | None], bool]
) -> None:
    """Rewrite ``item_duplication_fields`` everywhere, without the paths of which one step is gone.

    ``is_gone(collection, field, target)`` judges a step; ``target`` is the collection that it leads to, if any.
    """
    for row in model.metadata.collections:
        paths = row.get("item_duplication_fields")
        if not isinstance(paths, list):
            continue
        kept = [p for p in paths if not any(is_gone(*step) for step in _steps(model, row["collection"], str(p)))]
        if len(kept) != len(paths):
            items, options = change.items("directus_collections", track=False), change.options(emit_events=False)
            await items.update_one(row["collection"], {"item_duplication_fields": kept or None}, options)


def _steps(model: DataModel, collection: str | None, path: str) -> list[tuple[str, str, str | None]]:
    steps = []
    for part in path.split("."):
        if collection is None:
            break
        name, _, chosen = part.partition(":")
        target = chosen or _target(model, collection, name)
        steps.append((collection, name, target))
        collection = target
    return steps


def _target(model: DataModel, collection: str, field: str) -> str | None:
    found = model.schema.relation(collection, field)
    if found is None:
        return None
    kind, relation = found
    return relation.collection if kind == "o2m" else relation.related_collection


async def _detach(change: SchemaChange, model: DataModel, collection: str, field: str) -> None:
    for relation in model.schema.relations:
        if (relation.collection, relation.field) == (collection, field):
            await delete_relation(change, collection, field)
            if _has_own_reverse(relation):
                assert relation.related_collection and relation.one_field
                await remove_field(change, relation.related_collection, relation.one_field)
        elif (relation.related_collection, relation.one_field) == (collection, field) and relation.meta:
            await _clear_one_field(change, relation.meta.get("id"))


def _has_own_reverse(relation: Relation) -> bool:
    """A reverse field in another collection or, for a self relation, under another name."""
    if not relation.related_collection or not relation.one_field:
        return False
    return (relation.related_collection, relation.one_field) != (relation.collection, relation.field)


async def _clear_one_field(change: SchemaChange, relation: Any) -> None:
    if relation is not None:
        await change.run(sa.update(_RELATIONS).where(_RELATIONS.c.id == relation).values(one_field=None))


async def _forget(change: SchemaChange, collection: str, field: str) -> None:
    """Clear what names the field: archive and sort field of the collection, the group of its other fields."""
    for name in ("archive_field", "sort_field"):
        column = _COLLECTIONS.c[name]
        named = sa.and_(_COLLECTIONS.c.collection == collection, column == field)
        await change.run(sa.update(_COLLECTIONS).where(named).values({name: None}))
    grouped = sa.and_(_FIELDS.c.collection == collection, _FIELDS.c.group == field)
    await change.run(sa.update(_FIELDS).where(grouped).values(group=None))


async def _shrink_permissions(change: SchemaChange, collection: str, field: str) -> None:
    rows = await change.connection.select(
        sa.select(_PERMISSIONS.c.id, _PERMISSIONS.c.fields).where(_PERMISSIONS.c.collection == collection)
    )
    for row in rows:
        names = (row["fields"] or "").split(",")
        if field in names:
            kept = ",".join(n for n in names if n != field) or None
            await change.run(sa.update(_PERMISSIONS).where(_PERMISSIONS.c.id == row["id"]).values(fields=kept))
