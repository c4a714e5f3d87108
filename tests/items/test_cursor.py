"""Cursors: what a page costs, what they refuse, what they say to whom."""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest

from tabulary import Accountability, Tabulary
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.items.query import Level

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}
NUMBERED = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
ROWS, SIZE = 3000, 10


@pytest.fixture
async def tabulary(installed_url: str) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url) as opened:
        yield opened


async def books(tabulary: Tabulary, rows: Sequence[dict[str, Any]]) -> Any:
    indexed = {"schema": {"is_indexed": True}}
    fields = [NUMBERED, {"field": "pages", "type": "integer", **indexed}, {"field": "title", "type": "string"}]
    await (await tabulary.collections()).create_one({"collection": "books", "schema": {}, "fields": fields})
    await tabulary.items("books").create_many(rows)
    return tabulary.items("books")


# --- what a page costs ------------------------------------------------------------------------------
class Recorder:
    """Takes the place of the log of slow reads."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Sequence[Any]]] = []

    def note(self, sql: str, values: Sequence[Any], seconds: float, collection: str, level: Level) -> None:
        self.statements.append((sql, values))

    async def close(self) -> None: ...


async def database_file(tabulary: Tabulary) -> str:
    async with tabulary.platform.database.connection() as connection:
        return str((await connection.fetch_rows("PRAGMA database_list"))[0][2])


async def work(tabulary: Tabulary, sql: str, values: Sequence[Any]) -> int:
    """What a statement makes the database do: rows looked at, on SQLite steps of its machine."""
    database = tabulary.platform.database
    if database.dialect.name == "sqlite":
        raw, steps = sqlite3.connect(await database_file(tabulary)), 0

        def step() -> None:
            nonlocal steps
            steps += 1

        raw.set_progress_handler(step, 1)
        raw.execute(sql, tuple(values)).fetchall()
        raw.close()
        return steps
    async with database.connection() as connection:
        if database.dialect.name == "mysql":
            await connection.execute("FLUSH STATUS")
            await connection.fetch_rows(sql, values)
            rows = await connection.fetch_rows("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            return sum(int(count) for _, count in rows)
        ((plan,),) = await connection.fetch_rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
        return _rows_of(json.loads(plan)[0]["Plan"])


def _rows_of(node: dict[str, Any]) -> int:
    seen = int(node["Actual Rows"] * node["Actual Loops"]) + int(node.get("Rows Removed by Filter", 0))
    return seen + sum(_rows_of(child) for child in node.get("Plans", ()))


@pytest.mark.parametrize("sort", [["id"], ["-id"], ["pages"], ["-pages"], ["pages", "title"]], ids=",".join)
async def test_the_last_page_costs_what_the_first_did(tabulary: Tabulary, sort: list[str]) -> None:
    found = await books(tabulary, [{"pages": (n * 7919) % ROWS or None, "title": f"{n}"} for n in range(ROWS)])
    await _analyze(tabulary)
    query = {"sort": sort, "limit": SIZE, "meta": "cursor"}
    tabulary.platform.reader.slow = recorder = Recorder()  # type: ignore[assignment]
    first = await found.read_page(query)
    (statement,) = recorder.statements
    least = await work(tabulary, *statement)
    second = await found.read_page({**query, "cursor": first.next})
    deep = (await found.read_page({**query, "offset": ROWS - 5 * SIZE})).next
    far = await found.read_page({**query, "cursor": deep})
    assert len(second.items) == len(far.items) == SIZE
    counted = [await work(tabulary, *statement) for statement in (recorder.statements[1], recorder.statements[-1])]
    assert max(counted) <= 3 * least + 10 * SIZE, (least, counted)
    passed = await work(tabulary, *recorder.statements[2])
    assert passed > 3 * counted[-1], "an offset should have to count"


async def _analyze(tabulary: Tabulary) -> None:
    name = "ANALYZE TABLE books" if tabulary.platform.database.dialect.name == "mysql" else "ANALYZE books"
    async with tabulary.platform.database.connection(True) as connection:
        await connection.fetch_rows(name)


# --- over REST --------------------------------------------------------------------------------------
async def test_pages_over_rest(tabulary: Tabulary) -> None:
    await books(tabulary, [{"pages": n % 2, "title": f"Book {n}"} for n in range(1, 6)])
    transport = httpx2.ASGITransport(app=tabulary.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=ADMIN) as client:

        async def get(query: str) -> Any:
            return (await client.get(f"/items/books?fields=id&sort=-pages&limit=2&{query}")).json()

        first = await get("meta=filter_count,cursor&search=Book")
        assert first["data"] == [{"id": 5}, {"id": 3}]
        assert first["meta"]["filter_count"] == 5 and first["meta"]["cursor"]["previous"] is None
        second = await get(f"search=Book&cursor={first['meta']['cursor']['next']}")
        assert second["data"] == [{"id": 1}, {"id": 4}] and set(second["meta"]) == {"cursor"}
        body = {"fields": ["id"], "sort": ["-pages"], "limit": 2, "cursor": second["meta"]["cursor"]["next"]}
        third = (await client.request("SEARCH", "/items/books", json={"query": body})).json()
        assert third["data"] == [{"id": 2}] and third["meta"]["cursor"]["next"] is None
        back = await get(f"cursor={third['meta']['cursor']['previous']}")
        assert back["data"] == second["data"]
        assert (await get("cursor="))["data"] == first["data"]
        inside = await get("page=2&meta=cursor")
        assert inside["data"] == second["data"]
        assert (await get(f"cursor={inside['meta']['cursor']['previous']}"))["data"] == first["data"]
        assert "cursor" not in (await get("meta=*"))["meta"]

        cursor = first["meta"]["cursor"]["next"]
        for query, reason in (
            (f"cursor={cursor}&page=2", 'leave "page"'),
            (f"cursor={cursor}&sort=pages", "another collection or sort"),
            ("cursor=nonsense", "leave it out"),
            (f"cursor={cursor[:-3]}", "leave it out"),
            (f"cursor={_changed(cursor, '7')}", ""),
            ("meta=cursor&aggregate[count]=*", "Aggregates have no pages"),
            ("meta=cursor&export=csv", "An export is the whole list"),
        ):
            answer = await client.get(f"/items/books?sort=-pages&limit=2&{query}")
            if reason:
                assert answer.status_code == 400 and reason in answer.json()["errors"][0]["message"], query
            else:
                assert answer.status_code == 200, answer.text
        assert (await client.get(f"/items/books?sort=-pages&cursor={_changed(cursor, 'x')}")).status_code == 400


def _changed(cursor: str, value: str) -> str:
    """The cursor with another value of the first sort field."""
    content = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    content[3] = value
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize("limit", [0, -1])
async def test_pages_without_more(tabulary: Tabulary, limit: int) -> None:
    found = await books(tabulary, [{"pages": n} for n in range(3)])
    page = await found.read_page({"limit": limit})
    assert len(page.items) == (3 if limit else 0) and (page.next, page.previous) == (None, None)
    assert [item["pages"] async for item in found.iterate({"sort": ["-pages"], "limit": 2})] == [2, 1, 0]


# --- for whom ---------------------------------------------------------------------------------------
async def test_a_cursor_says_only_what_its_reader_may_see(tabulary: Tabulary) -> None:
    found = await books(tabulary, [{"pages": 100 + n, "title": "mine" if n % 2 else "hidden"} for n in range(6)])
    everyone = await tabulary.items("directus_policies").create_one({"name": "Readers"})
    access = tabulary.items("directus_access")
    await access.create_one({"policy": everyone, "role": None, "user": None})
    permissions = tabulary.items("directus_permissions")
    one = {"policy": everyone, "collection": "books", "action": "read"}
    rule = {"title": {"_eq": "mine"}}
    await permissions.create_many([
        {**one, "fields": ["id", "title"], "permissions": {}},
        {**one, "fields": ["pages"], "permissions": rule},
    ])  # fmt: skip
    public = tabulary.items("books", Accountability())
    query = {"sort": ["pages"], "limit": 1, "fields": ["id", "pages"]}
    walked, cursor = [], ""
    while cursor is not None:
        page = await public.read_page({**query, "cursor": cursor})
        walked += page.items
        cursor = page.next
        for text in (page.next, page.previous):
            values = json.loads(urlsafe_b64decode(f"{text}==="))[3:] if text else []
            assert not {"100", "102", "104"}.intersection(values)
    assert sorted(item["id"] for item in walked) == [1, 2, 3, 4, 5, 6]
    assert sorted(item["pages"] or 0 for item in walked) == [0, 0, 0, 101, 103, 105]
    assert (await found.read_page({"limit": 1, "sort": ["pages"]})).items[0]["pages"] == 100

    await permissions.update_by_query({"filter": {"policy": {"_eq": everyone}}}, {"fields": ["pages"]})
    with pytest.raises(Forbidden):
        await public.read_page({"sort": ["pages"], "limit": 1})


async def test_orders_without_places(tabulary: Tabulary) -> None:
    await books(tabulary, [{"pages": 1}])
    users = tabulary.items("directus_users")
    with pytest.raises(InvalidQuery, match="can't sort by"):
        await users.read_page({"sort": ["password"]})
    with pytest.raises(InvalidQuery, match="relation to many"):
        await tabulary.items("directus_roles").read_page({"sort": ["users.email"]})
    with pytest.raises(InvalidQuery, match="read as a whole"):
        await tabulary.items("directus_permissions").read_page()
