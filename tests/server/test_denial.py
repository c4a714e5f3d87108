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

from .denial_open import OPEN, OPEN_ROOTS, SHOWN_ROOTS
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


async def _shown(world: World, scope: str, caller: str) -> set[str]:
    """The root fields that a caller's GraphQL schema has."""
    query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }"
    found = (await _ask(world, scope, caller, query)).json()["data"]["__schema"]
    kinds = (("query", found["queryType"]), ("mutation", found["mutationType"]))
    return {f"{kind} {field['name']}" for kind, shown in kinds if shown for field in shown["fields"]}


async def _ask(world: World, scope: str, caller: str, query: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {TOKENS[caller]}"} if caller in TOKENS else {}
    return await world.client.post(f"/graphql{scope}", json={"query": query}, headers=headers)


@pytest.mark.parametrize("scope", ["", "/system"])
async def test_graphql_roots(world: World, scope: str) -> None:
    """Who may nothing sees and reaches only the roots that are open to anybody."""
    everything = await _shown(world, scope, "admin")
    assert len(everything) > 5
    allowed = await _shown(world, scope, "permitted")
    for caller in ("public", "other"):
        open_to_all = OPEN_ROOTS | SHOWN_ROOTS.keys() if scope else {"query _empty"}
        shown = await _shown(world, scope, caller)
        assert shown <= open_to_all, (caller, sorted(shown - open_to_all))
        assert len(allowed) > len(shown)
        for root in sorted(everything - open_to_all):
            kind, name = root.split()
            answer = await _ask(world, scope, caller, f"{kind} {{ {name} }}")
            errors = answer.json()["errors"]
            assert answer.status_code == 400, root
            assert all(error["extensions"]["code"] == "GRAPHQL_VALIDATION" for error in errors), root


@pytest.mark.parametrize("root", SHOWN_ROOTS)
async def test_graphql_roots_that_only_show(world: World, root: str) -> None:
    kind, name = root.split()
    before = await _state(world)
    for caller in ("public", "other") if "tfa" not in root else ("public",):
        found = (await _ask(world, "/system", caller, f"{kind} {{ {name}{SHOWN_ROOTS[root]} }}")).json()
        codes = {error["extensions"]["code"] for error in found.get("errors", ())}
        assert codes == ({"FORBIDDEN"} if "utils" in root else set()), (caller, codes)  # nobody has no second factor
        assert (found.get("data") or {}).get(name) is None
    assert await _state(world) == before


async def test_resumable_uploads(world: World) -> None:
    """An upload is begun by who may create files, and goes on only by who began it."""
    tus = {"Tus-Resumable": "1.0.0"}
    begin = {**tus, "Upload-Length": "2", "Upload-Metadata": "filename_download eC50eHQ="}
    expected = dict(zip(CALLERS, (403, 403, 201, 201, 400), strict=True))
    before, url = await _state(world), ""
    for caller, status in expected.items():
        bad = caller == CALLERS[-1]
        token = TOKENS.get("admin" if bad else caller)
        headers = (tus if bad else begin) | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = await world.client.post("/files/tus", headers=headers)
        assert answer.status_code == status, (caller, answer.text)
        url = answer.headers["location"] if caller == "permitted" else url
    made = (await _state(world))["directus_files"] - before["directus_files"]
    assert made == 2
    for caller in CALLERS[:2]:
        headers = tus | ({"Authorization": f"Bearer {TOKENS[caller]}"} if caller in TOKENS else {})
        chunk = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        for answer in (
            await world.client.patch(url, headers=headers | chunk, content=b"ab"),
            await world.client.delete(url, headers=headers),
            await world.client.head(url, headers=headers),
        ):
            assert answer.status_code in (403, 404), (caller, answer.request.method, answer.status_code)
    own = tus | {"Authorization": f"Bearer {TOKENS['permitted']}"}
    assert (await world.client.delete(url, headers=own)).status_code == 204
