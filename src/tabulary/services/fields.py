"""Fields: columns and their metadata (spec schema-and-platform §2.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from tabulary.access.permissions import PermissionSet
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.database.catalog import ColumnFacts
from tabulary.schema.model import DataModel
from tabulary.schema.overview import ALIAS_SPECIALS
from tabulary.services.columns import altered_column, column_error, differs, has_column, new_column
from tabulary.services.field_removal import remove_field
from tabulary.services.indexes import set_indexes, without_indexes
from tabulary.services.schema_access import DataModelService
from tabulary.services.schema_bodies import check_name
from tabulary.services.schema_change import SchemaChange, require_admin, run_change

_TABLE = "directus_fields"


class FieldsService(DataModelService):
    """Read and change fields. Writes need an admin or no accountability."""

    # --- reading -----------------------------------------------------------------------------
    async def read_all(self, collection: str | None = None) -> list[dict[str, Any]]:
        """The fields of all collections, or of one, that the caller may read.

        Raises :class:`Forbidden` without read permission on ``directus_fields``, or on the one collection.
        """
        permissions = await self._permissions()
        if not permissions.allows(_TABLE, "read"):
            raise Forbidden
        if collection is not None and not permissions.allows(collection, "read"):
            raise Forbidden
        model = await self._model()
        return [f for f in model.fields(collection) if _may_read(permissions, f["collection"], f["field"])]

    async def read_one(self, collection: str, field: str) -> dict[str, Any]:
        """One field. Raises :class:`Forbidden` when there is none or the caller may not read it."""
        permissions = await self._permissions()
        found = (await self._model()).field(collection, field)
        if found is None or not _may_read(permissions, collection, field):
            raise Forbidden
        return found

    # --- writing -----------------------------------------------------------------------------
    async def create_field(
        self, collection: str, field: Mapping[str, Any], *, concurrent_indexes: bool = False
    ) -> None:
        """Add a field: its column (unless it is an alias) and, when ``meta`` is given, its metadata row.

        ``concurrent_indexes`` makes its indexes afterwards, without locking out writers.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` when the name is taken.
        """
        require_admin(self.accountability)
        await self._change(lambda change: create_field(change, collection, field), concurrent_indexes)

    async def update_field(self, collection: str, field: Mapping[str, Any], *, concurrent_indexes: bool = False) -> str:
        """Change a field; ``field["field"]`` names it. Column and metadata change together or not at all.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` for what may not be changed; broken constraints of
        existing values are told as :class:`ContainsNullValues`, :class:`RecordNotUnique` and the like.
        """
        require_admin(self.accountability)
        await self._change(lambda change: update_field(change, collection, field), concurrent_indexes)
        return str(field["field"])

    async def update_fields(
        self, collection: str, fields: Sequence[Mapping[str, Any]], *, concurrent_indexes: bool = False
    ) -> list[str]:
        """Change several fields, one after the other, each on its own (§2.4)."""
        return [await self.update_field(collection, f, concurrent_indexes=concurrent_indexes) for f in fields]

    async def delete_field(self, collection: str, field: str) -> None:
        """Remove a field with its column, relations and mentions. A field that is not there is no error.

        Raises :class:`Forbidden` for fields of the system and for primary keys.
        """
        require_admin(self.accountability)
        if self.platform.schemas.system.is_field(collection, field):
            raise Forbidden
        await self._change(lambda change: remove_field(change, collection, field))

    async def _change(self, work: Callable[[SchemaChange], Awaitable[None]], concurrent_indexes: bool = False) -> None:
        who = self.accountability
        await run_change(self.platform, self.schema, who, self.connection, work, concurrent_indexes=concurrent_indexes)


def _may_read(permissions: PermissionSet, collection: str, field: str) -> bool:
    return permissions.unrestricted or not permissions.fields(collection, "read").isdisjoint(("*", field))


def with_automatic_special(change: SchemaChange, field: Mapping[str, Any]) -> dict[str, Any]:
    """The field with the special that its type needs on this database, if it has none such (§1.4)."""
    kind = field.get("type")
    needed = kind and change.connection.dialect.automatic_special(kind)
    meta = field.get("meta")
    flags = (meta or {}).get("special")
    special = flags if isinstance(flags, list) else [flags] if isinstance(flags, str) else []
    if not needed or needed in special:
        return dict(field)
    return {**field, "meta": {**(meta or {}), "special": [*special, needed]}}


async def create_field(change: SchemaChange, collection: str, given: Mapping[str, Any]) -> None:
    """See :meth:`FieldsService.create_field`."""
    model = await change.model()
    name = given["field"]
    check_name(name)
    fields = model.schema.collections[collection].fields
    if name in fields or model.field_row(collection, name) is not None or model.column(collection, name):
        raise InvalidPayload(f'Field "{name}" already exists in collection "{collection}"')
    field = with_automatic_special(change, given)
    field = await change.filter("fields.create", field, {"collection": collection})
    kind = field.get("type")
    if has_column(kind) and kind != "unknown":
        ddl, column = change.connection.dialect.ddl, new_column(field)
        adding = ddl.add_column(change.connection, collection, without_indexes(column))
        await change.ddl(_told(change, adding, collection, name), ("no field", collection, name))
        await set_indexes(change, collection, without_indexes(column), column)
    if isinstance(field.get("meta"), Mapping):
        sort = await _next_sort(change, collection, field["meta"].get("group"))
        row = {"sort": sort, **field["meta"], "collection": collection, "field": name}
        await change.items(_TABLE).create_one(row, change.options(emit_events=False))
    change.tell("fields.create", {"payload": field, "key": name, "collection": collection})


async def _next_sort(change: SchemaChange, collection: str, group: str | None) -> int:
    """One more than the highest sort among the fields of the same group, or of the whole collection without group."""
    table = sa.table(_TABLE, *(sa.column(c) for c in ("collection", "group", "sort")))
    query = sa.select(sa.func.max(table.c.sort).label("highest")).where(table.c.collection == collection)
    if group:
        query = query.where(table.c.group == group)
    return ((await change.connection.select(query))[0]["highest"] or 0) + 1


async def update_field(change: SchemaChange, collection: str, given: Mapping[str, Any]) -> None:
    """See :meth:`FieldsService.update_field`."""
    model = await change.model()
    name = given["field"]
    if model.system.is_field(collection, name):
        await _index_system_field(change, model, collection, given)
        return
    meta = {"keys": [name], "collection": collection}
    field = await change.filter("fields.update", given, meta)
    column = model.column(collection, name)
    _check_update(model, collection, field, column)
    if column is not None and isinstance(field.get("schema"), Mapping):
        await _alter(change, model, column, field)
    if isinstance(field.get("meta"), Mapping):
        await _write_row(change, model, collection, name, field["meta"])
    change.tell("fields.update", {"payload": field, **meta})


async def _index_system_field(
    change: SchemaChange, model: DataModel, collection: str, field: Mapping[str, Any]
) -> None:
    """The one thing that may change about a system field: whether its column has an index."""
    schema = field.get("schema")
    column = model.column(collection, field["field"])
    allowed = isinstance(schema, Mapping) and set(schema) == {"is_indexed"} and isinstance(schema["is_indexed"], bool)
    if column is None or not allowed or not set(field) <= {"collection", "field", "schema"}:
        raise InvalidPayload('Only "schema.is_indexed" may be modified for system fields')
    assert isinstance(schema, Mapping)
    if _is_indexed_by_key(change, column):
        return
    if schema["is_indexed"] and not column.is_indexed:
        await change.ddl(change.connection.dialect.ddl.create_index(change.connection, collection, column.name))
    elif not schema["is_indexed"] and column.is_indexed:
        await change.ddl(change.connection.dialect.ddl.drop_index(change.connection, collection, column.name))


def _check_update(model: DataModel, collection: str, field: Mapping[str, Any], column: ColumnFacts | None) -> None:
    name, kind, schema = field["field"], field.get("type"), field.get("schema")
    if column is None and isinstance(schema, Mapping) and model.field_row(collection, name) is None:
        raise InvalidPayload(f'Field "{name}" doesn\'t exist in collection "{collection}"')
    is_alias = column is None and model.field_row(collection, name) is not None
    if kind is not None and ((is_alias and kind != "alias") or (column is not None and kind in ALIAS_SPECIALS)):
        raise InvalidPayload("Alias type cannot be changed")
    is_key = column is not None and column.is_primary_key
    if is_key and isinstance(schema, Mapping) and schema.get("is_nullable") is True:
        raise InvalidPayload("Primary key cannot be null")


async def _alter(change: SchemaChange, model: DataModel, column: ColumnFacts, field: Mapping[str, Any]) -> None:
    current = model.field(column.table, column.name)
    assert current is not None
    kind = field.get("type") or current["type"]
    if not differs(kind, field["schema"], current["schema"], current["type"]):
        return
    default = current["schema"]["default_value"]
    before = altered_column(current["type"], {}, column, current["type"], default)
    after = altered_column(kind, field["schema"], column, current["type"], default)
    if _is_indexed_by_key(change, column):
        after = replace(after, indexed=before.indexed)
    if without_indexes(before) != without_indexes(after):
        back = ("column", column.table, asdict(without_indexes(before)))
        altering = change.connection.dialect.ddl.alter_column(change.connection, column.table, after)
        await change.ddl(_told(change, altering, column.table, after.name), back)
    await set_indexes(change, column.table, before, after)


def _is_indexed_by_key(change: SchemaChange, column: ColumnFacts) -> bool:
    """True when the column's foreign key needs the index: it can be neither dropped nor made."""
    return change.connection.dialect.ddl.indexes_foreign_keys and column.foreign_key_table is not None


async def _told(change: SchemaChange, do: Coroutine[Any, Any, Any], table: str, name: str) -> None:
    """Add or alter a column. Values that do not fit are told as errors of the API."""
    try:
        await do
    except Exception as problem:
        error = column_error(change.connection, problem, table, name)
        if error is problem:
            raise
        raise error from problem


async def _write_row(
    change: SchemaChange, model: DataModel, collection: str, name: str, meta: Mapping[str, Any]
) -> None:
    row = model.field_row(collection, name)
    changes = {k: v for k, v in meta.items() if k not in ("id", "collection", "field")}
    items, options = change.items(_TABLE), change.options(emit_events=False)
    if row is None:
        await items.create_one({**changes, "collection": collection, "field": name}, options)
    else:
        await items.update_one(row["id"], changes, options)
