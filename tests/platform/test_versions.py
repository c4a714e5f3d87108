"""Content versions: making, saving, previewing, comparing, promoting; with relations and with little rights."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tabulary import Tabulary

from .conftest import Client, collection, person

pytestmark = pytest.mark.anyio

MARKS = {"_user", "_date"}


@pytest.fixture
async def library(admin: Client) -> None:
    """Books with an author, reviews, and stamps of who changed them; the first book has one review."""
    stamp = {"meta": {"special": ["user-updated"]}, "type": "uuid", "field": "editor", "schema": {}}
    moment = {"meta": {"special": ["date-updated"]}, "type": "timestamp", "field": "edited", "schema": {}}
    key = {"field": "author", "type": "integer", "meta": {}, "schema": {}}
    json_field = {"field": "extra", "type": "json", "meta": {"special": ["cast-json"]}, "schema": {}}
    await collection(admin, "authors", "name")
    await collection(admin, "books", "title", key, stamp, moment, json_field, versioning=True)
    await collection(admin, "reviews", "text", {**key, "field": "book"})
    alias = {"field": "reviews", "type": "alias", "meta": {"special": ["o2m"]}}
    await admin.data("POST", "/fields/books", alias)
    for field, of, to, one in (("author", "books", "authors", None), ("book", "reviews", "books", "reviews")):
        relation = {"collection": of, "field": field, "related_collection": to, "meta": {"one_field": one}}
        await admin.data("POST", "/relations", {**relation, "schema": {}})
    await admin.data("POST", "/items/books", {"title": "Emma", "reviews": [{"text": "Good"}]})


async def draft(admin: Client, changes: Any = None, key: str = "draft") -> str:
    """A version of the first book; its id."""
    made = await admin.data("POST", "/versions", {"key": key, "collection": "books", "item": "1"})
    if changes is not None:
        await admin.data("POST", f"/versions/{made['id']}/save", changes)
    return str(made["id"])


async def main_hash(admin: Client, version: str) -> str:
    return str((await admin.data("GET", f"/versions/{version}/compare"))["mainHash"])


async def test_what_a_version_is_made_of(admin: Client, library: None) -> None:
    good = {"key": "draft", "collection": "books", "item": "1"}
    for change, status in (
        ({"key": "main"}, 400),
        ({"key": ""}, 400),
        ({"key": 1}, 400),
        ({"item": 1}, 400),
        ({"delta": {}}, 400),
        ({"item": "99"}, 403),
        ({"item": "x"}, 403),
        ({"collection": "nope"}, 403),
        ({"collection": "authors"}, 403),
    ):
        assert (await admin.post("/versions", json={**good, **change})).status_code == status, change
    await admin.data("POST", "/items/authors", {"name": "Jane"})
    assert await admin.code("POST", "/versions", {**good, "collection": "authors"}) == (422, "UNPROCESSABLE_CONTENT")
    assert await admin.code("POST", "/versions", [good, good]) == (422, "UNPROCESSABLE_CONTENT")
    assert await admin.data("GET", "/versions") == []
    first, other = await draft(admin), await draft(admin, key="other")
    assert await admin.code("POST", "/versions", good) == (422, "UNPROCESSABLE_CONTENT")
    assert await admin.code("PATCH", f"/versions/{other}", {"key": "draft"}) == (422, "UNPROCESSABLE_CONTENT")
    assert await admin.code("PATCH", f"/versions/{other}", {"delta": {}}) == (400, "INVALID_PAYLOAD")
    assert (await admin.data("PATCH", f"/versions/{first}", {"key": "draft", "name": "Mine"}))["name"] == "Mine"


async def test_two_at_once_cannot_have_the_same_key(admin: Client, library: None) -> None:
    body = {"key": "draft", "collection": "books", "item": "1"}
    answers = await asyncio.gather(*(admin.post("/versions", json=body) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [200, 422, 422, 422, 422]


async def test_saves_add_up_and_show_nothing_outside(admin: Client, library: None) -> None:
    version = await draft(admin, {"title": "One"})
    saved = await admin.data("POST", f"/versions/{version}/save", {"extra": {"a": 1, "_user": "data"}})
    assert (saved["title"], saved["extra"]) == ("One", {"a": 1, "_user": "data"}) and set(saved) > MARKS
    assert (await admin.data("GET", "/items/books/1"))["title"] == "Emma"
    read = await admin.data("GET", f"/versions/{version}?fields=delta")
    assert set(read) == {"delta"} and not MARKS & set(read["delta"])
    assert read["delta"]["extra"] == {"a": 1, "_user": "data"} and read["delta"]["id"] == "1"
    assert set((await admin.data("GET", "/versions?fields=delta"))[0]["delta"]) >= MARKS
    assert await admin.code("POST", f"/versions/{version}/save", [1]) == (400, "INVALID_PAYLOAD")


async def test_saves_at_once_lose_nothing(admin: Client, library: None) -> None:
    version = await draft(admin)
    changes = [{"title": "T"}, {"extra": 1}, {"author": None}, {"reviews": []}]
    await asyncio.gather(*(admin.data("POST", f"/versions/{version}/save", change) for change in changes))
    delta = (await admin.data("GET", f"/versions/{version}"))["delta"]
    assert {"title", "extra", "author", "reviews"} <= set(delta)


async def test_a_preview_resolves_relations_and_leaves_no_trace(admin: Client, library: None) -> None:
    await draft(admin, {
        "title": "New", "author": {"name": "Jane"},
        "reviews": {"create": [{"text": "Better"}], "update": [{"id": 1, "text": "Best"}], "delete": []},
    })  # fmt: skip
    fields = "title,author.id,author.name,reviews.id,reviews.text,reviews.book"
    shown = await admin.data("GET", f"/items/books/1?version=draft&fields={fields}")
    assert shown["title"] == "New" and shown["author"] == {"id": None, "name": "Jane"}
    reviews = sorted(shown["reviews"], key=lambda review: str(review["text"]))
    assert reviews == [{"id": 1, "text": "Best", "book": 1}, {"id": None, "text": "Better", "book": 1}]
    keys = await admin.data("GET", "/items/books/1?version=draft&fields=author,reviews")
    assert keys["author"] is None and sorted(keys["reviews"], key=str) == [1, None]
    assert await admin.data("GET", "/items/authors") == []
    assert [r["text"] for r in await admin.data("GET", "/items/reviews")] == ["Good"]
    assert (await admin.data("GET", "/items/books/1"))["title"] == "Emma"
    activity = await admin.data("GET", "/activity?fields=action&filter[collection][_in]=authors,reviews,books")
    assert [row["action"] for row in activity].count("update") == 0


async def test_which_version_a_read_gets(admin: Client, library: None) -> None:
    await draft(admin, {"title": "New"})
    await draft(admin, key="empty")
    for version, title in (("main", "Emma"), ("", "Emma"), ("empty", "Emma"), ("draft", "New")):
        assert (await admin.data("GET", f"/items/books/1?fields=title&version={version}"))["title"] == title
    assert await admin.code("GET", "/items/books/1?version=nope") == (403, "FORBIDDEN")
    assert (await admin.data("GET", "/items/books?version=draft&fields=title")) == [{"title": "Emma"}]
    raw = await admin.data("GET", "/items/books/1?version=draft&versionRaw=true&fields=id,title")
    assert raw["title"] == "New" and raw["id"] == "1"
    assert (await admin.data("GET", "/items/books/1?version=nope&versionRaw&fields=title"))["title"] == "Emma"


async def test_promoting_writes_the_item_as_its_author_saved_it(
    admin: Client, tabulary: Tabulary, library: None
) -> None:
    heard: list[Any] = []

    async def shout(payload: Any, meta: Any, context: Any) -> Any:
        heard.append((meta["event"], meta["version"]))
        return {**payload, "title": payload["title"].upper()}

    tabulary.hooks.filter("books.items.promote", shout)
    reads = [{"collection": name, "action": "read"} for name in ("books", "reviews", "directus_versions")]
    ada = await person(admin, "ada", *reads)
    version = await draft(admin)
    await ada.data("POST", f"/versions/{version}/save", {"title": "new", "reviews": {"create": [{"text": "More"}]}})
    found = await main_hash(admin, version)
    assert await ada.code("POST", f"/versions/{version}/promote", {"mainHash": found}) == (403, "FORBIDDEN")
    assert await admin.data("POST", f"/versions/{version}/promote", {"mainHash": found}) == "1"
    book = await admin.data("GET", "/items/books/1?fields=title,editor,reviews.text")
    assert book["title"] == "NEW" and heard == [("books.items.promote", "draft")]
    assert sorted(r["text"] for r in book["reviews"]) == ["Good", "More"]
    users = await admin.data("GET", "/users?fields=id&filter[email][_eq]=ada@example.com")
    assert book["editor"] == users[0]["id"]
    assert (await admin.data("GET", f"/versions/{version}/compare"))["outdated"] is True


async def test_promoting_some_fields(admin: Client, library: None) -> None:
    version = await draft(admin, {"title": "New", "extra": {"a": 1}})
    body = {"mainHash": await main_hash(admin, version), "fields": ["extra"]}
    await admin.data("POST", f"/versions/{version}/promote", body)
    book = await admin.data("GET", "/items/books/1?fields=title,extra")
    assert book == {"title": "Emma", "extra": {"a": 1}}


async def test_what_cannot_be_promoted(admin: Client, library: None) -> None:
    version = await draft(admin)
    path = f"/versions/{version}/promote"
    found = await main_hash(admin, version)
    assert await admin.code("POST", path, {"mainHash": found}) == (422, "UNPROCESSABLE_CONTENT")
    await admin.data("POST", f"/versions/{version}/save", {"title": "New"})
    for body in ({}, {"mainHash": 1}, {"mainHash": found, "fields": "title"}, []):
        assert await admin.code("POST", path, body) == (400, "INVALID_PAYLOAD")
    await admin.data("PATCH", "/items/books/1", {"title": "Other"})
    assert await admin.code("POST", path, {"mainHash": found}) == (422, "UNPROCESSABLE_CONTENT")
    assert (await admin.data("GET", "/items/books/1"))["title"] == "Other"


async def test_only_who_reads_versions_and_the_item(admin: Client, library: None) -> None:
    version = await draft(admin, {"title": "Secret"})
    books, versions = ({"collection": name, "action": "read"} for name in ("books", "directus_versions"))
    for name, rows in (("a", [books]), ("b", [versions]), ("c", [])):
        client = await person(admin, name, *rows)
        for method, path in (
            ("GET", f"/versions/{version}/compare"),
            ("POST", f"/versions/{version}/save"),
            ("GET", "/items/books/1?version=draft"),
        ):
            assert await client.code(method, path, {}) == (403, "FORBIDDEN"), (name, path)
    title_only = await person(admin, "d", {**books, "fields": ["id"]}, versions)
    assert await title_only.data("GET", "/items/books/1?version=draft") == {"id": 1}
    assert await title_only.code("GET", "/items/books/1?version=draft&fields=title") == (403, "FORBIDDEN")


async def test_a_save_is_recorded_with_its_version(admin: Client, library: None) -> None:
    version = await draft(admin, {"title": "New"})
    query = "fields=data,delta,version,activity.action,activity.item&filter[version][_nnull]=true"
    assert await admin.data("GET", f"/revisions?{query}") == [
        {
            "data": {"title": "New"},
            "delta": {"title": "New"},
            "version": version,
            "activity": {"action": "version_save", "item": "1"},
        }
    ]


async def test_a_preview_in_python_joins_a_transaction_and_leaves_it_whole(tabulary: Tabulary, library: None) -> None:
    schema = await tabulary.schema()
    versions = tabulary.platform.service("directus_versions", schema=schema)
    key = await versions.create_one({"key": "draft", "collection": "books", "item": "1"})
    await versions.save(key, {"title": "New"})
    async with tabulary.platform.database.transaction() as connection:
        books = tabulary.platform.service("books", schema=schema, connection=connection)
        await books.update_one(1, {"extra": {"kept": True}})
        shown = await books.read_one(1, {"version": "draft", "fields": ["title", "extra"]})
        assert shown == {"title": "New", "extra": {"kept": True}}
    book = await tabulary.items("books").read_one(1, {"fields": ["title", "extra"]})
    assert book == {"title": "Emma", "extra": {"kept": True}}
