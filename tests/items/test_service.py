"""ItemsService on real databases: writes, events, tracking, limits (spec items-and-query §1)."""

from __future__ import annotations

import asyncio
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tabulary.access.permissions import Permission
from tabulary.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    RecordNotUnique,
    TabularyError,
    ValueOutOfRange,
    ValueTooLong,
)
from tabulary.items.options import MutationOptions

from .workbench import ADMIN, DATABASES, WRITER, Bench, bench

pytestmark = pytest.mark.anyio


@pytest.fixture(params=DATABASES)
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(request.param, tmp_path) as opened:
        yield opened


async def revisions(library: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await library.all(
        "directus_revisions", "collection", "item", "data", "delta", "parent"
    )
    return found


# --- create -------------------------------------------------------------------------------------
async def test_create_and_read(library: Bench) -> None:
    books = library.service("books")
    key = await books.create_one({"title": "Emma", "data": {"a": [1]}, "seen": "2020-01-31T10:20:30+05:00", "nope": 1})
    item = await books.read_one(key)
    assert item["title"] == "Emma" and item["data"] == {"a": [1]} and item["open"] is True
    assert item["seen"] == "2020-01-31T05:20:30.000Z"
    assert (await books.read_json_one(key, {"fields": ["title"]})).replace(" ", "") == '{"title":"Emma"}'
    with pytest.raises(Forbidden):
        await books.read_one(99)


async def test_keys_given_and_generated(library: Bench) -> None:
    authors, books = library.service("authors"), library.service("books")
    given = str(uuid.uuid4())
    assert await authors.create_one({"id": given, "name": "a"}) == given
    assert len(await authors.create_one({"name": "b"})) == 36
    assert await library.service("pages").create_one({"slug": "home"}) == "home"
    assert await books.create_one({"id": 50, "title": "x"}) == 50
    assert await books.create_one({"title": "after"}) == 51
    for bad in ("abc", 1.5, [1]):
        with pytest.raises(TabularyError):
            await books.create_one({"id": bad, "title": "x"})


async def test_many_items_in_order(library: Bench) -> None:
    books = library.service("books")
    data: list[dict[str, Any]] = [{"title": str(n)} for n in range(700)]
    data[100] = {"id": 5000, "title": "100"}
    data[200] = {"title": "200", "author": {"name": "nested"}}
    data[300] = {"pages": 300, "title": "300"}
    keys = await books.create_many(data)
    assert len(set(keys)) == 700 and keys[100] == 5000
    titles = {item["id"]: item["title"] for item in await library.all("books", "id", "title")}
    assert [titles[key] for key in keys] == [str(n) for n in range(700)]
    tracked = {r["item"]: r["data"]["title"] for r in await revisions(library) if r["collection"] == "books"}
    assert tracked == {str(key): str(n) for n, key in enumerate(keys)}
    assert await books.create_many([]) == []


async def test_a_batch_fails_as_one_and_names_the_culprit(library: Bench) -> None:
    books = library.service("books")
    with pytest.raises(RecordNotUnique) as problem:
        await books.create_many([{"title": str(n), "isbn": str(n % 40)} for n in range(50)])
    assert problem.value.extensions == {"collection": "books", "field": "isbn", "value": "0"}
    with pytest.raises(FailedValidation):
        await books.create_many([{"title": "a"}, {}])
    assert await library.all("books") == [] and await revisions(library) == []


# --- update -------------------------------------------------------------------------------------
async def test_update_many(library: Bench) -> None:
    books = library.service("books")
    keys = await books.create_many([{"title": str(n)} for n in range(12)])
    assert await books.update_many(list(reversed(keys)), {"pages": 5, "id": 99}) == sorted(keys, key=str)
    assert {item["pages"] for item in await library.all("books")} == {5}
    assert {r["item"]: r["data"]["id"] for r in (await revisions(library))[12:]} == {str(k): k for k in keys}
    assert await books.update_many([], {"pages": 6}) == []


async def test_batches_and_queries(library: Bench) -> None:
    books = library.service("books")
    a, b, c = await books.create_many([{"title": t} for t in "abc"])
    assert await books.update_batch([{"id": a, "title": "A"}, {"id": c, "pages": 3}]) == [a, c]
    with pytest.raises(InvalidPayload):
        await books.update_batch([{"id": a, "title": "lost"}, {"title": "no key"}])
    assert await books.update_by_query({"filter": {"title": {"_in": ["A", "b"]}}, "sort": ["id"]}, {"pages": 9}) == [
        a,
        b,
    ]
    assert await books.update_by_query({"filter": {"title": {"_eq": "none"}}}, {"pages": 1}) == []
    assert [(i["title"], i["pages"]) for i in await library.all("books")] == [("A", 9), ("b", 9), ("c", 3)]
    assert await books.upsert_many([{"id": a, "title": "AA"}, {"title": "d"}, {"id": 70, "title": "e"}]) == [
        a,
        c + 1,
        70,
    ]
    assert await books.delete_by_query({"filter": {"pages": {"_null": True}}}) == [c + 1, 70]
    assert await books.delete_many([a, a, 12345]) == [a, a, 12345]
    assert [i["id"] for i in await library.all("books")] == [b, c]


async def test_automatic_fields(library: Bench) -> None:
    authors = library.service("authors")
    key = await authors.create_one({"name": "a", "by": WRITER.user})
    assert (await authors.read_one(key))["by"] == ADMIN.user and (await authors.read_one(key))["changed"] is None
    await authors.update_one(key, {})
    assert (await authors.read_one(key))["changed"] is not None and len(await revisions(library)) == 2
    options = MutationOptions(overwrite_defaults={"_date": "2020-01-01T00:00:00Z", "_user": WRITER.user})
    await authors.update_one(key, {"bio": "x"}, options)
    assert (await authors.read_one(key))["changed"] == "2020-01-01T00:00:00.000Z"


async def test_singletons(library: Bench) -> None:
    books = library.service("books")
    assert await books.read_singleton({"fields": ["id", "open", "pages"]}) == {"id": None, "open": True}
    key = await books.upsert_singleton({"title": "only"})
    assert await books.upsert_singleton({"pages": 3}) == key
    assert (await books.read_singleton())["title"] == "only"


# --- errors -------------------------------------------------------------------------------------
async def test_errors_of_the_database(library: Bench) -> None:
    books, checked = library.service("books"), library.platform.database.dialect.name != "sqlite"
    await books.create_one({"id": 1, "title": "a", "isbn": "1"})
    with pytest.raises(RecordNotUnique) as unique:
        await books.create_one({"id": 1, "title": "b"})
    assert unique.value.extensions == {"collection": "books", "field": "id", "value": 1}
    with pytest.raises(InvalidForeignKey) as foreign:
        await books.update_one(1, {"author": str(uuid.UUID(int=9))})
    named = {"collection": "books", "field": "author", "value": str(uuid.UUID(int=9))}
    assert foreign.value.extensions == (named if checked else dict.fromkeys(named))
    if checked:
        with pytest.raises(ValueTooLong) as long:
            await books.create_one({"title": "x", "isbn": "x" * 14})
        assert long.value.extensions["field"] == "isbn"
        with pytest.raises(ValueOutOfRange) as large:
            await books.update_one(1, {"pages": 2**40, "title": "x"})
        assert large.value.extensions == {"collection": "books", "field": "pages", "value": 2**40}


async def test_hooks_see_and_replace_errors(library: Bench) -> None:
    async def replace(error: Any, meta: Any, context: Any) -> Any:
        return InvalidPayload(f"{type(error).__name__}")

    library.hooks.filter("database.error", replace)
    await library.service("genres").create_one({"name": "a"})
    with pytest.raises(InvalidPayload):
        await library.service("genres").create_one({"name": "a"})


async def test_what_others_refer_to_is_not_deleted_and_nobody_learns_who_they_are(library: Bench) -> None:
    await library.service("books").create_one({"title": "x", "genres": [{"genres_id": {"name": "g"}}]})
    with pytest.raises(InvalidForeignKey) as problem:
        await library.service("genres").delete_one(1)
    assert problem.value.extensions == {"collection": "genres", "field": None, "value": None}
    assert len(await library.all("genres")) == 1


async def test_a_key_that_its_column_can_never_hold_is_the_callers_mistake(library: Bench) -> None:
    """Or just missing, where the database compares it all the same. Never an error of ours."""
    huge = -(2**70)
    books, authors = library.service("books"), library.service("authors")
    key = await books.create_one({"title": "x"})
    with suppress(TabularyError):
        await books.delete_one(huge)
    for reviews in ([huge], [{"id": huge}], {"create": [], "update": [], "delete": [huge]}):
        with suppress(TabularyError):
            await books.update_one(key, {"reviews": reviews})
    with pytest.raises(TabularyError):
        await authors.create_one({"name": "x", "books": [{"id": huge, "title": "y"}]})
    assert len(await library.all("books")) == 1 and await library.all("authors") == []


async def test_several_items_of_nothing_but_defaults(library: Bench) -> None:
    keys = await library.service("books_genres").create_many([{}, {}, {}])
    assert len(set(keys)) == 3 and len(await library.all("books_genres")) == 3


# --- permissions --------------------------------------------------------------------------------
async def test_updates_and_deletions_need_access_to_every_item(library: Bench) -> None:
    a, b = await library.service("books").create_many([{"title": "a", "pages": 1}, {"title": "b", "pages": 2}])
    library.rights.grant(
        Permission("books", "update", ("title",), {"pages": {"_eq": 1}}, presets={"data": {"by": "$CURRENT_USER"}}),
        Permission("books", "delete", (), {"pages": {"_eq": 1}}),
    )
    books = library.service("books", WRITER)
    await books.update_one(a, {"title": "A"})
    for keys, payload in (
        ([a, b], {"title": "x"}),
        ([a], {"pages": 3}),
        ([b], {}),
        ([a, a], {}),
        ([999], {}),
        ([a], {"nope": 1}),
    ):
        with pytest.raises(Forbidden):
            await books.update_many(keys, payload)
    with pytest.raises(Forbidden):
        await books.delete_many([a, b])
    await books.delete_one(a)
    assert [i["title"] for i in await library.all("books")] == ["b"]


async def test_unknown_collections_are_forbidden(library: Bench) -> None:
    nope = library.service("nope")
    for call in (nope.create_one({}), nope.update_one(1, {}), nope.delete_one(1), nope.read_by_query()):
        with pytest.raises(Forbidden):
            await call


# --- events -------------------------------------------------------------------------------------
async def test_filters_change_and_veto(library: Bench) -> None:
    async def change(payload: Any, meta: Any, context: Any) -> Any:
        assert context.database.in_transaction and meta["collection"] == "books"
        return {**payload, "pages": 7}

    async def veto(keys: Any, meta: Any, context: Any) -> Any:
        raise InvalidPayload("no")

    library.hooks.filter("books.items.create", change)
    library.hooks.filter("items.delete", veto)
    books = library.service("books")
    key = await books.create_one({"title": "x"})
    with pytest.raises(InvalidPayload):
        await books.delete_one(key)
    assert (await library.all("books"))[0]["pages"] == 7


async def test_actions_carry_what_happened_and_come_after_the_commit(library: Bench) -> None:
    seen: list[Any] = []

    async def note(meta: Any, context: Any) -> None:
        seen.append((meta["event"], meta.get("key", meta.get("keys")), len(await library.all("books"))))

    for verb in ("create", "update", "delete"):
        library.hooks.action(f"books.items.{verb}", note)
    books = library.service("books")
    keys = await books.create_many([{"title": "a"}, {"title": "b"}])
    await library.hooks.drain()
    await books.update_batch([{"id": keys[0], "pages": 1}])
    await library.hooks.drain()
    await books.delete_many(keys)
    await library.hooks.drain()
    assert seen == [
        ("books.items.create", keys[0], 2), ("books.items.create", keys[1], 2),
        ("books.items.update", [keys[0]], 2), ("books.items.delete", keys, 0),
    ]  # fmt: skip
    await books.create_one({"title": "quiet"}, MutationOptions(emit_events=False))
    await library.hooks.drain()
    assert len(seen) == 4


async def test_nothing_is_announced_when_the_transaction_rolls_back(library: Bench) -> None:
    seen: list[Any] = []

    async def note(meta: Any, context: Any) -> None:
        seen.append(meta)

    library.hooks.action("items.create", note)
    with pytest.raises(RuntimeError):
        async with library.platform.database.transaction() as connection:
            await library.service("books").fork(connection=connection).create_one({"title": "x"})
            raise RuntimeError
    await library.hooks.drain()
    assert seen == [] and await library.all("books") == []


async def test_read_hooks(library: Bench) -> None:
    async def shout(items: Any, meta: Any, context: Any) -> Any:
        return [{**item, "title": item["title"].upper()} for item in items]

    books = library.service("books")
    key = await books.create_one({"title": "x"})
    library.hooks.filter("items.read", shout)
    assert (await books.read_json_one(key, {"fields": ["title"]})) == '{"title":"X"}'
    assert (await books.read_by_query({"fields": ["title"]})) == [{"title": "X"}]


# --- tracking -----------------------------------------------------------------------------------
async def test_revisions(library: Bench) -> None:
    authors, notes = library.service("authors"), library.service("notes")
    key = await authors.create_one(
        {"name": "a", "tags": ["x", "y"], "mentor": None, "odd": 1, "books": [{"title": "t"}]}
    )
    child, parent = await revisions(library)
    assert parent["data"] == parent["delta"] == {
        "name": "a",
        "tags": ["x", "y"],
        "odd": 1,
        "books": [{"title": "t"}],
    } or (parent["data"] == {"name": "a", "tags": ["x", "y"], "odd": 1})
    assert child["parent"] == 2 and child["data"] == {"title": "t"}
    await authors.update_one(key, {"mentor": key, "tags": []})
    latest = (await revisions(library))[-1]
    assert latest["data"]["name"] == "a" and latest["data"]["tags"] == [] and "mentor" not in latest["data"]
    assert (
        latest["delta"]["mentor"] == key and latest["delta"]["tags"] == [] and latest["delta"]["changed"].endswith("Z")
    )
    note = await notes.create_one({"text": "x", "secret": "s3cret"})
    await notes.update_one(note, {"secret": "other"})
    for row in (await revisions(library))[-2:]:
        assert row["delta"]["secret"] == row["data"]["secret"] == "**********"
    await notes.delete_one(note)
    activities = await library.all("directus_activity")
    assert [a["action"] for a in activities][-1] == "delete" and activities[-1]["user"] == ADMIN.user
    assert len(await revisions(library)) == len(activities) - 1


async def test_missing_items_leave_a_trail_for_admins(library: Bench) -> None:
    assert await library.service("books").update_one(77, {"title": "x"}) == 77
    assert (await revisions(library))[-1] == {
        "collection": "books",
        "item": "77",
        "data": None,
        "delta": {"title": "x"},
        "parent": None,
    }


async def test_who_leaves_no_trail(library: Bench) -> None:
    await library.service("books", None).create_one({"title": "system"})
    await library.service("books").create_one({"title": "skipped"}, MutationOptions(skip_tracking=True))
    assert await library.all("directus_activity") == []


# --- limits and races ---------------------------------------------------------------------------
async def test_the_limit_counts_nested_items(tmp_path: Path) -> None:
    async with bench("sqlite", tmp_path, MAX_BATCH_MUTATION=3) as library:
        books = library.service("books")
        await books.create_one({"title": "x", "reviews": [{"stars": 1}, {"stars": 2}]})
        with pytest.raises(InvalidPayload):
            await books.create_one({"title": "y", "reviews": [{"stars": 1}, {"stars": 2}, {"stars": 3}]})
        with pytest.raises(InvalidPayload):
            await books.create_many([{"title": str(n)} for n in range(4)])
        assert len(await library.all("books")) == 1


async def test_memory_stays_flat(tmp_path: Path) -> None:
    async def peak(library: Bench, data: list[dict[str, Any]]) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        await library.service("books").create_many(data)
        return tracemalloc.get_traced_memory()[1] - before

    async with bench("sqlite", tmp_path) as library:
        data: list[dict[str, Any]] = [{"title": str(n)} for n in range(8_000)]
        await library.service("books").create_many(data[:600])
        tracemalloc.start()
        try:
            few, many = await peak(library, data[:1_000]), await peak(library, data)
        finally:
            tracemalloc.stop()
    assert many - few < 7_000 * 100  # the keys and little else


async def test_deferred_errors_come_last(library: Bench) -> None:
    late = MutationOptions(pre_mutation_error=InvalidPayload("late"))
    with pytest.raises(FailedValidation):
        await library.service("books").create_one({}, late)
    for call in (
        library.service("books").create_one({"title": "x"}, late),
        library.service("books").delete_one(1, late),
    ):
        with pytest.raises(InvalidPayload):
            await call
    assert await library.all("books") == []


async def test_writers_at_once(library: Bench) -> None:
    books = library.service("books")
    results = await asyncio.gather(
        *(books.create_one({"title": str(n), "isbn": str(n % 10), "reviews": [{"stars": n}]}) for n in range(40)),
        return_exceptions=True,
    )
    made = [r for r in results if not isinstance(r, BaseException)]
    assert len(made) == 10 and all(isinstance(r, RecordNotUnique) for r in results if isinstance(r, BaseException))
    assert sorted(r["book"] for r in await library.all("reviews")) == sorted(made)


async def test_a_cancelled_write_leaves_nothing(library: Bench) -> None:
    started = asyncio.Event()

    async def wait(payload: Any, meta: Any, context: Any) -> None:
        started.set()
        await asyncio.sleep(30)

    library.hooks.filter("reviews.items.create", wait)
    task = asyncio.create_task(library.service("books").create_one({"title": "x", "reviews": [{"stars": 1}]}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await library.all("books") == []
    await library.service("books").create_one({"title": "y"})
