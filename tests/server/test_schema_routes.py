"""``/collections``, ``/fields``, ``/relations`` and ``/schema`` on every database (spec schema-and-platform §2, §3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.services.collections import CollectionsService

pytestmark = pytest.mark.anyio

KEY = {"field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True}}
Json = Any


class Api:
    """A client with a token that knows what to expect."""

    def __init__(self, client: httpx2.AsyncClient, token: str | None = "admin-static-token") -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def as_(self, token: str | None) -> Api:
        return Api(self.client, token)

    async def __call__(self, method: str, path: str, body: Json = None, *, status: int = 200) -> Json:
        answer = await self.client.request(method, path, json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json().get("data") if status == 200 else answer.json()["errors"] if answer.content else None

    async def code(self, method: str, path: str, body: Json = None, *, status: int) -> str:
        errors = await self(method, path, body, status=status)
        return str(errors[0]["extensions"]["code"])

    async def table(self, name: str, *fields: Mapping[str, Any], **meta: Any) -> Json:
        body = {"collection": name, "schema": {}, "meta": meta, "fields": [KEY, *fields]}
        return await self("POST", "/collections", body)


def field(name: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"field": name, "type": kind, "meta": {}, "schema": schema}


def alias(name: str, *special: str) -> dict[str, Any]:
    return {"field": name, "type": "alias", "meta": {"special": list(special)}, "schema": None}


@pytest.fixture(scope="module", params=("sqlite", "postgresql", "mysql"))
async def tabulary(request: pytest.FixtureRequest, servers: Any) -> AsyncIterator[Tabulary]:
    """One platform a database for the whole module: installing takes seconds, tidying up does not."""
    url = await servers.installed(request.param)
    async with Tabulary(url, SECRET="0123456789abcdef0123456789abcdef") as opened:
        yield opened
    await servers.drop(url)


@pytest.fixture
async def api(tabulary: Tabulary) -> AsyncIterator[Api]:
    transport = httpx2.ASGITransport(app=tabulary.asgi, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        api = Api(client)
        yield api
        await tidy_up(api)


async def tidy_up(api: Api) -> None:
    """Back to what an installed database holds."""
    own = [c["collection"] for c in await api("GET", "/collections") if not c["collection"].startswith("directus_")]
    for relation in await api("GET", "/relations"):
        if relation["collection"] in own:
            await api("DELETE", f"/relations/{relation['collection']}/{relation['field']}", status=204)
    for name in own:
        await api("DELETE", f"/collections/{name}", status=204)
    users = await api("GET", "/users?filter[email][_eq]=reader@example.com")
    policies = await api("GET", "/policies?filter[name][_in]=p,readers")
    await api("DELETE", "/users", [u["id"] for u in users], status=204)
    await api("DELETE", "/policies", [p["id"] for p in policies], status=204)


@pytest.fixture
async def reader(api: Api) -> Api:
    """Someone with app access who may read ``books.title`` and nothing else of what people make."""
    await api.table("books", field("title"), field("price", "decimal"))
    await api.table("secrets", field("text"))
    policy = await api("POST", "/policies", {"name": "readers", "app_access": True})
    await api(
        "POST",
        "/permissions",
        {
            "policy": policy["id"],
            "collection": "books",
            "action": "read",
            "fields": ["id", "title"],
            "permissions": {},
        },
    )
    user = await api("POST", "/users", {"email": "reader@example.com", "token": "reader-token"})
    await api("POST", "/access", {"user": user["id"], "policy": policy["id"]})
    return api.as_("reader-token")


# --- collections -----------------------------------------------------------------------------
async def test_the_life_of_a_collection(api: Api) -> None:
    made = await api.table("books", field("title", max_length=40), note="a note")
    assert made["meta"]["note"] == "a note" and made["schema"]["name"] == "books"
    assert (await api("POST", "/items/books", {"title": "Emma"}))["id"] == 1
    changed = await api("PATCH", "/collections/books", {"meta": {"icon": "book", "collection": "other"}})
    assert changed["meta"]["icon"] == "book" and changed["collection"] == "books"
    assert "books" in [c["collection"] for c in await api("GET", "/collections")]
    await api("DELETE", "/collections/books", status=204)
    assert await api.code("GET", "/items/books", status=403) == "FORBIDDEN"
    assert await api.code("DELETE", "/collections/books", status=403) == "FORBIDDEN"
    await api.table("books")


async def test_a_folder_has_no_table(api: Api) -> None:
    folder = await api("POST", "/collections", {"collection": "shelf", "schema": None, "meta": {}})
    assert folder["schema"] is None
    await api.table("books", group="shelf")
    await api("DELETE", "/collections/shelf", status=204)
    assert (await api("GET", "/collections/books"))["meta"]["group"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"collection": ""},
        {"collection": 5, "schema": {}},
        {"collection": "directus_x", "schema": {}},
        {"collection": "a/b", "schema": {}},
        {"collection": "directus_users", "schema": {}},
        {"collection": "x", "schema": {}, "fields": {}},
        {"collection": "x", "schema": {}, "fields": [field("a", "nope")]},
    ],
)
async def test_what_cannot_be_created(api: Api, body: Json) -> None:
    assert await api.code("POST", "/collections", body, status=400) == "INVALID_PAYLOAD"
    await api("GET", "/collections/x", status=403)


async def test_a_failed_create_leaves_nothing_behind(api: Api) -> None:
    body = {"collection": "books", "schema": {}, "meta": {"group": "no such folder"}, "fields": [KEY, field("title")]}
    assert await api.code("POST", "/collections", body, status=400) == "INVALID_FOREIGN_KEY"
    await api("GET", "/collections/books", status=403)
    assert [f for f in await api("GET", "/fields") if f["collection"] == "books"] == []
    await api.table("books")


async def test_lists_are_all_or_nothing(api: Api) -> None:
    both = [{"collection": "a", "schema": {}}, {"collection": "directus_b", "schema": {}}]
    await api("POST", "/collections", both, status=400)
    await api("GET", "/collections/a", status=403)
    both = [{"collection": "a", "schema": {}}, {"collection": "b", "schema": {}}]
    assert len(await api("POST", "/collections", both)) == 2


async def test_of_two_who_create_the_same_one_is_told(api: Api) -> None:
    body = {"collection": "books", "schema": {}, "meta": {}}
    answers = await asyncio.gather(*(api.client.post("/collections", json=body, headers=api.headers) for _ in range(4)))
    assert sorted(a.status_code for a in answers) == [200, 400, 400, 400]


async def test_system_collections_stay(api: Api) -> None:
    assert await api.code("DELETE", "/collections/directus_dashboards", status=403) == "FORBIDDEN"
    assert (await api("GET", "/collections/directus_dashboards"))["meta"]["system"] is True


async def test_deleting_a_collection_removes_its_traces(api: Api) -> None:
    await api.table("authors", alias("books", "o2m"))
    await api.table("books", field("author", "integer"), item_duplication_fields=["author.books"])
    await api(
        "POST",
        "/relations",
        {
            "collection": "books",
            "field": "author",
            "related_collection": "authors",
            "meta": {"one_field": "books"},
        },
    )
    policy = await api("POST", "/policies", {"name": "p"})
    permission = {"policy": policy["id"], "collection": "books", "action": "read", "fields": ["*"]}
    await api("POST", "/permissions", permission)
    await api("POST", "/items/authors", {"books": [{}, {}]})
    await api("DELETE", "/collections/books", status=204)
    assert [f["field"] for f in await api("GET", "/fields/authors")] == ["id"]
    assert [r for r in await api("GET", "/relations") if r["related_collection"] == "authors"] == []
    for path in ("/permissions", "/activity", "/revisions"):
        assert [x for x in await api("GET", f"{path}?limit=-1") if x["collection"] == "books"] == []
    assert (await api("GET", "/items/authors")) == [{"id": 1}]


# --- fields ----------------------------------------------------------------------------------
async def test_the_life_of_a_field(api: Api) -> None:
    await api.table("books", field("title"))
    made = await api("POST", "/fields/books", field("pages", "integer", default_value=5, is_indexed=True))
    assert made["type"] == "integer" and made["meta"]["sort"] == 3
    assert made["schema"]["default_value"] == 5 and made["schema"]["is_indexed"] is True
    assert (await api("POST", "/items/books", {}))["pages"] == 5
    assert await api.code("POST", "/fields/books", field("pages"), status=400) == "INVALID_PAYLOAD"
    changed = await api(
        "PATCH",
        "/fields/books/pages",
        {
            "schema": {"is_nullable": False, "is_indexed": False, "is_unique": True},
            "meta": {"note": "how many"},
        },
    )
    assert changed["meta"]["note"] == "how many"
    facts = {k: changed["schema"][k] for k in ("is_nullable", "is_indexed", "is_unique", "default_value")}
    assert facts == {"is_nullable": False, "is_indexed": False, "is_unique": True, "default_value": 5}
    assert await api.code("POST", "/items/books", {}, status=400) == "RECORD_NOT_UNIQUE"
    await api("DELETE", "/fields/books/pages", status=204)
    assert "pages" not in (await api("GET", "/items/books"))[0]
    await api("DELETE", "/fields/books/pages", status=204)


async def test_a_change_that_does_not_fit_the_values_changes_nothing(api: Api) -> None:
    await api.table("books", field("title"))
    await api("POST", "/items/books", [{"title": None}, {"title": "same"}, {"title": "same"}])
    body = {"schema": {"is_nullable": False}, "meta": {"note": "never"}}
    assert await api.code("PATCH", "/fields/books/title", body, status=400) == "CONTAINS_NULL_VALUES"
    body = {"schema": {"is_unique": True}, "meta": {"note": "never"}}
    assert await api.code("PATCH", "/fields/books/title", body, status=400) == "RECORD_NOT_UNIQUE"
    title = await api("GET", "/fields/books/title")
    assert title["meta"]["note"] is None
    assert title["schema"]["is_nullable"] is True and title["schema"]["is_unique"] is False


async def test_the_type_of_a_field_changes_with_its_values(api: Api) -> None:
    await api.table("books", field("pages"))
    await api("POST", "/items/books", {"pages": "12"})
    assert (await api("PATCH", "/fields/books/pages", {"type": "integer", "schema": {}}))["type"] == "integer"
    assert (await api("GET", "/items/books"))[0]["pages"] == 12


async def test_keys_keep_what_they_are(api: Api) -> None:
    await api.table("books")
    body = {"schema": {"is_nullable": True}}
    assert await api.code("PATCH", "/fields/books/id", body, status=400) == "INVALID_PAYLOAD"
    key = await api("GET", "/fields/books/id")
    await api("PATCH", "/fields/books/id", {"schema": key["schema"], "meta": {"note": "the key"}})
    assert (await api("POST", "/items/books", {}))["id"] == 1
    await api("DELETE", "/fields/books/id", status=403)


@pytest.mark.parametrize("kind", [{}, ["string"], 5, "nonsense"])
async def test_types_that_are_none(api: Api, kind: Any) -> None:
    await api.table("books", field("pages"))
    assert await api.code("PATCH", "/fields/books/pages", {"type": kind}, status=400) == "INVALID_PAYLOAD"
    assert await api.code("POST", "/fields/books", {"field": "x", "type": kind}, status=400) == "INVALID_PAYLOAD"


async def test_aliases_have_no_column_and_stay_aliases(api: Api) -> None:
    await api.table("books")
    made = await api("POST", "/fields/books", alias("notice", "alias", "no-data"))
    assert made["type"] == "alias" and made["schema"] is None
    body = {"type": "string", "schema": {}}
    assert await api.code("PATCH", "/fields/books/notice", body, status=400) == "INVALID_PAYLOAD"
    assert await api.code("PATCH", "/fields/books/nope", {"schema": {}}, status=400) == "INVALID_PAYLOAD"


async def test_fields_of_the_system_are_kept(api: Api) -> None:
    body = {"meta": {"note": "x"}}
    assert await api.code("PATCH", "/fields/directus_users/location", body, status=400) == "INVALID_PAYLOAD"
    await api("DELETE", "/fields/directus_users/location", status=403)
    indexed = await api("PATCH", "/fields/directus_users/location", {"schema": {"is_indexed": True}})
    assert indexed["schema"]["is_indexed"] is True
    await api("POST", "/fields/directus_users", field("nickname"))
    assert (await api("PATCH", "/users/me?fields=nickname", {"nickname": "Ada"})) == {"nickname": "Ada"}
    await api("DELETE", "/fields/directus_users/nickname", status=204)


async def test_deleting_a_field_clears_what_names_it(api: Api) -> None:
    await api.table("books", field("status"), field("pos", "integer"), sort_field="pos", archive_field="status")
    policy = await api("POST", "/policies", {"name": "p"})
    permission = {"policy": policy["id"], "collection": "books", "action": "read", "fields": ["id", "pos"]}
    key = (await api("POST", "/permissions", permission))["id"]
    await api("DELETE", "/fields/books/pos", status=204)
    await api("DELETE", "/fields/books/status", status=204)
    meta = (await api("GET", "/collections/books"))["meta"]
    assert meta["sort_field"] is None and meta["archive_field"] is None
    assert (await api("GET", f"/permissions/{key}"))["fields"] == ["id"]


async def test_indexes_can_be_made_without_locks(api: Api) -> None:
    await api.table("books")
    await api("POST", "/fields/books?concurrentIndexCreation", field("isbn", is_unique=True, max_length=20))
    await api("POST", "/items/books", {"isbn": "1"})
    assert await api.code("POST", "/items/books", {"isbn": "1"}, status=400) == "RECORD_NOT_UNIQUE"


# --- relations -------------------------------------------------------------------------------
async def test_the_life_of_a_relation(api: Api) -> None:
    await api.table("authors", alias("books", "o2m"))
    await api.table("books", field("author", "integer"))
    body = {"collection": "books", "field": "author", "related_collection": "authors", "meta": {"one_field": "books"}}
    made = await api("POST", "/relations", {**body, "schema": {"on_delete": "CASCADE"}})
    assert made["schema"]["on_delete"] == "CASCADE" and made["meta"]["one_field"] == "books"
    await api("POST", "/items/authors", {"books": [{}]})
    assert await api.code("POST", "/relations", body, status=400) == "INVALID_PAYLOAD"
    changed = await api(
        "PATCH",
        "/relations/books/author",
        {
            "schema": {"on_delete": "SET NULL"},
            "meta": {"one_deselect_action": "delete", "many_field": "other"},
        },
    )
    assert changed["schema"]["on_delete"] == "SET NULL"
    assert changed["meta"]["one_deselect_action"] == "delete" and changed["meta"]["many_field"] == "author"
    await api("DELETE", "/items/authors/1", status=204)
    assert (await api("GET", "/items/books"))[0]["author"] is None
    await api("DELETE", "/relations/books/author", status=204)
    await api("GET", "/relations/books/author", status=403)
    assert (await api("POST", "/items/books", {"author": 77}))["author"] == 77


async def test_deleting_the_many_field_takes_the_relation_and_its_reverse(api: Api) -> None:
    await api.table("people", field("boss", "integer"), alias("staff", "o2m"))
    await api(
        "POST",
        "/relations",
        {
            "collection": "people",
            "field": "boss",
            "related_collection": "people",
            "meta": {"one_field": "staff"},
        },
    )
    await api("DELETE", "/fields/people/boss", status=204)
    assert [f["field"] for f in await api("GET", "/fields/people")] == ["id"]
    assert await api("GET", "/relations/people") == []


async def test_any_relation_has_no_key(api: Api) -> None:
    await api.table("books")
    await api.table("blocks", field("item"), field("collection"))
    made = await api(
        "POST",
        "/relations",
        {
            "collection": "blocks",
            "field": "item",
            "related_collection": None,
            "meta": {"one_collection_field": "collection", "one_allowed_collections": ["books", "authors"]},
        },
    )
    assert made["schema"] is None and made["meta"]["one_allowed_collections"] == ["books", "authors"]
    await api("DELETE", "/collections/books", status=204)
    assert (await api("GET", "/relations/blocks/item"))["meta"]["one_allowed_collections"] == ["authors"]


# --- rights ----------------------------------------------------------------------------------
async def test_what_a_reader_sees(api: Api, reader: Api) -> None:
    names = [c["collection"] for c in await reader("GET", "/collections")]
    assert "books" in names and "secrets" not in names
    assert [f["field"] for f in await reader("GET", "/fields/books")] == ["id", "title"]
    await reader("GET", "/fields/secrets", status=403)
    await reader("GET", "/collections/secrets", status=403)
    await reader("GET", "/fields/books/title")
    await reader("GET", "/fields/books/price", status=403)
    await api.as_(None)("GET", "/collections", status=403)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/collections", {"collection": "x", "schema": {}}),
        ("POST", "/collections", {}),
        ("PATCH", "/collections/books", {"meta": {}}),
        ("PATCH", "/collections", [{"collection": "books", "meta": {}}]),
        ("DELETE", "/collections/books", None),
        ("POST", "/fields/books", field("x")),
        ("PATCH", "/fields/books/title", {"meta": {}}),
        ("PATCH", "/fields/books", [{"field": "title", "meta": {}}]),
        ("DELETE", "/fields/books/title", None),
        ("POST", "/relations", {"collection": "books", "field": "title", "related_collection": None}),
        ("PATCH", "/relations/books/title", {"meta": {}}),
        ("DELETE", "/relations/books/title", None),
        ("GET", "/schema/snapshot", None),
        ("POST", "/schema/diff", {"version": 1}),
        ("POST", "/schema/apply", {"hash": "x"}),
    ],
)
async def test_only_admins_change_the_data_model(reader: Api, method: str, path: str, body: Json) -> None:
    for caller in (reader, reader.as_(None)):
        assert await caller.code(method, path, body, status=403) == "FORBIDDEN"


async def test_a_malformed_body_is_told_before_the_lack_of_rights(reader: Api) -> None:
    assert await reader.code("POST", "/fields/books", {"type": "string"}, status=400) == "INVALID_PAYLOAD"
    assert await reader.code("POST", "/relations", {}, status=400) == "INVALID_PAYLOAD"


# --- snapshots -------------------------------------------------------------------------------
async def test_a_snapshot_brings_the_data_model_back(api: Api) -> None:
    await api.table("authors", field("name", is_nullable=False), alias("books", "o2m"))
    await api.table("books", field("title", max_length=80), field("author", "integer"), note="kept")
    await api(
        "POST",
        "/relations",
        {
            "collection": "books",
            "field": "author",
            "related_collection": "authors",
            "meta": {"one_field": "books"},
            "schema": {"on_delete": "SET NULL"},
        },
    )
    snapshot = await api("GET", "/schema/snapshot")
    await api("POST", "/schema/diff", snapshot, status=204)
    await api("DELETE", "/collections/books", status=204)
    await api("PATCH", "/fields/authors/name", {"schema": {"is_nullable": True}})
    await api.table("extra")
    plan = await api("POST", "/schema/diff", snapshot)
    await api("POST", "/schema/apply", plan, status=204)
    assert await api("GET", "/schema/snapshot") == snapshot
    assert await api.code("POST", "/schema/apply", plan, status=400) == "INVALID_PAYLOAD"


# --- events ----------------------------------------------------------------------------------
async def test_hooks_see_changes_of_the_data_model(tabulary: Tabulary, api: Api) -> None:
    seen: list[tuple[str, Any]] = []

    async def rename(payload: Any, meta: Mapping[str, Any], _: Any) -> Any:
        return {**payload, "meta": {**payload["meta"], "note": "by a hook"}} if meta["collection"] == "books" else None

    async def record(meta: Mapping[str, Any], _: Any) -> None:
        if str(meta["event"]).split(".")[0] in ("collections", "fields", "relations"):
            seen.append((meta["event"], meta.get("key") or meta.get("keys") or meta.get("payload")))

    tabulary.hooks.filter("fields.create", rename)
    tabulary.hooks.action("*.*", record)
    await api.table("books")
    await tabulary.hooks.drain()
    assert ("collections.create", "books") in seen and [e for e, _ in seen].count("fields.create") == 1
    seen.clear()
    made = await api("POST", "/fields/books", field("title"))
    await api("PATCH", "/fields/books/title", {"meta": {"width": "half"}})
    await api("DELETE", "/fields/books/title", status=204)
    await tabulary.hooks.drain()
    assert made["meta"]["note"] == "by a hook"
    assert seen == [("fields.create", "title"), ("fields.update", ["title"]), ("fields.delete", ["title"])]
    tabulary.hooks.remove("fields.create", rename)
    tabulary.hooks.remove("*.*", record)


async def test_a_hook_can_veto(tabulary: Tabulary, api: Api) -> None:
    await api.table("books")

    async def refuse(payload: Any, meta: Mapping[str, Any], _: Any) -> Any:
        raise ValueError("no")

    tabulary.hooks.filter("fields.create", refuse)
    await api("POST", "/fields/books", field("title"), status=500)
    assert [f["field"] for f in await api("GET", "/fields/books")] == ["id"]
    tabulary.hooks.remove("fields.create", refuse)


async def test_from_python_without_accountability(tabulary: Tabulary, api: Api) -> None:
    schema = await tabulary.schema()
    service = CollectionsService(platform=tabulary.platform, schema=schema)
    await service.create_one({"collection": "books", "schema": {}, "fields": [field("title")]})
    key = await tabulary.items("books").create_one({"title": "Emma"})
    assert await tabulary.items("books").read_one(key) == {"id": key, "title": "Emma"}
