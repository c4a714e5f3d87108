"""``/items``: routes, batch bodies, singletons, meta, exports, and what a write shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from .test_app import ADMIN, SETTINGS, client_of, code

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tabulary(tmp_path: Path) -> AsyncIterator[Tabulary]:
    async with Tabulary(f"sqlite:///{tmp_path}/test.db", **SETTINGS) as tabulary:
        async with tabulary.platform.database.transaction() as connection:
            await connection.execute(
                "CREATE TABLE books (id integer PRIMARY KEY AUTOINCREMENT, title varchar(255), pages integer)"
            )
            await connection.execute(
                "CREATE TABLE site (id integer PRIMARY KEY, title varchar(255) DEFAULT 'Untitled')"
            )
            await connection.execute("INSERT INTO directus_collections (collection, singleton) VALUES ('site', 1)")
        tabulary.platform.schemas.invalidate()
        yield tabulary


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(tabulary.asgi) as client:
        client.headers.update(ADMIN)
        yield client


@pytest.fixture
async def books(client: httpx2.AsyncClient) -> list[int]:
    payload = [
        {"title": title, "pages": pages} for title, pages in (("Emma", 474), ("Typee", 280), ("Persuasion", 249))
    ]
    answer = await client.post("/items/books?fields=id", json=payload)
    return [row["id"] for row in answer.json()["data"]]


async def titles(client: httpx2.AsyncClient) -> list[str]:
    answer = await client.get("/items/books?fields=title&sort=id")
    return [row["title"] for row in answer.json()["data"]]


async def test_the_life_of_an_item(client: httpx2.AsyncClient) -> None:
    created = await client.post("/items/books", json={"title": "Emma"})
    assert (created.status_code, created.json()) == (200, {"data": {"id": 1, "title": "Emma", "pages": None}})
    assert (await client.get("/items/books/1?fields=title")).json() == {"data": {"title": "Emma"}}
    changed = await client.patch("/items/books/1?fields=pages", json={"pages": 474})
    assert changed.json() == {"data": {"pages": 474}}
    gone = await client.delete("/items/books/1")
    assert (gone.status_code, gone.content) == (204, b"")
    missing = await client.get("/items/books/1")
    assert (missing.status_code, code(missing)) == (403, "FORBIDDEN")


async def test_lists_meta_and_search(client: httpx2.AsyncClient, books: list[int]) -> None:
    answer = await client.get("/items/books?fields=title&filter[pages][_lt]=300&sort=title&meta=*&limit=1")
    assert answer.json() == {"meta": {"total_count": 3, "filter_count": 2}, "data": [{"title": "Persuasion"}]}
    query = {"fields": ["title"], "filter": {"pages": {"_gt": 400}}}
    searched = await client.request("SEARCH", "/items/books?fields=id", json={"query": query})
    assert searched.json() == {"data": [{"title": "Emma"}]}
    for query, expected in (([1], "INVALID_QUERY"), ([], "INVALID_QUERY"), ("x", "INVALID_PAYLOAD")):
        wrong = await client.request("SEARCH", "/items/books", json={"query": query})
        assert (wrong.status_code, wrong.json()["errors"][0]["extensions"]["code"]) == (400, expected)
    by_keys = await client.request("SEARCH", "/items/books?fields=title", json={"keys": books[:1]})
    assert by_keys.json() == {"data": [{"title": "Emma"}]}


async def test_updates_of_many(client: httpx2.AsyncClient, books: list[int]) -> None:
    one, two, three = books
    batch = await client.patch(
        "/items/books?fields=id,title", json=[{"id": one, "title": "A"}, {"id": two, "title": "B"}]
    )
    assert batch.json() == {"data": [{"id": one, "title": "A"}, {"id": two, "title": "B"}]}
    keyed = await client.patch("/items/books?fields=title", json={"keys": [three], "data": {"title": "C"}})
    assert keyed.json() == {"data": [{"title": "C"}]}
    by_query = {"query": {"filter": {"pages": {"_lt": 300}}}, "data": {"title": "short"}}
    assert len((await client.patch("/items/books", json=by_query)).json()["data"]) == 2
    assert await titles(client) == ["A", "short", "short"]


async def test_deletes_of_many(client: httpx2.AsyncClient, books: list[int]) -> None:
    bodies: list[Any] = [[books[0]], {"keys": [books[1]]}, {"query": {"filter": {"id": {"_eq": books[2]}}}}]
    for left, body in zip((2, 1, 0), bodies, strict=True):
        assert (await client.request("DELETE", "/items/books", json=body)).status_code == 204
        assert len(await titles(client)) == left


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("SEARCH", {"nope": 1}),
        ("SEARCH", []),
        ("SEARCH", {"keys": 1}),
        ("SEARCH", {"query": "x"}),
        ("PATCH", {}),
        ("PATCH", {"keys": [1]}),
        ("PATCH", {"keys": [1], "data": "x"}),
        ("PATCH", {"keys": [True], "data": {}}),
        ("PATCH", {"keys": [1], "query": {}, "data": {}}),
        ("PATCH", {"data": {}}),
        ("DELETE", {}),
        ("DELETE", {"keys": [1], "data": {}}),
        ("DELETE", {"keys": [1], "query": {}}),
    ],
)
async def test_batch_bodies_that_are_refused(
    client: httpx2.AsyncClient, books: list[int], method: str, body: Any
) -> None:
    answer = await client.request(method, "/items/books", json=body)
    assert (answer.status_code, code(answer)) == (400, "INVALID_PAYLOAD")
    assert await titles(client) == ["Emma", "Typee", "Persuasion"]


async def test_a_bad_query_stops_a_write(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/items/books?limit=x", json={"title": "Emma"})
    assert (answer.status_code, code(answer)) == (400, "INVALID_QUERY")
    assert await titles(client) == []


async def test_a_write_that_may_not_be_seen_answers_204_and_stands(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/items/books?fields=nope", json={"title": "Emma"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert await titles(client) == ["Emma"]


async def test_singletons(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/items/site")).json() == {"data": {"id": None, "title": "Untitled"}}
    assert (await client.patch("/items/site", json={"id": 1, "title": "Here"})).json()["data"]["title"] == "Here"
    assert (await client.get("/items/site?fields=title")).json() == {"data": {"title": "Here"}}
    assert (await client.get("/items/site/1?fields=title")).json() == {"data": {"title": "Here"}}
    assert code(await client.post("/items/site", json={})) == "ROUTE_NOT_FOUND"
    assert code(await client.patch("/items/site/1", json={})) == "ROUTE_NOT_FOUND"


async def test_unknown_and_system_collections(client: httpx2.AsyncClient) -> None:
    unknown = (await client.get("/items/nope")).json()["errors"][0]["extensions"]
    assert unknown["code"] == "FORBIDDEN"
    assert "reason" in unknown
    system = (await client.get("/items/directus_users")).json()["errors"][0]["extensions"]
    assert system == {"code": "FORBIDDEN"}


async def test_exports(client: httpx2.AsyncClient, books: list[int]) -> None:
    answer = await client.get("/items/books?export=csv&fields=title,pages&sort=id&limit=1")
    assert answer.text == '"title","pages"\n"Emma",474'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="books 2')
    assert code(await client.get("/items/books?export=pdf")) == "INVALID_QUERY"
    one = await client.get(f"/items/books/{books[0]}?export=json&fields=title")
    assert one.json() == {"title": "Emma"}


async def test_the_answer_to_head_and_to_a_key_with_a_slash(client: httpx2.AsyncClient, books: list[int]) -> None:
    assert (await client.head("/items/books")).status_code == 200
    assert code(await client.get("/items/books/a%2Fb")) == "FORBIDDEN"
