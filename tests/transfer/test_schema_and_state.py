"""Trying changes out, change lists, and the state as code."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.errors import InvalidPayload, UnprocessableContent
from tabulary.database.connection import Connection
from tabulary.database.journal import JOURNAL
from tabulary.schema.diff import snapshot_diff
from tabulary.services.change_list import change_list, deletions, effective, without_rules
from tabulary.services.dry_run import tried
from tabulary.services.fields import FieldsService
from tabulary.services.schema import SchemaService
from tabulary.services.state import StateService

from .conftest import COUNTED, SETTINGS, build, field

pytestmark = pytest.mark.anyio

State = dict[str, Any]


@pytest.fixture
async def other(library: Tabulary, servers: Any, tmp_path: Path) -> AsyncIterator[Tabulary]:
    """A second installation of the same kind, with nothing of its own yet."""
    url = await servers.installed(library.platform.database.dialect.name)
    async with Tabulary(url, STORAGE_LOCAL_ROOT=str(tmp_path), **SETTINGS) as opened:
        yield opened
    await servers.drop(url)


async def states(tabulary: Tabulary, connection: Connection | None = None) -> StateService:
    return StateService(platform=tabulary.platform, schema=await tabulary.schema(), connection=connection)


async def export(tabulary: Tabulary) -> State:
    return await (await states(tabulary)).export()


async def apply(tabulary: Tabulary, state: State, *, allow_drop: bool = False) -> list[str]:
    service = await states(tabulary)
    plan = await service.plan(state, allow_drop=allow_drop)
    await service.apply(plan)
    return plan.lines()


async def configure(tabulary: Tabulary) -> None:
    """Roles, rights, settings, presets and texts."""
    chief = await tabulary.items("directus_roles").create_one({"name": "Chiefs"})
    role = await tabulary.items("directus_roles").create_one({"name": "Clerks", "parent": chief})
    policy = await tabulary.items("directus_policies").create_one({"name": "Reading", "ip_access": ["10.0.0.0/8"]})
    await tabulary.items("directus_access").create_one({"role": role, "policy": policy, "sort": 1})
    for action in ("read", "update"):
        grant = {"policy": policy, "collection": "books", "action": action, "fields": ["title", "pages"]}
        await tabulary.items("directus_permissions").create_one({**grant, "permissions": {"pages": {"_gt": 1}}})
    preset = {"role": role, "collection": "books", "bookmark": "Long", "filter": {"pages": {"_gt": 500}}}
    await tabulary.items("directus_presets").create_one(preset)
    await tabulary.items("directus_translations").create_one({"language": "de", "key": "book", "value": "Buch"})
    settings = {"project_name": "Library", "public_registration_role": role}
    await tabulary.items("directus_settings").upsert_singleton(settings)


# --- trying out ---------------------------------------------------------------------------------
async def test_changes_are_tried_out(library: Tabulary) -> None:
    service = SchemaService(platform=library.platform, schema=await library.schema())
    target = copy.deepcopy(await service.snapshot())
    target["collections"].append({"collection": "tried", "meta": {"collection": "tried"}, "schema": {"name": "tried"}})
    target["fields"].append({"collection": "tried", **COUNTED})
    plan = await service.diff(target, force=True)

    async def work(connection: Connection) -> None:
        await SchemaService(platform=library.platform, schema=await library.schema(), connection=connection).apply(
            plan or {}, force=True
        )

    before = await databases(library)
    statements = await tried(library.platform, work)
    assert any(statement.startswith("CREATE TABLE tried") for statement in statements)
    assert any("INSERT INTO directus_collections" in statement for statement in statements)
    assert not any(statement.startswith("SELECT") or "%%" in statement for statement in statements)
    assert not any(JOURNAL in statement for statement in statements)
    assert await databases(library) == before
    assert "tried" not in (await library.schema()).collections


async def databases(library: Tabulary) -> set[str]:
    """The databases of our name, where a try has one of its own."""
    async with library.platform.database.connection() as connection:
        if connection.dialect.scratch(connection, ()) is None:
            return set()
        own = await connection.fetch_value("SELECT DATABASE()")
        return {name for (name,) in await connection.fetch_rows("SHOW DATABASES") if name.startswith(own)}


async def test_a_try_that_fails_leaves_nothing(library: Tabulary) -> None:
    before = await databases(library)

    async def work(connection: Connection) -> None:
        fields = FieldsService(platform=library.platform, schema=await library.schema(), connection=connection)
        await fields.create_field("books", {"field": "doomed", "type": "string", "schema": {}})
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await tried(library.platform, work)
    assert await databases(library) == before
    schema = await library.schema()
    assert "doomed" not in schema.collections["books"].fields
    assert await library.items("books").read_by_query({"limit": 1}) is not None


def snapshot(*fields: State, collections: tuple[str, ...] = ("books",)) -> State:
    entries = [
        {"collection": name, "meta": {"note": None, "color": "red"}, "schema": {"name": name}} for name in collections
    ]
    return {"collections": entries, "fields": list(fields), "systemFields": [], "relations": []}


def test_change_lists() -> None:
    title = {
        "collection": "books",
        "field": "title",
        "type": "string",
        "meta": {"note": "x"},
        "schema": {"name": "title"},
    }
    pages = {**title, "field": "pages", "type": "integer"}
    current = snapshot(title, collections=("books", "old"))
    target = snapshot({**title, "meta": {"note": ["a"]}}, pages)
    diff = snapshot_diff(current, target)
    assert diff is not None
    assert change_list(diff) == [
        "Collections:",
        "  - Delete old",
        "Fields:",
        "  - Update books.title",
        '    - Set meta.note to ["a"]',
        "  - Create books.pages",
    ]
    assert deletions(diff) == ["old"]
    kept = without_rules(diff, ["old", "books.pages"])
    assert [entry["field"] for entry in kept["fields"]] == ["title"]
    assert kept["collections"] == []
    bare = snapshot_diff(current, snapshot({**title, "meta": {}}, collections=("books", "old")))
    assert bare is not None
    assert not any(effective(bare).values())


@pytest.mark.parametrize(
    "text",
    ["a: [", "&a [*a]", "- " * 100_000, "2026-99-99", "x: !!python/object:os.system {}",
     "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))],
    ids=["cut", "endless", "deep", "date", "python", "bomb"],
)  # fmt: skip
async def test_hostile_yaml(client: httpx2.AsyncClient, text: str) -> None:
    for path in ("/schema/diff", "/schema/apply"):
        answer = await client.post(path, files={"file": ("s.yaml", text.encode(), "text/yaml")})
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "INVALID_PAYLOAD")


def edit(*path: Any, to: Any) -> list[State]:
    return [{"kind": "E", "path": list(path), "lhs": None, "rhs": to}]


NEW, GONE = "N", "D"
BOOKS, TITLE = {"collection": "books"}, {"collection": "books", "field": "title"}
AUTHOR = {"collection": "books", "field": "author", "related_collection": "authors"}


@pytest.mark.parametrize(
    ("kind", "entry", "elements", "status"),
    [
        ("collections", {"collection": "x"}, [{"kind": NEW, "rhs": None}], 400),
        ("collections", {"collection": "x"}, [{"kind": NEW, "rhs": {"collection": "x", "schema": "y"}}], 400),
        ("collections", {"collection": "x"}, [{"kind": NEW, "rhs": {"collection": "directus_x", "schema": {}}}], 400),
        ("collections", {"collection": "x"}, edit("meta", "note", to="x"), 400),
        ("collections", BOOKS, [{"kind": NEW, "rhs": {"collection": "books", "schema": {}}}], 400),
        ("collections", BOOKS, edit(to=2), 400),
        ("collections", BOOKS, edit("meta", {}, to=2), 400),
        ("collections", BOOKS, [{"kind": "A", "path": ["meta"], "index": 0, "item": 7}], 400),
        ("collections", {"collection": "directus_users"}, [{"kind": GONE, "lhs": {}}], 403),
        ("fields", {"collection": "x", "field": "y"}, [{"kind": NEW, "rhs": field("y")}], 400),
        ("fields", {"collection": "books", "field": "y"}, [{"kind": NEW, "rhs": {"type": "string"}}], 400),
        ("fields", TITLE, edit("schema", "max_length", to="x"), 400),
        ("fields", TITLE, edit("schema", "max_length", to=10**11), 400),
        ("fields", TITLE, edit("schema", "is_nullable", to="x"), 400),
        ("fields", TITLE, edit("type", to="nonsense"), 400),
        ("fields", TITLE, edit("__proto__", "x", 7, to=1), 400),
        ("fields", {"collection": "books", "field": "id"}, [{"kind": GONE, "lhs": {}}], 403),
        ("fields", {"collection": "directus_users", "field": "email"}, [{"kind": GONE, "lhs": {}}], 403),
        ("relations", AUTHOR, [{"kind": NEW, "rhs": {**AUTHOR, "related_collection": "x"}}], 400),
        ("relations", AUTHOR, edit("schema", "on_delete", to="EXPLODE"), 400),
        ("relations", {"collection": "directus_users", "field": "role"}, [{"kind": GONE, "lhs": {}}], 403),
    ],
)  # fmt: skip
async def test_hostile_differences(
    client: httpx2.AsyncClient, kind: str, entry: State, elements: list[State], status: int
) -> None:
    """Refused as a whole, with ``force`` too; the system stays what it is."""
    before = (await client.get("/schema/snapshot")).json()["data"]
    diff = {"collections": [], "fields": [], "systemFields": [], "relations": [], kind: [{**entry, "diff": elements}]}
    answer = await client.post("/schema/apply?force=true", json={"hash": "x", "diff": diff})
    assert answer.status_code == status, answer.text
    assert (await client.get("/schema/snapshot")).json()["data"] == before


# --- state --------------------------------------------------------------------------------------
async def test_a_state_moves_to_another_installation(library: Tabulary, other: Tabulary) -> None:
    await configure(library)
    state = await export(library)
    assert await apply(other, state)
    assert not await (await states(other)).plan(state)
    moved = await export(other)
    mine = {role["name"]: role for role in moved["roles"]}
    assert mine["Clerks"]["parent"] == mine["Chiefs"]["id"]
    assert len([role for role in moved["roles"] if role["name"] == "Administrator"]) == 1
    assert moved["settings"]["project_name"] == "Library"
    assert moved["settings"]["public_registration_role"] == mine["Clerks"]["id"]
    assert [p["filter"] for p in moved["presets"]] == [{"pages": {"_gt": 500}}]
    assert [t["value"] for t in moved["translations"]] == ["Buch"]
    assert sorted(p["action"] for p in moved["permissions"] if p["collection"] == "books") == ["read", "update"]
    assert {c["collection"] for c in moved["schema"]["collections"]} == {"books", "authors", "places", "site"}
    assert "$argon2" not in str(moved)


async def test_a_state_applied_to_itself_changes_nothing(library: Tabulary) -> None:
    plan = await (await states(library)).plan(await export(library), allow_drop=True)
    assert not plan
    assert plan.lines() == []


async def test_changes_and_drops(other: Tabulary) -> None:
    await build(other)
    await configure(other)
    state = await export(other)
    state["roles"] = [{**r, "icon": "star"} for r in state["roles"] if r["name"] != "Chiefs"]
    for role in state["roles"]:
        role["parent"] = None
    state["translations"] = [{"language": "de", "key": "book", "value": "Band"}]
    state["presets"] = []
    state["permissions"] = [p for p in state["permissions"] if p["action"] == "read"]
    state["schema"]["fields"] = [f for f in state["schema"]["fields"] if f["field"] != "extra"]
    service = await states(other)
    careful = await service.plan(state)
    assert set(careful.kept) == {
        "books.extra", "roles Chiefs", "presets " + _label(state, "Clerks") + " books Long",
        "permissions " + _policy(state, "Reading") + " books update",
    }  # fmt: skip
    assert careful.dropped == []
    await service.apply(careful)
    assert "extra" in (await other.schema()).collections["books"].fields
    assert [t["value"] for t in (await export(other))["translations"]] == ["Band"]
    assert len(await apply(other, state, allow_drop=True)) > 0
    after = await export(other)
    assert "extra" not in (await other.schema()).collections["books"].fields
    assert (after["presets"], [role["name"] for role in after["roles"] if role["name"] == "Chiefs"]) == ([], [])
    assert not await (await states(other)).plan(state, allow_drop=True)


def _label(state: State, name: str) -> str:
    return str(next(role["id"] for role in state["roles"] if role["name"] == name))


def _policy(state: State, name: str) -> str:
    return str(next(policy["id"] for policy in state["policies"] if policy["name"] == name))


async def test_parts_that_are_not_there_stay(other: Tabulary) -> None:
    await build(other)
    await configure(other)
    before = await export(other)
    assert await apply(other, {"tabulary": 1, "translations": []}, allow_drop=True) == [
        "Translations:", "  - Delete de book"
    ]  # fmt: skip
    assert await export(other) == {**before, "translations": []}


async def test_all_or_nothing(other: Tabulary) -> None:
    before = await export(other)
    state = copy.deepcopy(before)
    state["schema"]["collections"].append(
        {"collection": "new", "meta": {"collection": "new"}, "schema": {"name": "new"}}
    )
    state["schema"]["fields"].append({"collection": "new", **COUNTED})
    state["schema"]["fields"].append({"collection": "new", **field("title")})
    for policy in state["policies"]:
        policy["admin_access"] = False  # the last administrator may not go
    with pytest.raises(UnprocessableContent):
        await apply(other, state)
    assert await export(other) == before


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {"tabulary": 2},
        {"tabulary": 1, "nope": []},
        {"tabulary": 1, "roles": {}},
        {"tabulary": 1, "roles": [1]},
        {"tabulary": 1, "roles": [{"id": "x"}]},
        {"tabulary": 1, "policies": [{"name": "x"}]},
        {"tabulary": 1, "permissions": [{"policy": None}]},
        {"tabulary": 1, "settings": []},
        {"tabulary": 1, "schema": {"version": 9}},
    ],
    ids=repr,
)
async def test_what_is_no_state(library: Tabulary, state: Any) -> None:
    with pytest.raises(InvalidPayload):
        await (await states(library)).plan(state)
