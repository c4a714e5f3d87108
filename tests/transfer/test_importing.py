"""Imports on every database: rows written together or singly with the same result, exact errors, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.access.accountability import Accountability
from tabulary.core.errors import ErrorGroup, Forbidden, InvalidForeignKey, InvalidPayload, LimitExceeded, OutOfTime
from tabulary.services import importing
from tabulary.services.importing import ImportService, Turnstile

from .conftest import ADMIN, every

pytestmark = pytest.mark.anyio

Rows = list[dict[str, Any]]


async def load(tabulary: Tabulary, collection: str, rows: Rows, who: Accountability | None = ADMIN) -> int:
    service = ImportService(platform=tabulary.platform, schema=await tabulary.schema(), accountability=who)
    return await service.run(collection, lambda: iter(rows))


async def refused(tabulary: Tabulary, collection: str, rows: Rows) -> list[dict[str, Any]]:
    with pytest.raises(ErrorGroup) as caught:
        await load(tabulary, collection, rows)
    assert caught.value.common_status == 400
    return [error.as_dict()["extensions"] for error in caught.value.errors]


async def test_rows_are_created_and_updated(tabulary: Tabulary) -> None:
    await tabulary.items("books").create_one({"id": 7, "title": "old", "pages": 3})
    rows: Rows = [
        {"title": "first"},
        {"id": 7, "title": "changed"},
        {"id": "7", "pages": "9"},
        {"id": 5000, "title": "new"},
        {"id": 5000, "pages": 2},
        {"title": "nested", "author": {"name": "Jane"}, "sequels": [{"title": "sequel"}]},
        {},
    ]
    assert await load(tabulary, "books", rows) == 7
    found = {book["title"]: book for book in await every(tabulary, "books", "id", "title", "pages", "author.name")}
    assert (found["changed"]["id"], found["changed"]["pages"]) == (7, 9)
    assert (found["new"]["id"], found["new"]["pages"]) == (5000, 2)
    assert found["nested"]["author"] == {"name": "Jane"}
    assert found.keys() == {"first", "changed", "new", "nested", "sequel", None}


async def test_keys_that_are_texts_and_uuids(tabulary: Tabulary) -> None:
    key = "0bdc6c5b-5a3e-4c1b-9c39-3c1a8a5f5b11"
    await tabulary.items("authors").create_one({"id": key, "name": "old"})
    await load(tabulary, "authors", [{"id": key.upper(), "name": "new"}, {"name": "other"}])
    assert sorted(author["name"] for author in await every(tabulary, "authors")) == ["new", "other"]
    await load(tabulary, "places", [{"code": "a", "name": "1"}, {"code": "b"}, {"code": "a", "name": "2"}])
    assert await every(tabulary, "places") == [{"code": "a", "name": "2"}, {"code": "b", "name": None}]


async def test_many_rows(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 7)
    seen: list[int] = []
    service = ImportService(platform=tabulary.platform, schema=await tabulary.schema(), accountability=ADMIN)
    rows = [{"title": f"T{n}", "pages": n} for n in range(30)]
    assert await service.run("books", lambda: iter(rows), seen.append) == 30
    assert seen == [7, 14, 21, 28, 30]
    assert [book["pages"] for book in await every(tabulary, "books")] == list(range(30))


async def test_a_limit_of_mutations_holds_for_each_row(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tabulary.platform.settings._values, "MAX_BATCH_MUTATION", 3)
    await load(tabulary, "books", [{"title": f"T{n}"} for n in range(10)])
    assert len(await every(tabulary, "books")) == 10
    with pytest.raises(InvalidPayload):
        await load(tabulary, "books", [{"title": "x", "sequels": [{"title": f"s{n}"} for n in range(5)]}])
    assert len(await every(tabulary, "books")) == 10


async def test_every_row_leaves_a_trail(tabulary: Tabulary) -> None:
    await load(tabulary, "books", [{"title": "a"}, {"title": "b"}])
    keys = [str(book["id"]) for book in await every(tabulary, "books")]
    trail = {
        "filter": {"collection": {"_eq": "books"}, "item": {"_in": keys}, "action": {"_eq": "create"}},
        "limit": -1,
    }
    assert len(await tabulary.items("directus_activity").read_by_query(trail)) == 2
    revisions = {"filter": {"collection": {"_eq": "books"}, "item": {"_in": keys}}, "limit": -1}
    assert len(await tabulary.items("directus_revisions").read_by_query(revisions)) == 2


# --- errors -------------------------------------------------------------------------------------
async def told(tabulary: Tabulary, rows: Rows) -> list[tuple[str, str, list[int]]]:
    found = await refused(tabulary, "books", rows)
    return [(e["code"], e["field"], [row for r in e["rows"] for row in r["rows"]]) for e in found]


async def test_errors_name_their_rows_and_nothing_stays(tabulary: Tabulary) -> None:
    await tabulary.items("books").create_one({"title": "Emma"})
    rows: Rows = [
        {"title": "a"},
        {"title": "Emma"},
        {"title": "b", "pages": -1},
        {"title": "c", "pages": -1},
        {"title": "e", "pages": -2},
        {"title": "a"},
    ]
    assert await told(tabulary, rows) == [
        ("RECORD_NOT_UNIQUE", "title", [2, 6]),
        ("FAILED_VALIDATION", "pages", [3, 4, 5]),
    ]
    assert [book["title"] for book in await every(tabulary, "books")] == ["Emma"]


async def test_errors_of_the_database_name_their_rows(tabulary: Tabulary) -> None:
    nobody = "0bdc6c5b-5a3e-4c1b-9c39-3c1a8a5f5b12"
    rows: Rows = [{"title": "a"}, {"title": "x" * 50}, {"title": "b", "author": nobody}, {"title": "a"}]
    if tabulary.platform.database.dialect.name == "sqlite":  # takes any length, and does not tell which key is wrong
        with pytest.raises(InvalidForeignKey, match="row 3"):
            await load(tabulary, "books", rows)
    else:
        assert await told(tabulary, rows) == [
            ("VALUE_TOO_LONG", "title", [2]),
            ("INVALID_FOREIGN_KEY", "author", [3]),
            ("RECORD_NOT_UNIQUE", "title", [4]),
        ]
    assert await every(tabulary, "books") == []


async def test_errors_in_a_later_batch(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 5)
    rows = [{"title": f"T{n}", "pages": -1 if n in (11, 12, 13, 14, 22) else 1} for n in range(24)]
    (error,) = await refused(tabulary, "books", rows)
    assert error["rows"] == [{"type": "range", "start": 12, "end": 15}, {"type": "lines", "rows": [23]}]
    assert await every(tabulary, "books") == []


async def test_the_number_of_errors_is_limited(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tabulary.platform.settings._values, "MAX_IMPORT_ERRORS", 4)
    (error,) = await refused(tabulary, "books", [{"pages": -1} for _ in range(50)])
    assert error["rows"] == [{"type": "range", "start": 1, "end": 4}]


async def test_a_broken_file_changes_nothing(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)

    def rows() -> Iterator[dict[str, Any]]:
        yield from [{"title": "a"}, {"title": "b"}, {"title": "c"}]
        raise InvalidPayload("The file breaks off")

    service = ImportService(platform=tabulary.platform, schema=await tabulary.schema(), accountability=ADMIN)
    with pytest.raises(InvalidPayload):
        await service.run("books", rows)
    assert await every(tabulary, "books") == []


async def test_an_import_may_take_its_time_but_no_longer(tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tabulary.platform.settings._values, "IMPORT_TIMEOUT", "300ms")
    monkeypatch.setattr(importing, "BATCH", 1)

    def endless() -> Iterator[dict[str, Any]]:
        count = 0
        while True:
            count += 1
            yield {"title": f"T{count}"}

    service = ImportService(platform=tabulary.platform, schema=await tabulary.schema(), accountability=ADMIN)
    with pytest.raises(OutOfTime) as caught:
        await service.run("books", endless)
    assert caught.value.extensions == {"category": "Import", "duration": 300}
    assert await every(tabulary, "books") == []
    # The next import has all the time it needs: on a busy machine a single row may take 300 ms.
    monkeypatch.setitem(tabulary.platform.settings._values, "IMPORT_TIMEOUT", "1h")
    await load(tabulary, "books", [{"title": "afterwards"}])


async def test_hooks_see_every_row_once(tabulary: Tabulary) -> None:
    seen: list[Any] = []

    async def note(payload: Any, meta: Any, context: Any) -> None:
        seen.append(payload["title"])

    tabulary.hooks.filter("books.items.create", note)
    try:
        await refused(tabulary, "books", [{"title": "a"}, {"title": "b", "pages": -1}, {"title": "c"}])
    finally:
        tabulary.hooks.remove("books.items.create", note)
    assert seen == ["a", "b", "c"]


async def test_actions_are_told_after_the_commit_only(tabulary: Tabulary) -> None:
    told: list[int] = []

    async def note(meta: Any, context: Any) -> None:
        told.append(len(await every(tabulary, "books")))

    tabulary.hooks.action("books.items.create", note)
    try:
        await refused(tabulary, "books", [{"title": "a"}, {"title": "b", "pages": -1}])
        await tabulary.hooks.drain()
        assert told == []
        await load(tabulary, "books", [{"title": "a"}, {"title": "b"}])
        await tabulary.hooks.drain()
    finally:
        tabulary.hooks.remove("books.items.create", note)
    assert told == [2, 2]


# --- who and what -------------------------------------------------------------------------------
async def test_singletons_take_one_item(tabulary: Tabulary) -> None:
    assert await load(tabulary, "site", [{"title": "One"}]) == 1
    assert await load(tabulary, "site", [{"title": "Two"}]) == 1
    with pytest.raises(InvalidPayload):
        await load(tabulary, "site", [{"title": "Three"}, {"title": "Four"}])
    assert [site["title"] for site in await every(tabulary, "site")] == ["Two"]


async def test_permissions(tabulary: Tabulary) -> None:
    policy = await tabulary.items("directus_policies").create_one({"name": "P", "admin_access": False})
    role = await tabulary.items("directus_roles").create_one({"name": "R"})
    await tabulary.items("directus_access").create_one({"role": role, "policy": policy, "sort": 1})
    who = Accountability(role=role, roles=(role,))

    async def allow(action: str) -> None:
        grant = {"policy": policy, "collection": "books", "action": action, "fields": ["title"], "permissions": {}}
        await tabulary.items("directus_permissions").create_one(grant)

    for action in ("create", "update"):
        with pytest.raises(Forbidden):
            await load(tabulary, "books", [{"title": "a"}], who)
        await allow(action)
    assert await load(tabulary, "books", [{"title": "a"}], who) == 1
    for rows in ([{"title": "b"}, {"title": "c", "pages": 1}], [{"title": "b", "author": {"name": "x"}}]):
        with pytest.raises(Forbidden):
            await load(tabulary, "books", rows, who)
    assert [book["title"] for book in await every(tabulary, "books")] == ["a"]
    for collection in ("nope", "directus_roles", "authors"):
        with pytest.raises(Forbidden):
            await load(tabulary, collection, [{"name": "a"}], who)


async def test_system_collections_keep_their_own_rules(tabulary: Tabulary) -> None:
    users = [{"email": "a@example.org", "password": "secret"}, {"email": "b@example.org"}]
    await load(tabulary, "directus_users", users)
    query = {"filter": {"email": {"_in": ["a@example.org", "b@example.org"]}}, "fields": ["id", "password"]}
    found = await tabulary.users().read_by_query(query)
    assert sorted(bool(user["password"]) for user in found) == [False, True]
    found = await refused(tabulary, "directus_users", [{"email": "c@example.org"}, {"email": "A@example.org"}])
    assert (found[0]["code"], found[0]["rows"]) == ("RECORD_NOT_UNIQUE", [{"type": "lines", "rows": [2]}])
    await tabulary.users().delete_many([user["id"] for user in await tabulary.users().read_by_query(query)])


async def test_two_imports_of_the_same_keys_at_once(tabulary: Tabulary) -> None:
    rows = [{"code": f"c{n}", "name": "x"} for n in range(60)]
    results = await asyncio.gather(
        load(tabulary, "places", rows), load(tabulary, "places", rows[::-1]), return_exceptions=True
    )
    assert 60 in results
    assert len(await every(tabulary, "places")) == 60


def test_the_turnstile_counts() -> None:
    turnstile = Turnstile(1)
    turnstile.enter()
    with pytest.raises(LimitExceeded):
        turnstile.enter()
    turnstile.leave()
    turnstile.enter()
