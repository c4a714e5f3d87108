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

from ..waiting import PATIENCE, until, wait_for
from . import child
from .conftest import TOKEN, opened, serving

pytestmark = pytest.mark.anyio

CLIENTS = 6
KILLINGS = 6
SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
    "mysql": "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' AND ID <> CONNECTION_ID()",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
GONE = {"postgresql": (), "mysql": (1094,)}
"""What the server says of a session that has ended by itself meanwhile."""


async def kill_all(url: str, servers: Any) -> int:
    """End every session of a database, from another one, and wait until they have gone; how many there were."""
    parts = urlsplit(url)
    kind = parts.scheme
    async with Database.from_url(servers.admin_url(kind)) as database, database.connection() as connection:

        async def sessions() -> set[int]:
            return {row[0] for row in await connection.fetch_rows(SESSIONS[kind].format(parts.path[1:]))}

        async def gone() -> bool:
            return not doomed & await sessions()

        doomed = await sessions()
        for session in doomed:
            try:
                await connection.execute(KILL[kind].format(session))
            except Exception as problem:
                if problem.args[:1] != GONE[kind]:
                    raise
        await until(gone)
    return len(doomed)


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
        async with httpx2.AsyncClient(
            base_url=server.url, headers=headers, timeout=PATIENCE, trust_env=False
        ) as client:
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
            await noticed(client)
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


async def noticed(client: httpx2.AsyncClient) -> None:
    """Wait until the server knows that its connections are cut: the news is on its way even when they have ended."""

    async def well() -> bool:
        return (await client.get("/items/books?limit=1")).status_code == 200

    await until(well)


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
async def test_while_nobody_works(url: str, servers: Any, tmp_path: Path) -> None:
    """Cut while they are idle, connections are replaced, and no request notices; unless it overtakes the news."""
    with serving(url, tmp_path) as server:
        assert server.client.get("/users/me").status_code == 200
        for _ in range(10):
            assert await kill_all(url, servers) > 0
            await asyncio.sleep(0.1)
            status = server.client.get("/users/me").status_code
            if status == 200:
                return
            assert status == 503
            wait_for(lambda: server.client.get("/users/me").status_code == 200)
        raise AssertionError("a cut connection was used each time")


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
