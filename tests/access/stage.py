"""One server on which worlds are shown and permissions exchanged (see :mod:`worlds`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx2
from tests.conftest import Servers

from tabulary import Tabulary

from .worlds import (
    ANY,
    COLUMNS,
    MANY_TO_ONE,
    ONE_TO_MANY,
    POLICIES,
    READER,
    ROLE,
    USERS,
    Grant,
    World,
    in_order,
)

SETTINGS: dict[str, Any] = {"SECRET": "0123456789abcdef0123456789abcdef", "EMAIL_TRANSPORT": "console"}
ADMIN = {"Authorization": "Bearer admin-static-token"}
AS_READER = {"Authorization": "Bearer reader-token"}


class Stage:
    """One server whose data and permissions are exchanged between questions."""

    def __init__(self, tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
        self.tabulary, self.client = tabulary, client

    async def build(self) -> None:
        """Tables, relations and a reader with two policies, one of them through a role."""
        for name in in_order():
            await self._post("/collections", _collection(name))
        many = {(name, field): alias for (_, alias), (name, field) in ONE_TO_MANY.items()}
        for (name, field), target in MANY_TO_ONE.items():
            meta = {"one_field": many.get((name, field))}
            relation = {"collection": name, "field": field, "related_collection": target, "meta": meta}
            await self._post("/relations", relation | {"schema": {"on_delete": "SET NULL"}})
        for (name, field), targets in ANY.items():
            meta = {"one_collection_field": "collection", "one_allowed_collections": list(targets)}
            await self._post("/relations", {"collection": name, "field": field, "meta": meta})
        for key in POLICIES:
            await self._post("/policies", {"id": key, "name": key, "admin_access": False, "app_access": False})
        await self._post("/roles", {"id": ROLE, "name": "readers", "policies": [{"policy": POLICIES[0]}]})
        reader = {"id": READER, "email": "reader@example.com", "token": "reader-token", "role": ROLE}
        await self._post("/users", {**reader, "policies": [{"policy": POLICIES[1]}]})

    async def _post(self, path: str, body: Any) -> None:
        answer = await self.client.post(path, json=body, headers=ADMIN)
        assert answer.status_code == 200, (path, answer.text)

    async def fill(self, world: World) -> None:
        async with self.tabulary.platform.database.transaction() as connection:
            quote = connection.dialect.quote
            for name in reversed(list(in_order())):
                await connection.execute(f"DELETE FROM {quote(name)}")
        for name in in_order():
            rows = list(world.tables[name].values())
            await (await self.tabulary.service(name)).create_many(rows)
        users = await self.tabulary.service(USERS)
        await users.update_one(READER, {field: world.reader[field] for field in COLUMNS[USERS]})

    async def permit(self, permissions: Sequence[Grant]) -> None:
        service = await self.tabulary.service("directus_permissions")
        await service.delete_by_query({"filter": {"policy": {"_in": list(POLICIES)}}, "limit": -1})
        rows = [
            {
                "collection": g.collection,
                "action": "read",
                "fields": list(g.fields),
                "permissions": g.rule,
                "policy": g.policy,
            }
            for g in permissions
        ]
        await service.create_many(rows)

    async def answer(self, path: str) -> tuple[int, str]:
        answer = await self.client.get(path, headers=AS_READER)
        return answer.status_code, answer.text


async def opened_stage(stack: AsyncExitStack, servers: Servers, dialect: str) -> Stage:
    url = await servers.installed(dialect)
    stack.push_async_callback(servers.drop, url)
    tabulary = await stack.enter_async_context(Tabulary(url, **SETTINGS))
    transport = httpx2.ASGITransport(app=tabulary.asgi)
    client = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://test"))
    stage = Stage(tabulary, client)
    await stage.build()
    return stage


def _collection(name: str) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [{"field": "id", "type": "integer", "schema": {"is_primary_key": True}, "meta": {}}]
    for field, kind in COLUMNS[name].items():
        special = ["cast-json"] if kind == "json" else None
        fields.append({"field": field, "type": kind, "schema": {}, "meta": {"special": special}})
    for owner, field in ONE_TO_MANY:
        if owner == name:
            fields.append({"field": field, "type": "alias", "schema": None, "meta": {"special": ["o2m"]}})
    return {"collection": name, "schema": {}, "meta": {}, "fields": fields}
