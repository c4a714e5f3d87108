"""Behind pgbouncer in transaction mode, where each transaction may run in another session of the server.

A real pgbouncer with fewer sessions than we open connections; not tested where it is not installed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import sqlalchemy as sa

from tabulary import Tabulary
from tabulary.core.errors import ConfigurationError
from tabulary.database.engine import Database
from tabulary.database.options import ConnectionOptions

from ..conftest import ADMIN, SETTINGS, Servers
from .conftest import Cluster, check_coherence, free_port

pytestmark = pytest.mark.anyio

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
SESSIONS = 3
"""Of the server, for all that connects through the pooler."""
CONNECTIONS = 12
CHANGES = 8


@dataclass
class Pooler:
    """A running pgbouncer in front of one database."""

    port: int
    url: str
    log: Path

    def plain_url(self) -> str:
        """Without the word that says what answers there."""
        return self.url.partition("?")[0]


def _configuration(database: str, port: int, ignored: str) -> str:
    parts = urlsplit(database)
    password = f" password={parts.password}" if parts.password else ""
    return f"""
[databases]
* = host={parts.hostname} port={parts.port or 5432} user={parts.username}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SESSIONS}
max_client_conn = 200
ignore_startup_parameters = {ignored}
"""


@pytest.fixture
async def pooler(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> AsyncIterator[Pooler]:
    """pgbouncer in front of an installed database; the parameter names what clients may ask for in vain."""
    if PROGRAM is None:
        pytest.skip("pgbouncer was not reached: it is not installed")
    url = await servers.installed("postgresql")
    port, log, file = free_port(), tmp_path / "pgbouncer.log", tmp_path / "pgbouncer.ini"
    file.write_text(_configuration(url, port, getattr(request, "param", "extra_float_digits")))
    command = [PROGRAM, str(file)]
    if os.geteuid() == 0:  # it refuses to run as root, and becomes somebody else once it has read its file
        command[1:1] = ["-u", "nobody"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    through = urlunsplit(urlsplit(url)._replace(netloc=f"postgres@127.0.0.1:{port}", query="pgbouncer=true"))
    made = Pooler(port, through, log)
    try:
        await _answers(made, process)
        yield made
    finally:
        process.terminate()
        process.wait(20)
        await servers.drop(url)


async def _answers(pooler: Pooler, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            async with Database.from_url(pooler.url):
                return
        except OSError:
            assert process.poll() is None, pooler.log.read_text()
            assert time.monotonic() < deadline, pooler.log.read_text()
            await asyncio.sleep(0.05)


async def test_what_is_taken_away_is_gone_with_the_next_request(pooler: Pooler, cluster: Cluster) -> None:
    url = pooler.plain_url()
    started = [cluster.start(url, DB_PGBOUNCER="true"), cluster.start(pooler.url)]  # a setting, or a word of the URL
    await check_coherence(started, CHANGES)


async def test_more_connections_than_sessions(pooler: Pooler) -> None:
    """Statements with values and without, transactions and errors, on sessions that all share."""
    numbers = sa.table("numbers", sa.column("id"), sa.column("note"))
    async with Database.from_url(pooler.url, pool_max=CONNECTIONS) as database:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE numbers (id integer PRIMARY KEY, note text)")

        async def work(own: int) -> None:
            for step in range(20):
                key = own * 100 + step
                async with database.transaction() as connection:
                    await connection.run(sa.insert(numbers).values(id=key, note=f"n{key}"))
                    found = await connection.fetch_value("SELECT note FROM numbers WHERE id = $1", [key])
                    assert found == f"n{key}"
                with pytest.raises(Exception) as taken:
                    async with database.connection() as connection:
                        await connection.run(sa.insert(numbers).values(id=key, note="twice"))
                problem = database.dialect.classify(taken.value)
                assert problem is not None and problem.kind == "unique"

        await asyncio.gather(*(work(own) for own in range(CONNECTIONS)))
        async with database.connection() as connection:
            assert await connection.fetch_value("SELECT count(*) FROM numbers") == CONNECTIONS * 20


async def test_locks_exclude_each_other(pooler: Pooler) -> None:
    """Guards hold across connections, and end with their transaction, whoever gets its session next."""
    inside = 0
    async with Database.from_url(pooler.url, pool_max=CONNECTIONS) as database:

        async def guarded() -> None:
            nonlocal inside
            async with database.transaction() as connection:
                await connection.dialect.lock(connection, "a guard")
                assert inside == 0
                inside += 1
                await connection.fetch_value("SELECT pg_sleep(0.01)")
                inside -= 1

        await asyncio.gather(*(guarded() for _ in range(CONNECTIONS)))


async def test_a_cancelled_statement_ends_and_harms_nobody(pooler: Pooler) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(61)%' AND state = 'active'"
    async with Database.from_url(pooler.url, pool_max=CONNECTIONS) as database:

        async def sleeping() -> None:
            async with database.connection() as connection:
                await connection.fetch_value("SELECT pg_sleep(61)")

        async def count() -> int:
            async with database.connection() as connection:
                return int(await connection.fetch_value(running))

        async def until(expected: int) -> None:
            deadline = time.monotonic() + 30
            while await count() != expected:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)

        task = asyncio.ensure_future(sleeping())
        await until(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(0)


async def test_fields_come_and_items_are_written(pooler: Pooler) -> None:
    """The data model changes and is used at once, by more tasks than there are sessions."""
    async with Tabulary(SETTINGS.with_values(DATABASE_URL=pooler.url, DB_POOL__MAX=CONNECTIONS)) as tabulary:
        await (await tabulary.collections()).create_one({"collection": "plants", "schema": {}, "meta": {}})
        for field in ("name", "string"), ("since", "timestamp"):
            await (await tabulary.fields()).create_field("plants", {"field": field[0], "type": field[1], "schema": {}})
        plants = tabulary.items("plants")

        async def grow(number: int) -> None:
            key = await plants.create_one({"name": f"p{number}", "since": "2024-01-02T03:04:05Z"})
            await plants.update_one(key, {"name": f"plant {number}"})
            found = await plants.read_one(key)
            assert (found["name"], found["since"]) == (f"plant {number}", "2024-01-02T03:04:05.000Z")

        await asyncio.gather(*(grow(number) for number in range(40)))


async def test_an_empty_database_is_installed_by_two_at_once(pooler: Pooler, servers: Servers) -> None:
    direct = await servers.create("postgresql")
    through = urlunsplit(urlsplit(pooler.url)._replace(path=urlsplit(direct).path))
    settings = SETTINGS.with_values(DATABASE_URL=through, ADMIN_EMAIL=ADMIN.email, ADMIN_PASSWORD=ADMIN.password)

    async def start() -> bool:
        async with Tabulary(settings) as tabulary:
            return tabulary.installed is not None and tabulary.installed.created

    try:
        assert sorted(await asyncio.gather(start(), start())) == [False, True]
    finally:
        await servers.drop(direct)


async def test_a_pooler_that_nobody_named_is_told(pooler: Pooler) -> None:
    with pytest.raises(ConfigurationError, match="DB_PGBOUNCER"):
        await Database.from_url(pooler.plain_url()).open()


@pytest.mark.parametrize("pooler", ["jit"], indirect=True)
async def test_mixed_up_statements_are_explained(pooler: Pooler, caplog: pytest.LogCaptureFixture) -> None:
    async with Database.from_url(pooler.plain_url(), pool_max=CONNECTIONS) as database:

        async def ask(number: int) -> None:
            for step in range(20):
                async with database.connection() as connection:
                    await connection.fetch_value("SELECT pg_sleep(0.001), $1::int", [number + step])

        await asyncio.gather(*(ask(number) for number in range(CONNECTIONS)), return_exceptions=True)
    assert "DB_PGBOUNCER=true" in caplog.text


def test_a_search_path_cannot_go_through() -> None:
    with pytest.raises(ConfigurationError, match="DB_SEARCH_PATH"):
        Database(ConnectionOptions("pg", search_path=("a",), pgbouncer=True))
