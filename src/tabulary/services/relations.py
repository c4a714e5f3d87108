"""Relations: foreign keys and their metadata (spec schema-and-platform §2.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from tabulary.access.permissions import PermissionSet
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.database.ddl import ForeignKeySpec
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Relation
from tabulary.services.schema_access import DataModelService
from tabulary.services.schema_change import SchemaChange, require_admin, run_change

_TABLE = "directus_relations"
_ROWS = sa.table(_TABLE, *map(sa.column, ("id", "many_collection", "many_field")))


class RelationsService(DataModelService):
    """Read and change relations. Writes need an admin or no accountability."""

    # --- reading -----------------------------------------------------------------------------
    async def read_all(self, collection: str | None = None) -> list[dict[str, Any]]:
        """All relations, or those whose many side is ``collection``, that the caller may see.

        Raises :class:`Forbidden` without read permission on ``directus_relations``.
        """
        permissions = await self._permissions()
        if not permissions.allows(_TABLE, "read"):
            raise Forbidden
        model = await self._model()
        found = [r for r in model.schema.relations if collection in (None, r.collection)]
        return [as_object(r) for r in found if may_see(r, permissions)]

    async def read_one(self, collection: str, field: str) -> dict[str, Any]:
        """The relation of a many-side field. Raises :class:`Forbidden` when there is none or it may not be seen.

        The system's own metadata is not consulted here (§2.5).
        """
        permissions = await self._permissions()
        relation = (await self._model()).relation(collection, field)
        if relation is None or not permissions.allows(_TABLE, "read") or not may_see(relation, permissions):
            raise Forbidden
        if relation.meta is not None and relation.meta.get("system"):
            if relation.schema is None:
                raise Forbidden
            relation = Relation(relation.collection, relation.field, relation.related_collection, relation.schema, None)
        return as_object(relation)

    # --- writing -----------------------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any]) -> None:
        """Relate a field: a foreign key when there is a related collection, and a metadata row.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` when a part is unknown or already related.
        """
        require_admin(self.accountability)
        await self._change(lambda change: create_relation(change, data))

    async def update_one(self, collection: str, field: str, data: Mapping[str, Any]) -> None:
        """Renew the foreign key with the given rules and change the metadata.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` when the field has no relation.
        """
        require_admin(self.accountability)
        await self._change(lambda change: update_relation(change, collection, field, data))

    async def delete_one(self, collection: str, field: str) -> None:
        """Drop the foreign key and the metadata; column and values stay.

        Raises :class:`Forbidden`, also for fields of the system, or :class:`InvalidPayload` without a relation.
        """
        require_admin(self.accountability)
        if self.platform.schemas.system.is_field(collection, field):
            raise Forbidden
        await self._change(lambda change: delete_relation(change, collection, field))

    async def _change(self, work: Callable[[SchemaChange], Awaitable[None]]) -> None:
        await run_change(self.platform, self.schema, self.accountability, self.connection, work)


def as_object(relation: Relation) -> dict[str, Any]:
    """A relation as the API shows it."""
    return {
        "collection": relation.collection,
        "field": relation.field,
        "related_collection": relation.related_collection,
        "schema": None if relation.schema is None else dict(relation.schema),
        "meta": None if relation.meta is None else dict(relation.meta),
    }


def may_see(relation: Relation, permissions: PermissionSet) -> bool:
    """True when both ends can be read: the many field, the reverse field if any, every allowed collection."""
    if permissions.unrestricted:
        return True

    def field(collection: str, name: str) -> bool:
        return not permissions.fields(collection, "read").isdisjoint(("*", name))

    if not field(relation.collection, relation.field):
        return False
    if not all(permissions.allows(name, "read") for name in relation.allowed_collections):
        return False
    one = relation.related_collection
    if one is None:
        return True
    if not permissions.allows(one, "read"):
        return False
    return relation.one_field is None or field(one, relation.one_field)


async def create_relation(change: SchemaChange, data: Mapping[str, Any]) -> None:
    """See :meth:`RelationsService.create_one`."""
    model = await change.model()
    collection, field, related = data["collection"], data["field"], data.get("related_collection")
    _check_new(model, collection, field, related)
    if related:
        key = _key(model, collection, field, related, data.get("schema") or {})
        add = change.connection.dialect.ddl.add_foreign_key(change.connection, key)
        await change.ddl(add, ("relation", collection, field, None, None))
    await _insert_row(change, collection, field, related, data.get("meta"))


async def update_relation(change: SchemaChange, collection: str, field: str, data: Mapping[str, Any]) -> None:
    """See :meth:`RelationsService.update_one`. Names come from the path, whatever the body says (§8, pitfall 1)."""
    model = await change.model()
    relation = _existing(model, collection, field)
    related = relation.related_collection
    if related:
        await _drop_key(change, model, relation)
        key = _key(model, collection, field, related, data.get("schema") or {})
        await change.ddl(change.connection.dialect.ddl.add_foreign_key(change.connection, key))
    meta = data.get("meta")
    if not isinstance(meta, Mapping):
        return
    row = relation.meta
    if row is None or row.get("system"):
        await _insert_row(change, collection, field, related, meta)
    elif changes := {k: v for k, v in meta.items() if k not in ("many_collection", "many_field", "one_collection")}:
        await change.items(_TABLE, track=False).update_one(row["id"], changes, change.options())


async def delete_relation(change: SchemaChange, collection: str, field: str) -> None:
    """See :meth:`RelationsService.delete_one`."""
    model = await change.model()
    relation = _existing(model, collection, field)
    await _drop_key(change, model, relation)
    if relation.meta is not None and not relation.meta.get("system"):
        options = change.options(emit_events=False)
        await change.items(_TABLE, track=False).delete_one(relation.meta["id"], options)
    change.tell("relations.delete", {"payload": [field], "collection": collection})


def _check_new(model: DataModel, collection: str, field: str, related: str | None) -> None:
    collections = model.schema.collections
    if collection not in collections:
        raise InvalidPayload(f'Collection "{collection}" doesn\'t exist')
    if field not in collections[collection].fields:
        raise InvalidPayload(f'Field "{field}" doesn\'t exist in collection "{collection}"')
    if collections[collection].primary == field:
        raise InvalidPayload(f'Field "{field}" in collection "{collection}" is a primary key')
    if related and related not in collections:
        raise InvalidPayload(f'Collection "{related}" doesn\'t exist')
    if model.relation(collection, field) is not None:
        raise InvalidPayload(f'Field "{field}" in collection "{collection}" already has an associated relationship')


def _existing(model: DataModel, collection: str, field: str) -> Relation:
    if collection not in model.schema.collections:
        raise InvalidPayload(f'Collection "{collection}" doesn\'t exist')
    relation = model.relation(collection, field)
    if relation is None:
        raise InvalidPayload(f'Field "{field}" in collection "{collection}" doesn\'t have a relationship.')
    return relation


def _key(model: DataModel, collection: str, field: str, related: str, rules: Mapping[str, Any]) -> ForeignKeySpec:
    return ForeignKeySpec(
        collection,
        field,
        related,
        model.schema.collections[related].primary,
        on_delete=rules.get("on_delete"),
        on_update=rules.get("on_update"),
    )


async def _drop_key(change: SchemaChange, model: DataModel, relation: Relation) -> None:
    collection, field, related = relation.collection, relation.field, relation.related_collection
    if related is None or relation.schema is None:
        return
    key = asdict(_key(model, collection, field, related, relation.schema))
    row = None if relation.meta is None or relation.meta.get("system") else dict(relation.meta)
    drop = change.connection.dialect.ddl.drop_foreign_key(change.connection, collection, field)
    await change.ddl(drop, ("relation", collection, field, key, row))


async def _insert_row(change: SchemaChange, collection: str, field: str, related: str | None, meta: Any) -> None:
    given = meta if isinstance(meta, Mapping) else {}
    row = {**given, "many_collection": collection, "many_field": field, "one_collection": related}
    await change.items(_TABLE, track=False).create_one(row, change.options())


# --- after a change that broke off ----------------------------------------------------------------
async def forget_relation(change: SchemaChange, collection: str, field: str) -> None:
    """Take away what there is of a relation, key and row."""
    await change.ddl(change.connection.dialect.ddl.drop_foreign_key(change.connection, collection, field))
    await change.run(sa.delete(_ROWS).where(_of(collection, field)))


async def remember_relation(change: SchemaChange, key: ForeignKeySpec, row: Mapping[str, Any] | None) -> None:
    """Give a relation its key again, and the row that it had."""
    ddl = change.connection.dialect.ddl
    await change.ddl(ddl.drop_foreign_key(change.connection, key.table, key.column))
    await change.ddl(ddl.add_foreign_key(change.connection, key))
    there = await change.connection.select(sa.select(_ROWS.c.id).where(_of(key.table, key.column)))
    if row is not None and not there:
        await change.items(_TABLE, track=False).create_one(row, change.options(emit_events=False))


def _of(collection: str, field: str) -> sa.ColumnElement[bool]:
    return sa.and_(_ROWS.c.many_collection == collection, _ROWS.c.many_field == field)
