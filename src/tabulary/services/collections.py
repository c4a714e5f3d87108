"""Collections: tables, folders and their metadata (spec schema-and-platform §2.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from tabulary.access.permissions import PermissionSet
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.schema.model import DataModel
from tabulary.schema.types import FIELD_TYPES
from tabulary.services.collection_removal import remove_collection
from tabulary.services.columns import has_column, new_column
from tabulary.services.fields import with_automatic_special
from tabulary.services.indexes import set_indexes, without_indexes
from tabulary.services.schema_access import DataModelService
from tabulary.services.schema_bodies import check_name, check_new_fields
from tabulary.services.schema_change import SchemaChange, require_admin, run_change

_TABLE = "directus_collections"


class CollectionsService(DataModelService):
    """Read and change collections. Writes need an admin or no accountability."""

    # --- reading -----------------------------------------------------------------------------
    async def read_by_query(self) -> list[dict[str, Any]]:
        """All collections that the caller may read, with the folders they lie in.

        Raises :class:`Forbidden` without read permission on ``directus_collections``.
        """
        permissions = await self._permissions()
        if not permissions.allows(_TABLE, "read"):
            raise Forbidden
        found = (await self._model()).collections()
        return found if permissions.unrestricted else _visible(found, permissions)

    async def read_many(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Those of the named collections that exist, in listing order.

        Raises :class:`Forbidden` when the caller may not read one of them, or ``directus_collections``.
        """
        wanted = set(names)
        permissions = await self._permissions()
        if not all(permissions.allows(name, "read") for name in (_TABLE, *wanted)):
            raise Forbidden
        return [c for c in (await self._model()).collections() if c["collection"] in wanted]

    async def read_one(self, name: str) -> dict[str, Any]:
        """One collection. Raises :class:`Forbidden` when there is none or the caller may not read it."""
        found = await self.read_many([name])
        if not found:
            raise Forbidden
        return found[0]

    # --- writing -----------------------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any]) -> str:
        """Create a table with its fields (``schema`` an object) or a folder (``schema`` null); returns the name.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` for a name or a field that cannot be.
        """
        return (await self.create_many([data]))[0]

    async def create_many(self, data: Sequence[Mapping[str, Any]], *, concurrent_indexes: bool = False) -> list[str]:
        """Create several collections, all or none. ``concurrent_indexes``: as for fields."""
        require_admin(self.accountability)

        async def work(change: SchemaChange) -> list[str]:
            return [await create_collection(change, one) for one in data]

        return await self._change(work, concurrent_indexes=concurrent_indexes)

    async def update_one(self, name: str, data: Mapping[str, Any]) -> str:
        """Change the metadata of a collection, or give it some; ``data["meta"]`` is all that counts."""
        return (await self.update_many([name], data))[0]

    async def update_many(self, names: Sequence[str], data: Mapping[str, Any]) -> list[str]:
        """Give several collections the same metadata, all or none."""
        return await self.update_batch([{**data, "collection": name} for name in names])

    async def update_batch(self, data: Any) -> list[str]:
        """Change the metadata of several collections, each its own way, all or none.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` unless ``data`` is a list of objects with ``collection``.
        """
        require_admin(self.accountability)
        if not isinstance(data, Sequence) or isinstance(data, str):
            raise InvalidPayload("Input should be an array of collection changes")
        for one in data:
            if not isinstance(one, Mapping) or not one.get("collection"):
                raise InvalidPayload("Collection in update misses collection key")

        async def work(change: SchemaChange) -> list[str]:
            for one in data:
                await update_collection(change, one["collection"], one.get("meta"))
            return [one["collection"] for one in data]

        return await self._change(work)

    async def delete_one(self, name: str) -> str:
        """Drop a collection with its data and every mention. Raises :class:`Forbidden` for unknown and system ones."""
        return (await self.delete_many([name]))[0]

    async def delete_many(self, names: Sequence[str]) -> list[str]:
        """Drop several collections, all or none."""
        require_admin(self.accountability)
        if any(name in self.platform.schemas.system.collections for name in names):
            raise Forbidden

        async def work(change: SchemaChange) -> list[str]:
            for name in names:
                await remove_collection(change, name)
            return list(names)

        return await self._change(work, rebuilds=True)

    async def _change(
        self,
        work: Callable[[SchemaChange], Awaitable[list[str]]],
        *,
        rebuilds: bool = False,
        concurrent_indexes: bool = False,
    ) -> list[str]:
        return await run_change(
            self.platform,
            self.schema,
            self.accountability,
            self.connection,
            work,
            rebuilds=rebuilds,
            concurrent_indexes=concurrent_indexes,
        )


def _visible(found: list[dict[str, Any]], permissions: PermissionSet) -> list[dict[str, Any]]:
    """What the caller may read, and the folders above it."""
    groups = {c["collection"]: (c["meta"] or {}).get("group") for c in found}
    shown: set[str] = set()
    for name in groups:
        at: str | None = name if permissions.allows(name, "read") else None
        while at is not None and at not in shown:
            shown.add(at)
            at = groups.get(at)
    return [c for c in found if c["collection"] in shown]


async def create_collection(change: SchemaChange, data: Mapping[str, Any]) -> str:
    """See :meth:`CollectionsService.create_one`."""
    name = _checked_name(await change.model(), data)
    meta, fields = data.get("meta"), data.get("fields")
    if isinstance(data.get("schema"), Mapping):
        if fields is not None and not isinstance(fields, list):
            raise InvalidPayload('"fields" must be an array')
        await _create_table(change, name, [with_automatic_special(change, f) for f in _with_key(fields or [])])
    if isinstance(meta, Mapping):
        await change.items(_TABLE).create_one({**meta, "collection": name}, change.options())
    return name


def _checked_name(model: DataModel, data: Mapping[str, Any]) -> str:
    if data.get("collection") is None:
        raise InvalidPayload('"collection" is required')
    name = data["collection"]
    if not isinstance(name, str) or not name:
        raise InvalidPayload('"collection" must be a non-empty string')
    if name.startswith("directus_"):
        raise InvalidPayload('Collections can\'t start with "directus_"')
    if "/" in name:
        raise InvalidPayload('Collection name can\'t contain "/"')
    check_name(name)
    if model.collection_row(name) is not None or model.table(name) is not None:
        raise InvalidPayload(f'Collection "{name}" already exists')
    return name


def _with_key(fields: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The fields with a generated integer key in front, unless one of them is a key already."""
    for field in fields:
        if not isinstance(field, Mapping) or not isinstance(field.get("field"), str) or not field["field"]:
            raise InvalidPayload('"field" is required')
        if field.get("type") is not None and field["type"] not in FIELD_TYPES - {"unknown"}:
            raise InvalidPayload(f'Illegal type passed: "{field["type"]}"')
    check_new_fields(fields)
    schemas = [field.get("schema") or {} for field in fields]
    if any(s.get("is_primary_key") or s.get("has_auto_increment") for s in schemas):
        return list(fields)
    key = {
        "field": "id",
        "type": "integer",
        "meta": {"hidden": True, "interface": "numeric", "readonly": True},
        "schema": {"is_primary_key": True, "has_auto_increment": True},
    }
    return [key, *fields]


async def _create_table(change: SchemaChange, name: str, fields: Sequence[Mapping[str, Any]]) -> None:
    ddl = change.connection.dialect.ddl
    columns = [new_column(field) for field in fields if has_column(field.get("type"))]
    await change.ddl(
        ddl.create_table(change.connection, name, [without_indexes(column) for column in columns]),
        ("no collection", name),
    )
    for column in columns:
        await set_indexes(change, name, without_indexes(column), column)
    rows = _field_rows(name, fields)
    if rows:
        await change.items("directus_fields").create_many(rows, change.options())


def _field_rows(collection: str, fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Metadata rows of the fields that have metadata, numbered within their group."""
    numbers: dict[str | None, int] = {}
    rows = []
    for field in fields:
        meta = field.get("meta")
        group = (meta or {}).get("group")
        numbers[group] = numbers.get(group, 0) + 1
        if isinstance(meta, Mapping):
            rows.append({"sort": numbers[group], **meta, "collection": collection, "field": field["field"]})
    return rows


async def update_collection(change: SchemaChange, name: str, meta: Any) -> None:
    """See :meth:`CollectionsService.update_one`."""
    if not isinstance(meta, Mapping):
        return
    changes = {key: value for key, value in meta.items() if key != "collection"}
    items = change.items(_TABLE)
    if (await change.model()).collection_row(name) is None:
        await items.create_one({**changes, "collection": name}, change.options())
    else:
        await items.update_one(name, changes, change.options())
