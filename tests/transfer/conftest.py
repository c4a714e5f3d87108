"""A small library on every database, opened once a module; each test begins with empty tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.access.accountability import Accountability
from tabulary.services.collections import CollectionsService
from tabulary.services.relations import RelationsService

ADMIN = Accountability(admin=True)
SETTINGS: dict[str, Any] = {
    "SECRET": "0123456789abcdef0123456789abcdef",
    "HASH_MEMORY_COST": 1024,
    "HASH_TIME_COST": 1,
    "EMAIL_TRANSPORT": "none",
}
TABLES = ("books", "authors", "places", "site")


def field(name: str, kind: str = "string", *, meta: dict[str, Any] | None = None, **schema: Any) -> dict[str, Any]:
    return {"field": name, "type": kind, "meta": meta or {}, "schema": schema}


COUNTED = field("id", "integer", is_primary_key=True, has_auto_increment=True)
UUID = field("id", "uuid", meta={"special": ["uuid"]}, is_primary_key=True)


async def build(tabulary: Tabulary) -> None:
    """Authors with uuids, books with numbers, places with codes, and one site."""

    async def table(name: str, *fields: Any, **meta: Any) -> None:
        service = CollectionsService(platform=tabulary.platform, schema=await tabulary.schema())
        await service.create_one({"collection": name, "schema": {}, "meta": meta, "fields": list(fields)})

    await table("authors", UUID, field("name", max_length=40))
    await table("places", field("code", is_primary_key=True, max_length=20), field("name"))
    await table("site", COUNTED, field("title"), singleton=True)
    rule = {"validation": {"pages": {"_gte": 0}}}
    await table(
        "books",
        COUNTED,
        field("title", max_length=40, is_unique=True),
        field("pages", "integer", meta=rule),
        field("price", "decimal", numeric_precision=10, numeric_scale=2),
        field("in_print", "boolean"),
        field("written", "date"),
        field("extra", "json", meta={"special": ["cast-json"]}),
        field("author", "uuid"),
        {"field": "sequels", "type": "alias", "meta": {"special": ["o2m"]}, "schema": None},
        field("sequel_of", "integer"),
    )
    service = RelationsService(platform=tabulary.platform, schema=await tabulary.schema())
    author = {"collection": "books", "field": "author", "related_collection": "authors"}
    await service.create_one({**author, "schema": {"on_delete": "SET NULL"}, "meta": {}})
    service = RelationsService(platform=tabulary.platform, schema=await tabulary.schema())
    sequel = {"collection": "books", "field": "sequel_of", "related_collection": "books"}
    await service.create_one({**sequel, "schema": {"on_delete": "SET NULL"}, "meta": {"one_field": "sequels"}})


async def clear(tabulary: Tabulary) -> None:
    async with tabulary.platform.database.transaction() as connection:
        for table in TABLES:
            await connection.execute(f"DELETE FROM {connection.dialect.quote(table)}")


@pytest.fixture(scope="module", params=("sqlite", "postgresql", "mysql"))
async def library(
    request: pytest.FixtureRequest, servers: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tabulary]:
    url = await servers.installed(request.param)
    folder: Path = tmp_path_factory.mktemp("uploads")
    async with Tabulary(url, STORAGE_LOCAL_ROOT=str(folder), **SETTINGS) as opened:
        await build(opened)
        yield opened
    await servers.drop(url)


@pytest.fixture
async def tabulary(library: Tabulary) -> Tabulary:
    """The library, empty."""
    await clear(library)
    return library


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the administrator's token."""
    transport = httpx2.ASGITransport(app=tabulary.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as opened:
        opened.headers["Authorization"] = "Bearer admin-static-token"
        yield opened


async def every(tabulary: Tabulary, collection: str, *fields: str) -> list[dict[str, Any]]:
    """All items, by key."""
    primary = (await tabulary.schema()).collections[collection].primary
    query = {"fields": list(fields) or ["*"], "sort": [primary], "limit": -1}
    items: list[dict[str, Any]] = await tabulary.items(collection).read_by_query(query)
    return items
