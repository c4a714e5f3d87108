"""Nested writes (spec items-and-query §6), and a property: what they leave is what a simple model says."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary.access.permissions import Permission
from tabulary.core.errors import FailedValidation, Forbidden, InvalidForeignKey, InvalidPayload, RecordNotUnique

from .workbench import DATABASES, WRITER, Bench, bench

pytestmark = pytest.mark.anyio


@pytest.fixture(params=DATABASES)
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(request.param, tmp_path) as opened:
        yield opened


def ids(count: int) -> list[str]:
    return [str(uuid.UUID(int=100 + n)) for n in range(count)]


async def reviews_of(library: Bench, book: int) -> dict[str, int]:
    items = await library.all("reviews")
    return {i["id"]: i["stars"] for i in items if i["book"] == book}


# --- to one -------------------------------------------------------------------------------------
async def test_m2o_creates_links_and_updates(library: Bench) -> None:
    books, (a, b) = library.service("books"), ids(2)
    first = await books.create_one({"title": "1", "author": {"id": a, "name": "A"}})
    await books.update_one(first, {"author": {"id": a, "bio": "new"}})
    await books.create_one({"title": "2", "author": {"id": a}})
    await books.update_one(first, {"author": {"name": "B", "id": b}})
    authors = {i["id"]: (i["name"], i["bio"]) for i in await library.all("authors")}
    assert authors == {a: ("A", "new"), b: ("B", None)}
    assert [i["author"] for i in await library.all("books")] == [b, a]


async def test_m2o_errors_have_a_path_and_leave_nothing(library: Bench) -> None:
    books = library.service("books")
    with pytest.raises(FailedValidation) as problem:
        await books.create_one({"title": "x", "author": {}})
    assert problem.value.extensions["path"] == ["author"]
    with pytest.raises(InvalidPayload):
        await books.create_one({"title": "x", "author": [{"name": "a"}]})
    with pytest.raises(InvalidForeignKey):
        await books.create_one({"title": "x", "author": ids(1)[0]})
    await books.create_one({"title": "x", "isbn": "1"})
    with pytest.raises(RecordNotUnique):
        await books.create_one({"title": "y", "isbn": "1", "author": {"name": "A"}})
    assert await library.all("authors") == [] and len(await library.all("books")) == 1


async def test_a2o(library: Bench) -> None:
    pages = library.service("pages")
    await pages.create_one(
        {"slug": "p", "blocks": [{"collection": "genres", "item": {"name": "g"}}, {"collection": "books", "item": 5}]}
    )
    assert [(b["collection"], b["item"], b["sort"]) for b in await library.all("blocks")] == [
        ("genres", "1", None),
        ("books", "5", None),
    ]
    key = (await library.all("blocks"))[0]["id"]
    await pages.update_one(
        "p", {"blocks": {"update": [{"id": key, "collection": "genres", "item": {"id": 1, "name": "h"}}]}}
    )
    assert [g["name"] for g in await library.all("genres")] == ["h"]
    for bad in (
        {"item": {"name": "x"}},
        {"collection": "authors", "item": {"name": "x"}},
        {"collection": "nope", "item": {}},
    ):
        with pytest.raises(InvalidPayload):
            await pages.update_one("p", {"blocks": [bad]})
    with pytest.raises(FailedValidation) as problem:
        await pages.update_one("p", {"blocks": [{"collection": "books", "item": {"pages": 3}}]})
    assert problem.value.extensions["path"] == ["blocks", "item"]


# --- to many ------------------------------------------------------------------------------------
async def test_list_replaces(library: Bench) -> None:
    books, (a, b, c, d) = library.service("books"), ids(4)
    key = await books.create_one(
        {"title": "x", "reviews": [{"id": i, "stars": n, "book": 77} for n, i in enumerate((a, b, c))]}
    )
    await books.update_one(key, {"reviews": [c, {"id": a, "stars": 9}, {"id": d, "stars": 4}, c]})
    assert await reviews_of(library, key) == {a: 9, c: 2, d: 4}
    for bad, error in (
        (["nope"], Forbidden),
        ([ids(9)[8]], Forbidden),
        ("x", InvalidPayload),
        (5, InvalidPayload),
        ([None], InvalidPayload),
    ):
        with pytest.raises(error):
            await books.update_one(key, {"title": "changed", "reviews": bad})
    assert (await library.all("books"))[0]["title"] == "x" and len(await reviews_of(library, key)) == 3
    await books.update_one(key, {"reviews": None})
    assert await library.all("reviews") == []


async def test_list_takes_children_of_others(library: Bench) -> None:
    books, (a, b) = library.service("books"), ids(2)
    first, second = await books.create_many(
        [{"title": "1", "reviews": [{"id": a, "stars": 1}, {"id": b, "stars": 2}]}, {"title": "2"}]
    )
    await books.update_one(second, {"reviews": [a, {"id": b}]})
    assert await reviews_of(library, first) == {} and await reviews_of(library, second) == {a: 1, b: 2}


async def test_deselected_children_are_detached_where_the_relation_says_so(library: Bench) -> None:
    authors = library.service("authors")
    key = await authors.create_one({"name": "A", "books": [{"title": "1"}, {"title": "2"}]})
    first, second = (b["id"] for b in await library.all("books"))
    await authors.update_one(key, {"books": [{"id": first, "title": "one"}]})
    assert [(b["id"], b["title"], b["author"]) for b in await library.all("books")] == [
        (first, "one", key),
        (second, "2", None),
    ]


async def test_detailed_form(library: Bench) -> None:
    books, (a, b, c, d, e) = library.service("books"), ids(5)
    first = await books.create_one({"title": "1", "reviews": [{"id": i, "stars": 1} for i in (a, b, c)]})
    second = await books.create_one({"title": "2", "reviews": [{"id": e, "stars": 1}]})
    changes = {
        "create": [{"id": d, "stars": 4}],
        "update": [{"id": a, "body": "b"}, {"id": c, "book": second}],
        "delete": [b, e],
    }
    await books.update_one(first, {"reviews": changes})
    assert await reviews_of(library, first) == {a: 1, d: 4} and await reviews_of(library, second) == {c: 1, e: 1}
    await books.update_one(first, {"reviews": {"update": [{"id": e, "stars": 5}]}})
    assert e in await reviews_of(library, first)
    await books.update_one(first, {"reviews": {}})
    refused: tuple[dict[str, Any], ...] = (
        {"nope": []}, {"create": {}}, {"update": [{"stars": 1}]}, {"update": [a]}, {"delete": [{}]}, {"delete": [True]},
        {"create": None},
    )  # fmt: skip
    for bad in refused:
        with pytest.raises(InvalidPayload):
            await books.update_one(first, {"reviews": bad})


async def test_detailed_form_gives_places(library: Bench) -> None:
    books = library.service("books")
    key = await books.create_one({"title": "1", "genres": [{"genres_id": {"name": "a"}, "sort": 7}]})
    await books.update_one(
        key, {"genres": {"create": [{"genres_id": {"name": "b"}}, {"genres_id": {"name": "c"}, "sort": 2}, {}]}}
    )
    assert [link["sort"] for link in await library.all("books_genres")] == [7, 8, 2, 10]


async def test_every_parent_gets_the_same_children(library: Bench) -> None:
    books = library.service("books")
    keys = await books.create_many([{"title": "1"}, {"title": "2"}])
    await books.update_many(keys, {"reviews": {"create": [{"stars": 3}]}})
    assert sorted(r["book"] for r in await library.all("reviews")) == keys


async def test_children_need_permissions_of_their_own(library: Bench) -> None:
    library.rights.grant(Permission("books", "create", ("*",)), Permission("reviews", "create", ("stars",)))
    with pytest.raises(Forbidden):
        await library.service("books", WRITER).create_one({"title": "x", "reviews": [{"stars": 1}]})
    library.rights.grant(Permission("reviews", "create", ("book",)))
    await library.service("books", WRITER).create_one({"title": "x", "reviews": [{"stars": 1}]})
    assert len(await library.all("books")) == len(await library.all("reviews")) == 1


async def test_actions_come_after_the_commit_parents_first(library: Bench) -> None:
    seen: list[tuple[str, int]] = []

    async def note(meta: Any, context: Any) -> None:
        seen.append((meta["event"], 0))

    library.hooks.action("*.items.create", note)
    await library.service("books").create_one({"title": "x", "author": {"name": "a"}, "reviews": [{"stars": 1}]})
    with pytest.raises(FailedValidation):
        await library.service("books").create_one({"title": "x", "author": {"name": "a"}, "reviews": [{}]})
    await library.hooks.drain()
    assert [event for event, _ in seen] == ["books.items.create", "authors.items.create", "reviews.items.create"]


# --- a model ------------------------------------------------------------------------------------
KEYS = ids(6)
_items = st.fixed_dictionaries({"id": st.sampled_from(KEYS), "stars": st.integers(0, 9)})
_lists = st.lists(st.one_of(st.sampled_from(KEYS), _items), max_size=5)
_details = st.fixed_dictionaries(
    {}, optional={
        "create": st.lists(_items, max_size=2, unique_by=lambda i: str(i["id"])),
        "update": st.lists(_items, max_size=3),
        "delete": st.lists(st.sampled_from(KEYS), max_size=3),
    },
)  # fmt: skip
_steps = st.lists(st.tuples(st.sampled_from([1, 2]), st.one_of(_lists, st.none(), _details)), max_size=6)
Model = dict[str, tuple[int | None, int]]
"""Reviews by key: their book and their stars."""


def expected(model: Model, book: int, value: Any) -> Model | type[Exception]:
    """What the specification says that a write of ``reviews`` leaves."""
    after = dict(model)
    if isinstance(value, dict):
        for item in value.get("create", []):
            if item["id"] in after:
                return RecordNotUnique
            after[item["id"]] = (book, item["stars"])
        for item in value.get("update", []):
            if item["id"] in after:
                after[item["id"]] = (book, item["stars"])
        return {k: v for k, v in after.items() if not (k in value.get("delete", []) and v[0] == book)}
    elements = value or []
    if any(isinstance(e, str) and e not in model for e in elements):
        return Forbidden
    new = [e["id"] for e in elements if isinstance(e, dict) and e["id"] not in model]
    if len(new) != len(set(new)):
        return RecordNotUnique
    for element in elements:
        name = element if isinstance(element, str) else element["id"]
        after[name] = (book, after[name][1] if isinstance(element, str) else element["stars"])
    chosen = {e if isinstance(e, str) else e["id"] for e in elements}
    return {k: v for k, v in after.items() if v[0] != book or k in chosen}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(_steps)
def test_nested_writes_follow_the_model(steps: list[tuple[int, Any]]) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps: list[tuple[int, Any]]) -> None:
    async with bench("sqlite", Path(mkdtemp(prefix="h2_"))) as library:
        books = library.service("books")
        await books.create_many([{"id": 1, "title": "1"}, {"id": 2, "title": "2"}])
        model: Model = {}
        for book, value in steps:
            outcome = expected(model, book, value)
            if isinstance(outcome, type):
                with pytest.raises(outcome):
                    await books.update_one(book, {"reviews": value})
            else:
                await books.update_one(book, {"reviews": value})
                model = outcome
            assert {r["id"]: (r["book"], r["stars"]) for r in await library.all("reviews")} == model
