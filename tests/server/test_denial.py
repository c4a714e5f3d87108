"""Nobody gets what is not theirs: every protected route against every kind of caller (see ``denial_rows``).

The routes come from the running application; one that is in neither table fails the suite. On SQLite alone, with one
server for all rows: who may do what is decided above the databases, and what rules become in SQL is compared on all of
them elsewhere (``tests/access/test_secrecy.py``, ``tests/items``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.server.api import Api

from .denial_open import OPEN
from .denial_rows import THINGS, Row, rows
from .test_app import SETTINGS, client_of

pytestmark = pytest.mark.anyio

CALLERS = ("public", "other", "permitted", "admin", "admin with bad input")
TOKENS = {"other": "other-token", "permitted": "permitted-token", "admin": "admin-static-token"}
ACTIONS = ("create", "read", "update", "delete", "share")
ROWS = rows()


class World:
    """An application with everything that rows need."""

    def __init__(self, tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
        self.tabulary, self.client = tabulary, client
        self.things: dict[str, str] = {}
        self.addresses = (f"n{number}@example.org" for number in count())

    async def make(self, collection: str, data: dict[str, Any]) -> str:
        service = await self.tabulary.service(collection)
        return str(await service.create_one(self.filled(data)))

    def filled(self, value: Any, key: str = "") -> Any:
        """A body with its placeholders replaced."""
        if isinstance(value, dict):
            return {name: self.filled(entry, key) for name, entry in value.items()}
        if isinstance(value, list):
            return [self.filled(entry, key) for entry in value]
        if not isinstance(value, str):
            return value
        if value.startswith("$"):
            return self.things[value[1:]]
        if value in ("{address}", "{name}"):
            address = next(self.addresses)
            return address if value == "{address}" else address.partition("@")[0]
        return value.replace("{key}", key)

    async def call(self, row: Row, caller: str) -> httpx2.Response:
        bad = caller == CALLERS[-1]
        path, body = row.wrong if bad else (row.good_path, row.body)
        key = await self.make(*row.make) if row.make else ""
        token = TOKENS.get("admin" if bad else caller)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        content = None if body is None else json.dumps(self.filled(body, key))
        return await self.client.request(row.method, path.replace("{key}", key), content=content, headers=headers)


@pytest.fixture(scope="module")
async def world(servers: Any, anyio_backend: str) -> AsyncIterator[World]:
    url = await servers.installed("sqlite")
    settings = {**SETTINGS, "EMAIL_TRANSPORT": "console", "TUS_ENABLED": True, "METRICS_ENABLED": True}
    async with Tabulary(url, **settings) as tabulary, client_of(tabulary.asgi) as client:
        admin = {"Authorization": f"Bearer {TOKENS['admin']}"}
        books = {
            "collection": "books",
            "schema": {},
            "meta": {"versioning": True},
            "fields": [{"field": "title", "type": "string"}],
        }
        assert (await client.post("/collections", json=books, headers=admin)).status_code == 200
        made = World(tabulary, client)
        for name, thing in THINGS.items():
            made.things[name] = await made.make(*thing)
        everything = (await tabulary.schema()).collections
        permissions = [{"collection": c, "action": a, "fields": ["*"]} for c in everything for a in ACTIONS]
        policy = await made.make("directus_policies", {"name": "all", "permissions": permissions})
        for name in ("other", "permitted"):
            grants = [{"policy": policy}] if name == "permitted" else []
            person = {"email": f"{name}@example.org", "password": "secret", "token": TOKENS[name], "policies": grants}
            await made.make("directus_users", person)
        users = await tabulary.service("directus_users")
        (first,) = await users.read_by_query({"filter": {"email": {"_eq": "admin@example.com"}}, "fields": ["id"]})
        await users.update_one(first["id"], {"password": "secret"})
        yield made


async def routes_of(tabulary: Tabulary) -> set[str]:
    """Methods and paths of the running application; HEAD goes with GET."""
    await client_of(tabulary.asgi).get("/server/ping")
    families = _api_of(tabulary.asgi)._families.values()
    table = [(m, r.path) for f in families for m, found in f._by_method.items() for _, r in found]
    return {f"{method} {path}" for method, path in table if method not in ("HEAD", "OPTIONS")}


def _api_of(layer: Any) -> Api:
    """The innermost application, below all layers."""
    waiting, seen = [layer], set()
    while waiting:
        found = waiting.pop()
        if isinstance(found, Api):
            return found
        if id(found) not in seen and type(found).__module__.startswith("tabulary.server"):
            seen.add(id(found))
            waiting.extend(vars(found).values())
    raise AssertionError("the application has no Api")


async def test_every_route_is_judged(world: World) -> None:
    routes = await routes_of(world.tabulary)
    assert not routes - ROWS.keys() - OPEN.keys(), "routes without a row in denial_rows.py (or denial_open.py)"
    assert not (ROWS.keys() | OPEN.keys()) - routes, "rows of routes that do not exist"
    assert not ROWS.keys() & OPEN.keys()


@pytest.mark.parametrize("route", sorted(ROWS))
async def test_callers(world: World, route: str) -> None:
    row = ROWS[route]
    found = {caller: (await world.call(row, caller)) for caller in CALLERS}
    assert tuple(answer.status_code for answer in found.values()) == row.statuses, {
        caller: (answer.status_code, answer.text[:80]) for caller, answer in found.items()
    }


def _could_change_something(row: Row) -> bool:
    return row.statuses[0] in (401, 403) and (row.make is not None or row.method not in ("GET", "SEARCH"))


@pytest.mark.parametrize("route", sorted(route for route, row in ROWS.items() if _could_change_something(row)))
async def test_the_refused_change_nothing(world: World, route: str) -> None:
    row = ROWS[route]
    before = await _state(world)
    for caller, status in zip(CALLERS[:3], row.statuses, strict=False):
        if status in (401, 403):
            answer = await world.call(row, caller)
            assert set(answer.json()) == {"errors"}
    after = await _state(world)
    made = 0 if row.make is None else sum(status in (401, 403) for status in row.statuses[:3])
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    expected = {} if not made or row.make is None else {row.make[0]: (before[row.make[0]], before[row.make[0]] + made)}
    assert changed == expected


async def _state(world: World) -> dict[str, int]:
    """How many items each collection has."""
    schema = await world.tabulary.schema()
    reader = world.tabulary.platform.reader
    return {name: await reader.count(schema, name, None) for name in schema.collections}
