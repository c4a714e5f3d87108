"""Statements end with the interest in their answer: cancelled work, and reads whose client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.database.engine import Database

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.anyio

ENDLESS = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(600) AS endless",
    "mysql": "SELECT SLEEP(600) AS endless",
}
RUNNING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
    " AND pid <> pg_backend_pid()",
    "mysql": "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND COMMAND = 'Query'"
    " AND ID <> CONNECTION_ID()",
}


async def running(database: Database) -> int:
    """How many statements run besides the one that asks."""
    async with database.connection() as connection:
        return int(await connection.fetch_value(RUNNING[database.dialect.name]))


async def until_running(database: Database, count: int) -> None:
    async def so_many() -> bool:
        return await running(database) == count

    await until(so_many)


async def test_a_cancelled_statement_ends_in_the_database(database: Database) -> None:
    name = database.dialect.name

    async def ask() -> None:
        async with database.connection() as connection:
            await connection.fetch_value(ENDLESS[name])

    task = asyncio.ensure_future(ask())
    if name in RUNNING:
        await until_running(database, 1)
    else:
        await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if name in RUNNING:
        await until_running(database, 0)
    # on SQLite the same thread answers this, once it is free
    async with database.connection() as connection:
        assert await connection.fetch_value("SELECT 1") == 1


class Caller:
    """A client on the other side of ASGI that can go away."""

    def __init__(self, path: str) -> None:
        self.scope: MutableMapping[str, Any] = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": [(b"authorization", b"Bearer admin-static-token")], "scheme": "http",
            "client": ("127.0.0.1", 1), "server": ("test", 80), "root_path": "",
        }  # fmt: skip
        self.gone = asyncio.Event()
        self.sent: list[Any] = []
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


@pytest.mark.parametrize("installed_url", ["postgresql"], indirect=True)
async def test_a_read_whose_client_has_gone_ends(installed_url: str) -> None:
    async with Tabulary(installed_url) as tabulary, Database.from_url(installed_url) as other:
        caller = Caller("/folders")
        first = Caller("/folders")
        await tabulary.asgi(first.scope, first.receive, first.send)
        assert first.sent[0]["status"] == 200
        async with other.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE directus_folders IN ACCESS EXCLUSIVE MODE")
            call = asyncio.ensure_future(tabulary.asgi(caller.scope, caller.receive, caller.send))

            async def is_waiting() -> bool:
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                return bool(await connection.fetch_value(f"{waiting} AND wait_event_type = 'Lock'"))

            async def waits_no_more() -> bool:
                return not await is_waiting()

            await until(is_waiting)
            caller.gone.set()
            await asyncio.wait_for(call, PATIENCE)
            assert caller.sent == []
            await until(waits_no_more)
        again = Caller("/folders")
        await tabulary.asgi(again.scope, again.receive, again.send)
        assert again.sent[0]["status"] == 200
