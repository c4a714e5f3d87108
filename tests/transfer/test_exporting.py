"""Reading lists part by part: every item once, in order, only what the caller may see, on every database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import Forbidden
from tabulary.items.query import Query
from tabulary.services import exporting
from tabulary.services.exporting import content, parts

from .conftest import ADMIN

pytestmark = pytest.mark.anyio


@pytest.fixture
async def small_parts(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> Tabulary:
    """Parts of 3, then of 4 at most."""
    monkeypatch.setattr(exporting, "FIRST_PART", 3)
    monkeypatch.setitem(tabulary.platform.settings._values, "EXPORT_BATCH_SIZE", 4)
    return tabulary


async def fill(tabulary: Tabulary, count: int) -> None:
    books = [
        {"id": n, "title": f"T{n:03}", "pages": n % 3 or None, "in_print": n % 2 == 0} for n in range(1, count + 1)
    ]
    await tabulary.items("books").create_many(books)


async def read(
    tabulary: Tabulary, collection: str, raw: dict[str, Any], who: Accountability | None = ADMIN
) -> list[list[Any]]:
    service = tabulary.platform.service(collection, schema=await tabulary.schema(), accountability=who)
    query = Query.parse(raw, tabulary.settings)
    return [json.decode(part) async for part in parts(service, query)]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": -1},
        {"limit": -1, "sort": ["-id"]},
        {"limit": -1, "sort": ["pages", "id"]},
        {"limit": -1, "sort": ["-pages", "title"], "offset": 2},
        {"limit": -1, "fields": ["title", "author.name"]},
        {"limit": -1, "filter": {"in_print": {"_eq": True}}},
        {"limit": -1, "search": "T01"},
        {"limit": 10},
        {"limit": 11, "offset": 3},
        {"limit": 9, "page": 2, "sort": ["-id"]},
        {"limit": 3},
        {"limit": 0},
        {"limit": -1, "alias": {"id": "title"}, "fields": ["id"]},
    ],
    ids=str,
)
async def test_parts_are_the_list(small_parts: Tabulary, query: dict[str, Any]) -> None:
    await fill(small_parts, 23)
    found = await read(small_parts, "books", query)
    whole = await small_parts.items("books").read_by_query(query)
    assert [item for part in found for item in part] == whole
    assert all(len(part) <= 4 for part in found)


async def test_sorted_lists_are_not_counted_from_the_front(
    small_parts: Tabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(small_parts, 23)

    async def refuse(*_: Any) -> str:
        raise AssertionError("read by offset")

    monkeypatch.setattr("tabulary.services.exporting._ByOffset.read", refuse)
    found = await read(small_parts, "books", {"limit": -1, "sort": ["-pages"], "fields": ["id"]})
    whole = await small_parts.items("books").read_by_query({"limit": -1, "sort": ["-pages", "-id"], "fields": ["id"]})
    assert len(found) > 2 and [item for part in found for item in part] == whole


async def test_keys_that_are_texts_and_uuids(small_parts: Tabulary) -> None:
    await small_parts.items("places").create_many([{"code": f"{c}{n}", "name": "x"} for c in "bCa" for n in range(4)])
    await small_parts.items("authors").create_many([{"name": f"A{n}"} for n in range(11)])
    for collection in ("places", "authors"):
        found = await read(small_parts, collection, {"limit": -1})
        whole = await small_parts.items(collection).read_by_query({"limit": -1})
        assert [item for part in found for item in part] == whole
        assert len(found) > 2


async def test_an_empty_list_is_one_empty_part(small_parts: Tabulary) -> None:
    assert await read(small_parts, "books", {"limit": -1}) == [[]]


async def test_groups_come_at_once(small_parts: Tabulary) -> None:
    await fill(small_parts, 12)
    found = await read(small_parts, "books", {"limit": -1, "aggregate": {"count": "*"}, "groupBy": ["title"]})
    assert [len(part) for part in found] == [12]


async def test_items_that_come_meanwhile_do_no_harm(small_parts: Tabulary) -> None:
    await fill(small_parts, 12)
    service = small_parts.platform.service("books", schema=await small_parts.schema(), accountability=ADMIN)
    seen: list[int] = []
    async for part in parts(service, Query.parse({"limit": -1}, small_parts.settings)):
        seen += [item["id"] for item in json.decode(part)]
        if len(seen) == 3:
            await small_parts.items("books").delete_one(5)
            await small_parts.items("books").create_one({"id": 100, "title": "late"})
    assert seen == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 100]


async def test_parts_shrink_when_items_are_large(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "FIRST_PART", 2)
    monkeypatch.setattr(exporting, "PART_BYTES", 4000)
    await tabulary.items("books").create_many([{"title": f"T{n}", "extra": {"x": "y" * 1500}} for n in range(9)])
    assert [len(part) for part in await read(tabulary, "books", {"limit": -1, "sort": ["id"]})] == [2, 2, 2, 2, 1]


async def reader_of(tabulary: Tabulary, fields: list[str], rule: dict[str, Any]) -> Accountability:
    policy = await tabulary.items("directus_policies").create_one({"name": "P", "admin_access": False})
    grant = {"policy": policy, "collection": "books", "action": "read", "fields": fields, "permissions": rule}
    await tabulary.items("directus_permissions").create_one(grant)
    role = await tabulary.items("directus_roles").create_one({"name": "R"})
    await tabulary.items("directus_access").create_one({"role": role, "policy": policy, "sort": 1})
    return Accountability(role=role, roles=(role,))


async def test_only_what_the_caller_may_see(small_parts: Tabulary) -> None:
    await fill(small_parts, 23)
    even = await reader_of(small_parts, ["id", "title"], {"in_print": {"_eq": True}})
    found = [item for part in await read(small_parts, "books", {"limit": -1}, even) for item in part]
    assert [item["id"] for item in found] == list(range(2, 23, 2))
    assert {frozenset(item) for item in found} == {frozenset({"id", "title"})}
    limited = [item for part in await read(small_parts, "books", {"limit": 7}, even) for item in part]
    assert len(limited) == 7
    with pytest.raises(Forbidden):
        await read(small_parts, "books", {"limit": -1, "fields": ["price"]}, even)


async def test_callers_who_do_not_see_the_key(small_parts: Tabulary) -> None:
    await fill(small_parts, 23)
    keyless = await reader_of(small_parts, ["title"], {})
    found = [item for part in await read(small_parts, "books", {"limit": -1}, keyless) for item in part]
    assert sorted(item["title"] for item in found) == [f"T{n:03}" for n in range(1, 24)]


async def test_unknown_collections_are_forbidden(tabulary: Tabulary) -> None:
    with pytest.raises(Forbidden):
        await read(tabulary, "nope", {"limit": -1})


async def test_hooks_see_each_part(small_parts: Tabulary) -> None:
    await fill(small_parts, 9)

    async def shout(items: list[Any], meta: Any, context: Any) -> list[Any]:
        return [{**item, "title": item["title"].lower()} for item in items]

    small_parts.hooks.filter("books.items.read", shout)
    try:
        found = [item for part in await read(small_parts, "books", {"limit": -1}) for item in part]
    finally:
        small_parts.hooks.remove("books.items.read", shout)
    assert [item["title"] for item in found] == [f"t{n:03}" for n in range(1, 10)]


# --- files --------------------------------------------------------------------------------------
async def file(tabulary: Tabulary, raw: dict[str, Any], kind: str, columns: str = "found") -> tuple[list[bytes], str]:
    service = tabulary.platform.service("books", schema=await tabulary.schema(), accountability=ADMIN)
    query = Query.parse(raw, tabulary.settings)
    pieces = [piece async for piece in content(service, query, kind, columns=columns)]
    return pieces, b"".join(pieces).decode()


async def test_csv_columns(small_parts: Tabulary) -> None:
    books = [
        {"title": f"T{n}", "extra": {f"k{n}": n}, "author": {"name": "Jane"} if n == 5 else None} for n in range(7)
    ]
    await small_parts.items("books").create_many(books)
    query = {"limit": -1, "fields": ["title", "author.name", "extra"], "sort": ["id"]}
    _, found = await file(small_parts, query, "csv")
    lines = found.split("\n")
    head = '"title","extra.k0","author","extra.k1","extra.k2","extra.k3","extra.k4","extra.k5","author.name","extra.k6"'
    assert lines[0] == head
    assert len(lines) == 8
    _, asked = await file(small_parts, query, "csv", "requested")
    assert asked.split("\n")[0] == '"title","author.name","extra"'
    assert asked.split("\n")[6] == '"T5","Jane","{""k5"":5}"'


async def test_flat_csv_is_streamed(small_parts: Tabulary) -> None:
    await fill(small_parts, 12)
    pieces, found = await file(small_parts, {"limit": -1, "fields": ["id", "title"]}, "csv")
    assert len(pieces) > 2
    assert found.split("\n")[0] == '"id","title"'
    assert len(found.split("\n")) == 13


async def test_the_loop_goes_on_while_files_are_written(small_parts: Tabulary) -> None:
    await fill(small_parts, 12)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await file(small_parts, {"limit": -1}, "xml")
    counting.cancel()
    assert turns > 3
