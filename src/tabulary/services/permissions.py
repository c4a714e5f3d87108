"""Permission rows (``directus_permissions``) and what they add up to for the caller (spec users §4.6–4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulary.access.permissions import Permission
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.core.json import encode
from tabulary.items.evaluate import Operands, evaluate
from tabulary.items.options import Key, QueryOptions
from tabulary.items.query import Query
from tabulary.services.access import AccessRuleService
from tabulary.services.reading import AnyQuery

ACTIONS = ("read", "create", "update", "delete", "share")
Item = dict[str, Any]


class PermissionsService(AccessRuleService):
    """``directus_permissions``. Lists are complete (no limit) and show the rows that come with app access."""

    # --- reads ------------------------------------------------------------------------------
    async def read_by_query(self, query: AnyQuery = None, options: QueryOptions | None = None) -> list[Item]:
        parsed = self._parsed(query)
        rows = await super().read_by_query(parsed.with_limit(None), options)
        return rows + await self._implicit_rows(parsed)

    async def read_json_by_query(self, query: AnyQuery = None, options: QueryOptions | None = None) -> str:
        return encode(await self.read_by_query(query, options)).decode()

    async def read_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> Item:
        return await self.plain(self.connection).read_one(key, query, options)

    async def read_json_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> str:
        return await self.plain(self.connection).read_json_one(key, query, options)

    async def _implicit_rows(self, query: Query) -> list[Item]:
        """The rows of app access that the query's filter admits. They have no key: a filter on it admits them all."""
        if query.root.aggregate or query.root.group:
            return []
        variables = await self.platform.access.variables(
            query.variables, self.accountability, self.schema, connection=self.connection
        )
        operands = Operands(query.values, variables)
        rows = self.platform.access.implicit.app_rows
        return [dict(row) for row in rows if not evaluate(query.root.filter, row, operands)]

    # --- what the caller may do -------------------------------------------------------------
    async def summary(self) -> dict[str, dict[str, Item]]:
        """``{collection: {action: {access, fields, presets}}}`` of the caller; collections without a row are absent."""
        permissions = await self.platform.access.permissions(self.accountability, self.schema)
        if permissions.unrestricted:
            everything: Item = {"access": "full", "fields": ["*"]}
            return {name: dict.fromkeys(ACTIONS, everything) for name in self.schema.collections}
        found: dict[str, dict[str, Item]] = {}
        for (collection, action), rows in permissions.rows.items():
            if collection in self.schema.collections and action in ACTIONS:
                actions = found.setdefault(collection, {name: {"access": "none"} for name in ACTIONS})
                actions[action] = await self._described(rows)
        return found

    async def _described(self, rows: Sequence[Permission]) -> Item:
        partial = any(row.permissions for row in rows)
        fields = list(dict.fromkeys(name for row in rows for name in row.fields))
        described: Item = {"access": "partial" if partial else "full", "fields": ["*"] if "*" in fields else fields}
        if any(row.presets is not None for row in rows):
            described["presets"] = await self._presets(rows)
        return described

    async def _presets(self, rows: Sequence[Permission]) -> Item:
        merged: Item = {}
        for row in rows:
            merged.update(row.presets or {})
        texts = [value for value in merged.values() if isinstance(value, str) and value.startswith("$")]
        if not texts:
            return merged
        values = await self.platform.access.variables(texts, self.accountability, self.schema, of_rules=True)
        return {k: values.get(v, v) if isinstance(v, str) else v for k, v in merged.items()}

    async def of_item(self, collection: str, key: Key | None = None) -> dict[str, Item]:
        """What the caller may do with one item, or with the collection in general (``/permissions/me/…``).

        Raises :class:`Forbidden` for callers who are no user.
        """
        who = self.accountability
        if who is None or who.user is None:
            raise Forbidden()
        if who.admin:
            return {action: {"access": True} for action in ("update", "delete", "share")}
        singleton = collection in self.schema.collections and self.schema.collections[collection].singleton
        if key is None and singleton:
            return await self._of_singleton(collection)
        return {
            action: {"access": await self._may(collection, action, key)} for action in ("update", "delete", "share")
        }

    async def _of_singleton(self, collection: str) -> dict[str, Item]:
        """A singleton needs no key; before it has a row, an update is a create. Allowed updates tell their fields."""
        keys = await self.platform.reader.keys(
            self.schema, collection, Query.parse({"limit": 1}, self.platform.settings), self.connection
        )
        key = keys[0] if keys else None
        answer: dict[str, Item] = {}
        for action in ("update", "delete", "share"):
            tested = "create" if action == "update" and key is None else action
            answer[action] = {"access": await self._may(collection, tested, key)}
        if answer["update"]["access"]:
            tested = "create" if key is None else "update"
            permissions = await self.platform.access.permissions(self.accountability, self.schema)
            rows = permissions.of_action(collection, tested)
            fields = sorted(permissions.fields(collection, tested))
            answer["update"] |= {"fields": ["*"] if "*" in fields else fields, "presets": await self._presets(rows)}
        return answer

    async def _may(self, collection: str, action: str, key: Key | None) -> bool:
        if collection not in self.schema.collections:
            return False
        permissions = await self.platform.access.permissions(self.accountability, self.schema)
        if not permissions.allows(collection, action):
            return False
        if key is None:
            return True
        try:
            await self.platform.reader.check_items(
                self.schema, collection, action, [key], [], self.accountability, self.connection
            )
        except (Forbidden, InvalidQuery):  # no such item, or a key that none can have
            return False
        return True
