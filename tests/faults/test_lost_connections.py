"""All connections of the database are killed while requests are under way: the server goes on by itself.

A request that was hit is answered with 503 and has left nothing, or has happened as a whole (when it was its COMMIT);
the others never notice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tabulary.database.engine import Database

from . import child
from .conftest import TOKEN, opened, serving

pytestmark = pytest.mark.anyio

CLIENTS = 6
KILLINGS = 6
SESSIONS = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
    "mysql": "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' AND ID <> CONNECTION_ID()",
}


async def kill_all(url: str, servers: Any) -> int:
    """End every session of a database, from another one; how many there were."""
    parts = urlsplit(url)
    async with Database.from_url(servers.admin_url(parts.scheme)) as database, database.connection() as connection:
        found = await connection.fetch_rows(SESSIONS[parts.scheme].format(parts.path[1:]))
        if parts.scheme == "mysql":
            for (session,) in found:
                await connection.execute(f"KILL {session}")
    return len(found)


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
async def test_under_load(url: str, servers: Any, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as tabulary:
        await child.make_library(tabulary)
    seen: dict[str, int] = {}
    ended = asyncio.Event()

    async def work(client: httpx2.AsyncClient, number: int) -> None:
        """Books with an author each, and reading them, until it is over."""
        count = 0
        while not ended.is_set():
            count += 1
            name = f"{number}-{count}"
            book = {"title": name, "author": {"name": name}}
            seen[name] = (await client.post("/items/books", json=book)).status_code
            read = await client.get("/items/books", params={"fields": "title,author.name", "limit": 3})
            assert read.status_code in (200, 503), read.text

    with serving(url, tmp_path) as server:
        headers = {"Authorization": TOKEN}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
            tasks = [asyncio.ensure_future(work(client, number)) for number in range(CLIENTS)]
            hit = 0
            for _ in range(KILLINGS):
                target = len(seen) + 40
                while len(seen) < target and not any(task.done() for task in tasks):
                    await asyncio.sleep(0.005)
                hit += await kill_all(url, servers)
            ended.set()
            await asyncio.gather(*tasks)
            assert hit >= KILLINGS
            for _ in range(10):
                assert (await client.get("/items/books?limit=1")).status_code == 200
            assert (await client.post("/items/books", json={"title": "after"})).status_code == 200
            assert (await client.get("/server/health")).status_code == 200
    assert set(seen.values()) <= {200, 503}
    async with opened(url, tmp_path) as tabulary:
        books = await tabulary.items("books").read_by_query({"fields": ["title", "author.name"], "limit": -1})
        authors = await tabulary.items("authors").read_by_query({"fields": ["name"], "limit": -1})
    stored = {book["title"]: book["author"] for book in books if book["title"] != "after"}
    assert all(author == {"name": title} for title, author in stored.items())
    assert {author["name"] for author in authors} == set(stored)
    assert {name for name, status in seen.items() if status == 200} <= set(stored)


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
async def test_while_nobody_works(url: str, servers: Any, tmp_path: Path) -> None:
    with serving(url, tmp_path) as server:
        assert server.client.get("/users/me").status_code == 200
        assert await kill_all(url, servers) > 0
        await asyncio.sleep(0.1)
        assert server.client.get("/users/me").status_code == 200


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_database_that_is_away_for_a_while(url: str, servers: Any, tmp_path: Path) -> None:
    """Requests are told so, and the first after its return works. (MariaDB can close no database but its whole server.)"""
    dialect, name = urlsplit(url).scheme, urlsplit(url).path[1:]
    with serving(url, tmp_path) as server:
        assert server.client.get("/users/me").status_code == 200
        await servers._run(dialect, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        try:
            await kill_all(url, servers)
            answer = server.client.get("/users/me")
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (
                503,
                "SERVICE_UNAVAILABLE",
            )
            assert server.client.get("/server/ping").text == "pong"
        finally:
            await servers._run(dialect, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        assert server.client.get("/users/me").status_code == 200
