"""A small book shelf, built over HTTP, with a role that sees a part of it. What the tests of GraphQL and sockets share."""

from __future__ import annotations

from typing import Any

import httpx2

from tabulary import Tabulary

from ..conftest import Servers

SETTINGS: dict[str, Any] = {
    "SECRET": "0123456789abcdef0123456789abcdef",
    "HASH_MEMORY_COST": 1024,
    "HASH_TIME_COST": 1,
    "LOGIN_STALL_TIME": 0,
}
ADMIN = {"Authorization": "Bearer admin-static-token"}
READER = {"Authorization": "Bearer reader-token"}
KEY = {"field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True}}


async def shelf_of(servers: Servers, dialect: str) -> str:
    """The URL of a new database with the shelf: a copy of the first one where copying is possible."""
    if dialect == "mysql":
        url = await servers.installed(dialect)
        await _set_up(url)
        return url
    name = f"{dialect} with a shelf"
    if name not in servers.templates:
        servers.templates[name] = await servers.installed(dialect)
        await _set_up(servers.templates[name])
    return await servers.create(dialect, servers.templates[name])


async def _set_up(url: str) -> None:
    async with Tabulary(url, **SETTINGS) as tabulary, client_of(tabulary) as client:
        await build(client)
        if tabulary.platform.database.dialect.name == "sqlite":  # all into the one file that is copied
            async with tabulary.platform.database.connection(write=True) as connection:
                await connection.fetch_rows("PRAGMA wal_checkpoint(TRUNCATE)")


def client_of(tabulary: Tabulary) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=tabulary.asgi), base_url="http://test")


async def build(client: httpx2.AsyncClient) -> None:
    """Authors with books, books with reviews, pages with blocks (M2A), a singleton; a reader of printed books."""
    collections = (
        _collection("authors", name="string", born="date", books=_alias("o2m")),
        _collection("books", title="string", price="decimal", views="bigInteger", at="timestamp", data="json", tags="csv",
                    in_print="boolean", author="integer", reviews=_alias("o2m")),
        _collection("reviews", stars="integer", book="integer"),
        _collection("headings", text="string"),
        _collection("blocks", collection="string", item="string", page="integer"),
        _collection("pages", title="string", blocks=_alias("m2a")),
        _collection("site", {"singleton": True}, title="string"),
    )  # fmt: skip
    for body in collections:
        await post(client, "/collections", body)
    await post(
        client, "/fields/site", {"field": "lang", "type": "string", "meta": {}, "schema": {"default_value": "en"}}
    )
    for many, field, one, alias in (("books", "author", "authors", "books"), ("reviews", "book", "books", "reviews"),
                                    ("blocks", "page", "pages", "blocks")):  # fmt: skip
        body = {
            "collection": many,
            "field": field,
            "related_collection": one,
            "schema": {"on_delete": "SET NULL"},
            "meta": {"one_field": alias},
        }
        await post(client, "/relations", body)
    allowed = {"one_collection_field": "collection", "one_allowed_collections": ["headings", "books"]}
    await post(
        client, "/relations", {"collection": "blocks", "field": "item", "related_collection": None, "meta": allowed}
    )
    await fill(client)
    await grant(client)


async def fill(client: httpx2.AsyncClient) -> None:
    books = [
        {"title": "Emma", "price": "9.50", "views": "9007199254740993", "in_print": True, "tags": ["a", "b"],
         "at": "2020-02-03T04:05:06Z", "data": [1, 2], "reviews": [{"stars": 5}, {"stars": 2}]},
        {"title": "Persuasion", "price": "7.25", "in_print": False},
    ]  # fmt: skip
    await post(client, "/items/authors", {"name": "Jane Austen", "born": "1775-12-16", "books": books})
    await post(client, "/items/headings", {"text": "Hello"})
    blocks = [{"collection": "headings", "item": "1"}, {"collection": "books", "item": "2"}]
    await post(client, "/items/pages", {"title": "Home", "blocks": blocks})


async def grant(client: httpx2.AsyncClient) -> None:
    policy = (await post(client, "/policies", {"name": "reader", "admin_access": False, "app_access": False}))["id"]
    printed = {"in_print": {"_eq": True}}
    rows = [
        {"collection": "books", "action": "read", "fields": ["id", "title", "author"], "permissions": printed},
        {"collection": "authors", "action": "read", "fields": ["id", "name"], "permissions": None},
        {"collection": "reviews", "action": "create", "fields": ["stars"], "permissions": None},
    ]
    for row in rows:
        await post(client, "/permissions", {**row, "policy": policy})
    user = {"email": "reader@example.com", "token": "reader-token", "password": "reader-password"}
    await post(client, "/users", {**user, "policies": [{"policy": policy}]})


async def post(client: httpx2.AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(path, json=body, headers=ADMIN)
    assert answer.status_code < 300, f"{path}: {answer.text}"
    return answer.json().get("data") if answer.content else None


async def ask(
    client: httpx2.AsyncClient, query: str, variables: Any = None, who: dict[str, str] = ADMIN, scope: str = ""
) -> Any:
    """The answer to an operation, with its status under ``status`` when that is not 200."""
    body = {"query": query, "variables": variables}
    answer = await client.post(f"/graphql{scope}", json=body, headers=who)
    found = answer.json()
    return found if answer.status_code == 200 else {"status": answer.status_code, **found}


def codes(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer["errors"]]


def _collection(name: str, meta: dict[str, Any] | None = None, /, **fields: Any) -> dict[str, Any]:
    made = [KEY]
    for field, kind in fields.items():
        made.append({"field": field, **(kind if isinstance(kind, dict) else _column(kind))})
    return {"collection": name, "meta": meta or {}, "schema": {}, "fields": made}


def _column(kind: str) -> dict[str, Any]:
    special = {"json": ["cast-json"], "csv": ["cast-csv"], "boolean": ["cast-boolean"]}.get(kind)
    return {"type": kind, "meta": {"special": special}, "schema": {}}


def _alias(special: str) -> dict[str, Any]:
    return {"type": "alias", "meta": {"special": [special]}, "schema": None}
