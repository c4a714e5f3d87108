"""Roles: a tree from which users take their policies (spec users §4.1, §4.8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from tabulary.access.integrity import IntegrityFlags
from tabulary.access.snapshot import ROLES
from tabulary.core.errors import InvalidPayload
from tabulary.database.connection import Connection
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, MutationOptions
from tabulary.items.query import Query
from tabulary.services.access import AccessRuleService, Payload, requiring


class RolesService(AccessRuleService):
    """``directus_roles``. The tree stays a tree; deleting a role suspends its users and frees its children."""

    def for_update(self, data: Payload, options: MutationOptions) -> MutationOptions:
        return requiring(options, IntegrityFlags.ALL) if "parent" in data else options

    def for_delete(self, options: MutationOptions) -> MutationOptions:
        return requiring(options, IntegrityFlags.ALL)

    async def update_many(
        self, keys: Sequence[Key], data: Payload, options: MutationOptions | None = None
    ) -> list[Key]:
        if "parent" not in data:
            return await super().update_many(keys, data, options)

        async def write(connection: Connection) -> list[Key]:
            # Two moves at once could each be fine and together make a circle.
            await connection.dialect.lock(connection, "role_tree")
            await self._check_parent(connection, keys, data["parent"])
            inside = self.fork(connection=connection)
            return await super(RolesService, inside).update_many(keys, data, options)

        return await self.platform.database.run_in_transaction(write, self.connection)

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        check_keys(self.schema.collections[self.collection], keys)

        async def write(connection: Connection) -> list[Key]:
            await self._release(connection, list(keys), options or MutationOptions())
            inside = self.fork(connection=connection)
            return await super(RolesService, inside).delete_many(keys, options)

        return await self.platform.database.run_in_transaction(write, self.connection)

    async def _release(self, connection: Connection, keys: list[Key], options: MutationOptions) -> None:
        """Detach everything from roles that are about to go, with the caller's own permissions."""
        # The one check of integrity comes at the end, by the deletion itself.
        inner = replace(
            options, user_integrity_check_flags=IntegrityFlags.NONE, on_require_user_integrity_check=lambda _: None
        )

        def of(field: str) -> Query:
            return Query.internal({"filter": {field: {"_in": keys}}, "limit": -1}, self.platform.settings)

        def service(collection: str) -> Any:
            return self.platform.service(
                collection, schema=self.schema, accountability=self.accountability, connection=connection
            )

        await service("directus_access").delete_by_query(of("role"), inner)
        await service("directus_presets").delete_by_query(of("role"), inner)
        await service("directus_users").update_by_query(of("role"), {"status": "suspended", "role": None}, inner)
        await service("directus_roles").update_by_query(of("parent"), {"parent": None}, inner)

    async def _check_parent(self, connection: Connection, keys: Sequence[Key], parent: Any) -> None:
        """Raise :class:`InvalidPayload` when a role would become its own ancestor."""
        wanted = parent.get("id") if isinstance(parent, Mapping) else parent
        if not wanted:
            return
        moved = {str(key).lower() for key in keys}
        if str(wanted).lower() in moved:
            raise InvalidPayload("A role cannot be a parent of itself")
        rows = await connection.select(connection.dialect.latest(sa.select(ROLES)))
        if moved & set(_ancestors({row["id"]: row["parent"] for row in rows}, str(wanted).lower())):
            raise InvalidPayload("A role cannot have a parent that is already a descendant of itself")


def _ancestors(parents: Mapping[str, str | None], role: str) -> Iterable[str]:
    seen: set[str] = set()
    current: str | None = role
    while current is not None and current not in seen:
        seen.add(current)
        yield current
        current = parents.get(current)
