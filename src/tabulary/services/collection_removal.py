"""Removing a collection and every trace of it, step by step as in spec schema-and-platform §2.3."""

from __future__ import annotations

import sqlalchemy as sa

from tabulary.core.errors import Forbidden
from tabulary.schema.model import DataModel
from tabulary.services.field_removal import drop_duplication_paths, remove_field
from tabulary.services.schema_change import SchemaChange

_CHUNK = 10_000
_COLLECTIONS = sa.table("directus_collections", sa.column("collection"), sa.column("group"))
_REVISIONS = sa.table("directus_revisions", *(sa.column(n) for n in ("id", "collection", "parent", "version")))
_VERSIONS = sa.table("directus_versions", sa.column("id"), sa.column("collection"))
_RELATIONS = sa.table(
    "directus_relations", *(sa.column(n) for n in ("id", "many_collection", "one_allowed_collections"))
)
_OF_COLLECTION = ("directus_presets", "directus_revisions", "directus_activity", "directus_permissions")


async def remove_collection(change: SchemaChange, name: str) -> None:
    """Remove a collection or a folder. Raises :class:`Forbidden` when there is neither."""
    model = await change.model()
    row, table = model.collection_row(name), model.table(name)
    if row is None and table is None:
        raise Forbidden
    if table is not None:
        await change.ddl(change.connection.dialect.ddl.drop_table(change.connection, name), ("finish collection", name))
    inside = _COLLECTIONS.c.group == name
    await change.run(sa.update(_COLLECTIONS).where(inside).values(group=None))
    if row is not None:
        await _remove_shares_and_versions(change, name)
        await change.items("directus_collections").delete_one(name, change.options())
    if table is not None:
        await _remove_traces(change, model, name)


async def erase_collection(change: SchemaChange, name: str) -> None:
    """Remove what there is of a collection that a broken-off change was making or removing: any part may be gone."""
    model = await change.model()
    if model.table(name) is not None:
        await change.ddl(change.connection.dialect.ddl.drop_table(change.connection, name))
    await _remove_shares_and_versions(change, name)
    if model.collection_row(name) is not None:
        await change.items("directus_collections").delete_one(name, change.options())
    await _remove_traces(change, model, name)


async def _remove_traces(change: SchemaChange, model: DataModel, name: str) -> None:
    await _remove_rows(change, model, name)
    await drop_duplication_paths(change, model, lambda at, _field, target: name in (at, target))
    await _remove_relatives(change, model, name)
    await _shrink_allowed(change, model, name)


async def _remove_shares_and_versions(change: SchemaChange, name: str) -> None:
    """What foreign keys would cascade to; done by hand because they may be lifted while tables are rebuilt."""
    versions = sa.select(_VERSIONS.c.id).where(_VERSIONS.c.collection == name)
    await change.run(sa.delete(_REVISIONS).where(_REVISIONS.c.version.in_(versions)))
    for table in ("directus_versions", "directus_shares"):
        await change.run(_delete_of(table, name))


async def _remove_rows(change: SchemaChange, model: DataModel, name: str) -> None:
    fields = [row["id"] for row in model.metadata.fields if row["collection"] == name]
    if fields:
        await change.items("directus_fields").delete_many(fields, change.options())
    await _orphan_revisions(change, name)
    for table in _OF_COLLECTION:
        await change.run(_delete_of(table, name))
    await change.run(sa.delete(_RELATIONS).where(_RELATIONS.c.many_collection == name))


def _delete_of(table: str, name: str) -> sa.Delete:
    source = sa.table(table, sa.column("collection"))
    return sa.delete(source).where(source.c.collection == name)


async def _orphan_revisions(change: SchemaChange, name: str) -> None:
    """Revisions of other collections stay when their parent goes."""
    parent = _REVISIONS.alias("parent")
    children = await change.connection.select(
        sa.select(_REVISIONS.c.id)
        .select_from(_REVISIONS.join(parent, _REVISIONS.c.parent == parent.c.id))
        .where(parent.c.collection == name)
    )
    keys = [row["id"] for row in children]
    for start in range(0, len(keys), _CHUNK):
        chunk = _REVISIONS.c.id.in_(keys[start : start + _CHUNK])
        await change.run(sa.update(_REVISIONS).where(chunk).values(parent=None))


async def _remove_relatives(change: SchemaChange, model: DataModel, name: str) -> None:
    """The reverse fields in other collections, and the columns of others that pointed here."""
    for relation in model.schema.relations:
        if relation.collection == name and relation.related_collection not in (None, name) and relation.one_field:
            assert relation.related_collection is not None
            await remove_field(change, relation.related_collection, relation.one_field)
        elif relation.related_collection == name and relation.collection != name:
            await remove_field(change, relation.collection, relation.field)


async def _shrink_allowed(change: SchemaChange, model: DataModel, name: str) -> None:
    for relation in model.schema.relations:
        if relation.collection != name and relation.meta and name in relation.allowed_collections:
            kept = ",".join(n for n in relation.allowed_collections if n != name)
            row = _RELATIONS.c.id == relation.meta.get("id")
            await change.run(sa.update(_RELATIONS).where(row).values(one_allowed_collections=kept))
