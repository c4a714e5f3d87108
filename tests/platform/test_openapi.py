"""The OpenAPI document: valid for everybody, true about routes, and no word of what the caller may not see."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from tabulary import Tabulary
from tabulary.server import asgi
from tabulary.server.api import Api
from tabulary.server.routing import Family

from .conftest import Client, collection, person

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(admin: Client) -> None:
    await collection(admin, "customers", "name", note="Who buys")
    customer = {"field": "customer", "type": "integer", "meta": {}, "schema": {}}
    secret = {"field": "margin", "type": "decimal", "meta": {}, "schema": {"is_nullable": False}}
    await collection(admin, "orders", "number", customer, secret)
    await collection(admin, "site", "title", singleton=True)
    relation = {"collection": "orders", "field": "customer", "related_collection": "customers"}
    await admin.data("POST", "/relations", {**relation, "meta": {}, "schema": {}})


async def document(client: Client) -> dict[str, Any]:
    answer = await client.get("/server/specs/oas")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    validate(found)
    names = [op["operationId"] for path in found["paths"].values() for m, op in path.items() if m != "parameters"]
    assert len(names) == len(set(names))
    return found


async def test_admins_see_all(admin: Client, shop: None) -> None:
    found = await document(admin)
    order = found["components"]["schemas"]["ItemsOrders"]
    assert order["required"] == ["margin"] and order["x-collection"] == "orders"
    customer = {"oneOf": [{"type": "integer"}, {"$ref": "#/components/schemas/ItemsCustomers"}], "nullable": True}
    assert order["properties"]["customer"] == customer
    assert set(found["paths"]["/items/site"]) == {"get", "patch"} and "/items/site/{id}" not in found["paths"]
    assert {"name": "ItemsCustomers", "description": "Who buys", "x-collection": "customers"} in found["tags"]
    assert found["servers"][0]["url"] == "http://test"


async def test_others_see_what_they_may(admin: Client, shop: None) -> None:
    orders = {"collection": "orders", "action": "read", "fields": ["id", "number", "customer"]}
    ada = await person(admin, "ada", orders, {"collection": "orders", "action": "create"})
    found = await document(ada)
    assert set(found["paths"]["/items/orders"]) == {"get", "post"}
    assert set(found["paths"]["/items/orders/{id}"]) == {"get", "parameters"}
    assert set(found["components"]["schemas"]["ItemsOrders"]["properties"]) == {"id", "number", "customer"}
    assert found["components"]["schemas"]["ItemsOrders"]["properties"]["customer"]["type"] == "integer"
    public = await document(admin.as_(None))
    for text, who in ((str(found), "ada"), (str(public), "public")):
        assert "margin" not in text and "customers" not in text.lower().replace("customer'", ""), who
        assert "ItemsSite" not in text and "/schema/snapshot" not in text, who
    assert "/items/orders" not in public["paths"] and "/server/ping" in public["paths"]


async def test_a_change_of_permissions_shows_at_once(admin: Client, shop: None) -> None:
    ada = await person(admin, "ada", {"collection": "orders", "action": "read"})
    assert "margin" in str(await document(ada))
    row = (await admin.data("GET", "/permissions?filter[collection][_eq]=orders&fields=id"))[0]
    await admin.data("PATCH", f"/permissions/{row['id']}", {"fields": ["id"]})
    assert "margin" not in str(await document(ada))


async def test_switched_off(make) -> None:  # type: ignore[no-untyped-def]
    tabulary = await make(OPENAPI_ENABLED=False)
    async with Client(tabulary.asgi, "admin-static-token") as client:
        assert (await client.get("/server/specs/oas")).status_code == 404
        assert (await client.get("/docs")).status_code == 404


async def test_routes_and_document_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation of the route table is described, and the other way round."""
    served: dict[str, Family] = {}
    original = Api.__init__

    def spy(self: Api, platform: Any, families: Any, *rest: Any, **more: Any) -> None:
        served.update(families)
        original(self, platform, families, *rest, **more)

    monkeypatch.setattr(Api, "__init__", spy)
    settings = {"ADMIN_EMAIL": "a@example.com", "ADMIN_PASSWORD": "x", "ADMIN_TOKEN": "admin-static-token"}
    async with Tabulary(f"sqlite:///{tmp_path}/x.db", SECRET="x" * 32, HASH_MEMORY_COST=1024, **settings) as tabulary:
        asgi.build(tabulary.platform, tabulary.subscriptions, tabulary.flows)
        async with Client(tabulary.asgi, "admin-static-token") as client:
            await collection(client, "books", "title")
            found = await document(client)
    described = {
        (method, _bare(path).replace("/items/books", "/items/{}"))
        for path, node in found["paths"].items()
        for method in node
        if method != "parameters"
    }
    routes = {
        (method.lower(), _bare(route.path))
        for family in served.values()
        for method, entries in family._by_method.items()
        for _, route in entries
        if method.lower() in DESCRIBABLE and not _is_refused(method, route.path)
    }
    assert routes - described == set(), "served, but not described"
    assert described - routes == {("get", "/server/ping")}, "described, but served by no family"


DESCRIBABLE = {"get", "post", "patch", "delete"}
"""``SEARCH`` is no method that OpenAPI 3.0 knows; ``HEAD`` and ``OPTIONS`` go without saying."""


def _is_refused(method: str, path: str) -> bool:
    """There is no marketplace, and GraphQL answers everything below its two paths, mostly by saying where to go."""
    if path.startswith("/graphql"):
        return "{" in path or method not in ("GET", "POST")
    return path.startswith("/extensions/registry")


def _bare(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


async def test_the_page_needs_nobody_and_nothing_from_elsewhere(admin: Client) -> None:
    guest = admin.as_(None)
    page = await guest.get("/docs")
    assert page.status_code == 200 and "script-src 'self';" in page.headers["content-security-policy"]
    assert "http" not in re.sub(r'lang="en"|http-equiv', "", page.text)
    for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        answer = await guest.get(f"/{name}")
        assert answer.status_code == 200 and answer.content, name
    assert (await guest.get("/docs/")).headers["location"] == "../docs"
    assert (await guest.get("/docs/../page.html")).status_code == 404
