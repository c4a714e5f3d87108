"""Real databases for tests: a fresh one for each test, on every kind that can be reached.

``database`` is empty, ``installed_database`` has the system tables and an administrator (``admin@example.com``,
``password``, token ``admin-static-token``); both run once for SQLite, PostgreSQL and MariaDB. Where the servers are,
``TABULARY_TEST_POSTGRESQL`` and ``TABULARY_TEST_MYSQL`` say as URLs. A server that does not answer skips its tests and
is named at the end; with ``CI=true`` it fails them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, settings

from tabulary.core.settings import Settings
from tabulary.database.bootstrap import AdminSpec, bootstrap
from tabulary.database.engine import Database

from .sdk import Sdk, install

DIALECTS = ("sqlite", "postgresql", "mysql")
DEFAULT_SERVERS = {
    "postgresql": "postgresql://postgres@127.0.0.1:5432/postgres",
    "mysql": "mysql://root@127.0.0.1:3306/mysql",
}
ADMIN = AdminSpec("admin@example.com", "password", "admin-static-token")
SETTINGS = Settings.of(HASH_MEMORY_COST=1024, HASH_TIME_COST=1, HASH_PARALLELISM=1)
"""Cheap password hashes: tests are not attacked."""

# Random examples are for developers, who can look at what they find; CI tries the same ones each time, so that it
# judges the change and not its luck. How long an example takes is nobody's business: machines may be slow.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tabulary", _UNHURRIED)
settings.register_profile("tabulary-ci", _UNHURRIED, derandomize=True, database=None, print_blob=True)
settings.load_profile("tabulary-ci" if os.environ.get("CI") == "true" else "tabulary")

_TABLES = "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = '{}'"
_KINDS = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = '{}'"
_COLUMNS = (
    "SELECT table_name, column_name, column_type, is_nullable, column_default, column_key "
    "FROM information_schema.columns WHERE table_schema = '{}' ORDER BY table_name, column_name"
)
_KEYS = (
    "SELECT table_name, constraint_name, delete_rule FROM information_schema.referential_constraints "
    "WHERE constraint_schema = '{}' ORDER BY table_name, constraint_name"
)
"""What a MariaDB database looks like; the schema's name is one that we gave."""


@dataclass
class Servers:
    """Makes and drops databases; remembers who did not answer."""

    folder: Path
    prefix: str = field(default_factory=lambda: f"tabulary_test_{uuid.uuid4().hex[:8]}")
    unreachable: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)
    made: int = 0

    def admin_url(self, dialect: str) -> str:
        return os.environ.get(f"TABULARY_TEST_{dialect.upper()}", DEFAULT_SERVERS[dialect])

    async def create(self, dialect: str, template: str | None = None) -> str:
        """The URL of a new database. Skips the test (or fails it in CI) when the server does not answer."""
        self.made += 1
        name = f"{self.prefix}_{self.made}"
        if dialect == "sqlite":
            path = self.folder / f"{name}.db"
            if template is not None:
                shutil.copy(urlsplit(template).path[1:], path)
            return f"sqlite:///{path}"
        if dialect in self.unreachable:
            self._miss(dialect)
        copied = f" TEMPLATE {urlsplit(template).path[1:]}" if template and dialect == "postgresql" else ""
        try:
            await self._run(dialect, f"CREATE DATABASE {name}{copied}")
        except (OSError, TimeoutError) as problem:
            self.unreachable[dialect] = str(problem)
        except Exception as problem:
            if "connect" not in str(problem).lower():
                raise
            self.unreachable[dialect] = str(problem)
        if dialect in self.unreachable:
            self._miss(dialect)
        return urlunsplit(urlsplit(self.admin_url(dialect))._replace(path=f"/{name}"))

    async def drop(self, url: str) -> None:
        """A test needs its database no more."""
        parts = urlsplit(url)
        if parts.scheme == "mysql" and await self._restored(parts.path[1:]):
            self.spare.append(url)
        else:
            await self.destroy(url)

    async def destroy(self, url: str) -> None:
        """Remove a database from its server."""
        parts = urlsplit(url)
        if parts.scheme != "sqlite":
            force = " WITH (FORCE)" if parts.scheme == "postgresql" else ""
            await self._run(parts.scheme, f"DROP DATABASE IF EXISTS {parts.path[1:]}{force}")

    async def installed(self, dialect: str) -> str:
        """The URL of a database with the system tables, like new: a copy of the first one, or one put back in order."""
        if dialect == "mysql" and self.spare:
            return self.spare.pop()
        if dialect == "mysql" and dialect in self.templates:
            url = await self.create(dialect)
            await self._install(url)
            return url
        if dialect not in self.templates:
            self.templates[dialect] = await self.create(dialect)
            await self._install(self.templates[dialect])
        return (
            await self.installed(dialect) if dialect == "mysql" else await self.create(dialect, self.templates[dialect])
        )

    async def close(self) -> None:
        """Drop what is kept for other tests."""
        for url in self.templates.values():
            parts = urlsplit(url)
            if parts.scheme != "sqlite":
                await self._run(parts.scheme, f"DROP DATABASE IF EXISTS {parts.path[1:]}")
        for url in self.spare:
            await self._run("mysql", f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]}")

    async def _restored(self, name: str) -> bool:
        """Make a used MariaDB database like new, which is far faster than making one; False when that is not possible.

        Tables that a test made go, system tables get the rows of the template. A database whose system tables were
        changed, or that never had them, is not worth the trouble.
        """
        if "mysql" not in self.templates:
            return False
        template = urlsplit(self.templates["mysql"]).path[1:]
        async with Database.from_url(self.admin_url("mysql")) as database, database.connection() as connection:
            await connection.execute("SET foreign_key_checks = 0")
            expected = dict(await connection.fetch_rows(_TABLES.format(template)))
            for table, kind in await connection.fetch_rows(_KINDS.format(name)):
                if table not in expected:
                    await connection.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} `{name}`.`{table}`")
            for shape in (_COLUMNS, _KEYS):
                if await connection.fetch_rows(shape.format(name)) != await connection.fetch_rows(
                    shape.format(template)
                ):
                    return False
            async with connection.transaction():
                for table in expected:
                    await connection.execute(f"DELETE FROM `{name}`.`{table}`")
                    await connection.execute(f"INSERT INTO `{name}`.`{table}` SELECT * FROM `{template}`.`{table}`")
            for table, number in await connection.fetch_rows(_TABLES.format(name)):
                if number != expected[table]:
                    await connection.execute(f"ALTER TABLE `{name}`.`{table}` AUTO_INCREMENT = {expected[table]}")
            await connection.execute("SET foreign_key_checks = 1")
        return True

    @staticmethod
    async def _install(url: str) -> None:
        async with Database.from_url(url) as database:
            await bootstrap(database, SETTINGS, ADMIN)
            if database.dialect.name == "sqlite":  # all into the one file that is copied
                async with database.connection(write=True) as connection:
                    await connection.fetch_rows("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _run(self, dialect: str, sql: str) -> None:
        async with Database.from_url(self.admin_url(dialect)) as database, database.connection() as connection:
            await connection.execute(sql)

    def _miss(self, dialect: str) -> None:
        text = f"{dialect} was not reached: {self.unreachable[dialect]}"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Where databases come from."""
    made = Servers(tmp_path_factory.mktemp("databases"))
    yield made
    asyncio.run(made.close())


@pytest.fixture(params=DIALECTS)
async def database_url(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[str]:
    """The URL of an empty database, dropped after the test."""
    url = await servers.create(request.param)
    yield url
    await servers.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty database, open."""
    async with Database.from_url(database_url) as opened:
        yield opened


@pytest.fixture(params=DIALECTS)
async def installed_url(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[str]:
    """The URL of a database with system tables and administrator, dropped after the test."""
    url = await servers.installed(request.param)
    yield url
    await servers.drop(url)


@pytest.fixture
async def installed_database(installed_url: str) -> AsyncIterator[Database]:
    """A database with system tables and administrator, open."""
    async with Database.from_url(installed_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The public JavaScript client (see sdk.py)."""
    return install(request.config.cache.mkdir("javascript-client"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not reached, from the reports: with ``-n`` the tests ran in other processes."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = {str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple)}
    for reason in sorted(reasons):
        if "was not reached" in reason:
            terminalreporter.write_line(f"NOT TESTED: {reason.removeprefix('Skipped: ')}", yellow=True)
