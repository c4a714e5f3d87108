"""The response cache: what it keeps, for whom, how long, and what clears it; in memory and in Redis."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.core.cache import Cache, MemoryStore
from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings

from ..waiting import PATIENCE, until
from .conftest import Client, Make, collection, person

pytestmark = pytest.mark.anyio

REDIS = os.environ.get("TABULARY_TEST_REDIS", "redis://127.0.0.1:6379")
STATUS = {"CACHE_STATUS_HEADER": "X-Cache", "CACHE_ENABLED": True}


def redis_settings() -> dict[str, Any]:
    return {"CACHE_STORE": "redis", "REDIS": REDIS, "CACHE_NAMESPACE": f"tabulary-test-{uuid.uuid4().hex}"}


async def reachable() -> bool:
    from redis.asyncio import Redis

    async with Redis.from_url(REDIS, socket_connect_timeout=PATIENCE) as client:
        try:
            await client.ping()
        except Exception:
            return False
    return True


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {}
    if not await reachable():
        if os.environ.get("CI") == "true":
            pytest.fail("Redis was not reached")
        pytest.skip("Redis was not reached")
    return redis_settings()


# --- the stores ---------------------------------------------------------------------------------
@pytest.fixture
async def cache(store: dict[str, Any]) -> AsyncIterator[Cache]:
    made = Cache(Settings.of(CACHE_TTL="5m", **store))
    yield made
    await made.close()


async def test_what_is_stored_is_found(cache: Cache) -> None:
    missed = await cache.lookup("a")
    assert missed.entry is None
    await cache.store("a", missed, b'{"data":":"}')
    found = (await cache.lookup("a")).entry
    assert found is not None and found.body == b'{"data":":"}' and 0 < found.remaining <= 300


async def test_an_answer_from_before_a_purge_is_never_found(cache: Cache) -> None:
    before = await cache.lookup("a")
    await cache.purge()
    await cache.store("a", before, b"old")
    assert (await cache.lookup("a")).entry is None
    await cache.store("b", await cache.lookup("b"), b"new")
    await cache.purge()
    assert (await cache.lookup("b")).entry is None


async def test_entries_end(store: dict[str, Any]) -> None:
    lasting, brief = Cache(Settings.of(CACHE_TTL="1h", **store)), Cache(Settings.of(CACHE_TTL=60, **store))
    await lasting.store("a", await lasting.lookup("a"), b"x")
    await brief.store("b", await brief.lookup("b"), b"x")

    async def has_ended() -> bool:
        return (await brief.lookup("b")).entry is None

    await until(has_ended)
    assert (await lasting.lookup("a")).entry is not None
    await lasting.close()
    await brief.close()


async def test_too_large_answers_are_not_kept(store: dict[str, Any]) -> None:
    cache = Cache(Settings.of(CACHE_VALUE_MAX_SIZE="1kb", **store))
    assert await cache.store("a", await cache.lookup("a"), b"x" * 1025) is None
    assert await cache.store("a", await cache.lookup("a"), b"x" * 1024) is not None
    await cache.close()


async def test_memory_is_bounded_and_the_unused_goes_first() -> None:
    cache = Cache(Settings.of(), MemoryStore(bound=1000))
    for key in "abc":
        await cache.store(key, await cache.lookup(key), b"x" * 300)
    await cache.lookup("a")
    await cache.store("d", await cache.lookup("d"), b"x" * 300)
    kept = [key for key in "abcd" if (await cache.lookup(key)).entry is not None]
    assert kept == ["a", "c", "d"]


async def test_a_store_that_is_away_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(Settings.of(CACHE_STORE="redis", REDIS="redis://127.0.0.1:1"))
    missed = await cache.lookup("a")
    assert missed.entry is None and await cache.store("a", missed, b"x") is None
    await cache.purge()
    assert "does not answer" in caplog.text
    await cache.close()


def test_unknown_stores_are_named() -> None:
    with pytest.raises(ConfigurationError, match="CACHE_STORE"):
        Cache(Settings.of(CACHE_STORE="memcached"))


# --- over HTTP ----------------------------------------------------------------------------------
async def hit(client: Client, path: str, **headers: str) -> str | None:
    """HIT, MISS, or None when the cache was not asked."""
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-cache")


@pytest.fixture
async def cached(make: Make, store: dict[str, Any]) -> AsyncIterator[tuple[Client, Tabulary]]:
    """Books in an application with a cache that purges itself."""
    tabulary = await make(CACHE_AUTO_PURGE=True, **STATUS, **store)
    async with Client(tabulary.asgi, "admin-static-token") as admin:
        await collection(admin, "books", "title", "owner")
        await admin.data("POST", "/items/books", [{"title": "Emma", "owner": "ada"}, {"title": "Typee"}])
        yield admin, tabulary


async def test_the_second_answer_is_the_first(cached: tuple[Client, Tabulary]) -> None:
    admin, _ = cached
    assert await hit(admin, "/items/books?fields=title") == "MISS"
    assert await hit(admin, "/items/books?fields=title") == "HIT"
    assert await hit(admin, "/items/books?fields=id") == "MISS"
    assert await hit(admin, "/items/books/1?fields=title") == "MISS"
    first, second = [await admin.get("/items/books") for _ in range(2)]
    assert first.content == second.content and second.headers["etag"] == first.headers["etag"]
    assert (second.headers["x-cache"], second.headers["content-type"]) == ("HIT", "application/json; charset=utf-8")


async def test_every_kind_of_write_clears_it(cached: tuple[Client, Tabulary]) -> None:
    admin, tabulary = cached
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/items/books", {"title": "New"}),
        ("PATCH", "/items/books/1", {"title": "Changed"}),
        ("PATCH", "/items/books", {"keys": [1], "data": {"title": "Again"}}),
        ("PATCH", "/items/books", [{"id": 1, "title": "Batch"}]),
        ("DELETE", "/items/books/2", None),
        ("POST", "/fields/books", {"field": "extra", "type": "string", "meta": {}, "schema": {}}),
        ("POST", "/folders", {"name": "x"}),
    ]
    for method, path, body in writes:
        await admin.get("/items/books")
        assert await hit(admin, "/items/books") == "HIT"
        assert (await admin.request(method, path, json=body)).status_code < 300
        fresh = await admin.get("/items/books")
        assert fresh.headers["x-cache"] == "MISS", (method, path)
    await admin.get("/items/books")
    async with tabulary.platform.database.transaction() as connection:
        service = await tabulary.service("books", connection=connection)
        await service.update_one(1, {"title": "In a transaction"})
        assert await hit(admin, "/items/books") == "HIT", "nothing has changed for others yet"

    async def is_seen() -> bool:
        return (await admin.data("GET", "/items/books"))[0]["title"] == "In a transaction"

    await until(is_seen)


async def test_nobody_gets_what_was_made_for_another(cached: tuple[Client, Tabulary]) -> None:
    admin, _ = cached
    own = {"collection": "books", "action": "read", "permissions": {"owner": {"_eq": "$CURRENT_USER.first_name"}}}
    ada = await person(admin, "ada", own, first_name="ada")
    bob = await person(admin, "bob", own, first_name="bob")
    for _ in range(2):
        assert len(await admin.data("GET", "/items/books")) == 2
        assert [b["title"] for b in await ada.data("GET", "/items/books")] == ["Emma"]
        assert await bob.data("GET", "/items/books") == []
        assert await admin.as_(None).code("GET", "/items/books") == (403, "FORBIDDEN")
        assert await admin.as_("wrong").code("GET", "/items/books") == (401, "INVALID_CREDENTIALS")
        by_query = await admin.as_(None).get("/items/books?access_token=token-of-ada")
        assert len(by_query.json()["data"]) == 1


async def test_a_share_has_answers_of_its_own(cached: tuple[Client, Tabulary]) -> None:
    admin, _ = cached
    share = await admin.data("POST", "/shares", {"collection": "books", "item": "1", "name": "x"})
    token = (await admin.as_(None).data("POST", "/shares/auth", {"share": share["id"]}))["access_token"]
    role = await admin.data("GET", "/users/me?fields=role")
    await admin.data("PATCH", f"/shares/{share['id']}", {"role": role["role"]})
    guest = admin.as_(token)
    answers = [await guest.get("/items/books/1?fields=id") for _ in range(2)]
    assert {a.status_code for a in answers} <= {200, 403}
    assert await admin.as_(None).code("GET", "/items/books/1?fields=id") == (403, "FORBIDDEN")


async def test_lost_rights_count_at_once(make: Make, store: dict[str, Any]) -> None:
    tabulary = await make(CACHE_AUTO_PURGE=False, **STATUS, **store)
    async with Client(tabulary.asgi, "admin-static-token") as admin:
        await collection(admin, "books", "title", "secret")
        await admin.data("POST", "/items/books", {"title": "Emma", "secret": "s"})
        ada = await person(admin, "ada", {"collection": "books", "action": "read"})
        assert await hit(ada, "/items/books") == "MISS" and await hit(ada, "/items/books") == "HIT"
        [row] = await admin.data("GET", "/permissions?filter[collection][_eq]=books&fields=id")
        await admin.data("PATCH", f"/permissions/{row['id']}", {"fields": ["title"]})
        assert await ada.data("GET", "/items/books") == [{"title": "Emma"}]


async def test_without_auto_purge_answers_may_be_old_and_say_for_how_long(make: Make) -> None:
    tabulary = await make(CACHE_AUTO_PURGE=False, CACHE_TTL="5m", CACHE_CONTROL_S_MAXAGE="60", **STATUS)
    async with Client(tabulary.asgi, "admin-static-token") as admin:
        await collection(admin, "books", "title")
        first = await admin.get("/items/books")
        await admin.data("POST", "/items/books", {"title": "Emma"})
        second = await admin.get("/items/books")
        assert second.json() == {"data": []} and second.headers["x-cache"] == "HIT"
        for answer in (first, second):
            scope, age, shared = answer.headers["cache-control"].split(", ")
            assert (scope, shared) == ("private", "s-maxage=60") and 0 < int(age.removeprefix("max-age=")) <= 300
        public = await admin.as_(None).get("/server/info")
        assert public.headers["cache-control"].startswith("public, max-age=")
        await admin.post("/utils/cache/clear")
        assert len(await admin.data("GET", "/items/books")) == 1


async def test_what_is_never_kept(make: Make) -> None:
    tabulary = await make(CACHE_SKIP_ALLOWED=True, PUBLIC_URL="http://test", **STATUS)
    async with Client(tabulary.asgi, "admin-static-token") as admin:
        when = {"field": "due", "type": "timestamp", "meta": {}, "schema": {}}
        await collection(admin, "books", "title", when)
        soon = {"collection": "books", "action": "read", "permissions": {"due": {"_gt": "$NOW"}}}
        ada = await person(admin, "ada", soon)
        for client, path in (
            (admin, "/items/books?export=json"),
            (admin, "/items/books?filter[due][_gt]=$NOW"),
            (admin, "/items/books?filter[due][_gt]=%24NOW(%2B1%20day)"),
            (admin, "/server/health"),
            (admin, "/utils/random/string"),
            (ada, "/items/books"),
        ):
            for _ in range(2):
                assert (await client.get(path)).headers.get("x-cache") != "HIT", path
        for _ in range(2):
            assert (await admin.request("SEARCH", "/items/books", json={"query": {}})).headers.get("x-cache") is None
            skipped = await admin.get("/items/books", headers={"Cache-Control": "no-store"})
            assert skipped.headers["x-cache"] == "MISS" and skipped.headers["cache-control"] == "no-store"
        studio = {"Referer": "http://test/admin/content/books"}
        assert await hit(admin, "/items/books", **studio) == "MISS"
        assert await hit(admin, "/items/books") == "HIT"


async def test_the_host_that_one_caller_wrote_is_not_shown_to_another(cached: tuple[Client, Tabulary]) -> None:
    guest = cached[0].as_(None)
    for host in ("evil.example", "test"):
        answer = await guest.get("/server/specs/oas", headers={"Host": host})
        assert answer.json()["servers"][0]["url"] == f"http://{host}"


async def test_graphql_queries_are_kept_and_mutations_are_not(cached: tuple[Client, Tabulary]) -> None:
    admin, _ = cached

    async def ask(query: str) -> tuple[str | None, Any]:
        answer = await admin.post("/graphql", json={"query": query})
        return answer.headers.get("x-cache"), answer.json()

    assert (await ask("{ books { title } }"))[0] == "MISS"
    assert (await ask("{ books { title } }"))[0] == "HIT"
    for _ in range(2):
        status, found = await ask('mutation { create_books_item(data: {title: "x"}) { id } }')
        assert status is None and "errors" not in found
    assert len((await ask("{ books { title } }"))[1]["data"]["books"]) == 4
    for _ in range(2):
        assert (await ask("{ books_by_id(id: 99) { title } }"))[0] != "HIT"


async def test_no_cache_unless_asked_for(admin: Client, tabulary: Tabulary) -> None:
    assert tabulary.platform.cache is None
    assert (await admin.get("/users/me")).headers["cache-control"] == "no-cache"
