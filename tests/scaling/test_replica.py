"""``DB_REPLICA_URL``: reads of items go there, everything else and whatever it cannot answer does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.settings import Settings

from ..conftest import Servers

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}
KEY = {"field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True}}
TEXT = {"field": "text", "type": "string", "meta": {}, "schema": {}}


@pytest.fixture(params=["postgresql", "mysql", "sqlite"])
async def pair(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[tuple[str, str]]:
    """Two databases, so that one can tell where an answer comes from: ``notes`` says it."""
    urls = [await servers.installed(request.param) for _ in range(2)]
    for url, text in zip(urls, ("database", "replica"), strict=True):
        async with Tabulary(url) as tabulary, client_of(tabulary) as client:
            body = {"collection": "notes", "schema": {}, "meta": {}, "fields": [KEY, TEXT]}
            assert (await client.post("/collections", json=body)).status_code == 200
            assert (await client.post("/items/notes", json={"text": text})).status_code == 200
    yield urls[0], urls[1]
    for url in urls:
        await servers.drop(url)


def client_of(tabulary: Tabulary) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=tabulary.asgi), base_url="http://test", headers=ADMIN)


async def texts(client: httpx2.AsyncClient) -> list[Any]:
    answer = await client.get("/items/notes?fields=text")
    assert answer.status_code == 200, answer.text
    return [item["text"] for item in answer.json()["data"]]


async def test_reads_of_items_go_to_the_replica(pair: tuple[str, str]) -> None:
    async with Tabulary(pair[0], DB_REPLICA_URL=pair[1]) as tabulary, client_of(tabulary) as client:
        assert await texts(client) == ["replica"]
        # what was just written is answered from where it was written, and so is the system's own reading
        written = await client.post("/items/notes", json={"text": "new"})
        assert written.json()["data"]["text"] == "new"
        assert await texts(client) == ["replica"]
        await client.post("/users", json={"email": "x@example.com"})
        assert len((await client.get("/users")).json()["data"]) == 2
        assert [note["text"] for note in await tabulary.items("notes").read_by_query()] == ["database", "new"]


async def test_what_the_replica_does_not_know_the_database_answers(pair: tuple[str, str]) -> None:
    async with Tabulary(pair[0], DB_REPLICA_URL=pair[1]) as tabulary, client_of(tabulary) as client:
        assert (await client.post("/fields/notes", json={**TEXT, "field": "fresh"})).status_code == 200
        answer = await client.get("/items/notes?fields=text,fresh")
        assert answer.json()["data"] == [{"text": "database", "fresh": None}]


async def test_without_the_replica_it_goes_on(pair: tuple[str, str]) -> None:
    gone = (
        "sqlite:////nonexistent/x.db" if pair[0].startswith("sqlite") else pair[0].replace("127.0.0.1", "127.0.0.254")
    )
    gone = gone.replace(":5432", ":1").replace(":3306", ":1")
    async with Tabulary(pair[0], DB_REPLICA_URL=gone) as tabulary, client_of(tabulary) as client:
        assert await texts(client) == ["database"]


async def test_the_address_is_a_secret() -> None:
    settings = Settings.of(DB_REPLICA_URL="postgresql://me:password@replica/x")
    assert "password@" not in repr(settings)
