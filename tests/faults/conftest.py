"""Processes to be killed, and servers whose disk is full or whose database goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from ..waiting import PATIENCE, answering, free_port

SOURCES = Path(__file__).parents[2] / "src"
CHILD = Path(__file__).with_name("child.py")
SETTINGS: dict[str, Any] = {
    "SECRET": "0123456789abcdef0123456789abcdef",
    "HASH_MEMORY_COST": 1024,
    "HASH_TIME_COST": 1,
    "EMAIL_VERIFY_SETUP": False,
    "PRESSURE_LIMITER_ENABLED": False,  # this machine may be busy
}
TOKEN = "Bearer admin-static-token"
"""Of the administrator that ``servers.installed`` makes."""

Facts = dict[str, Any]


def environment(url: str, folder: Path, **settings: Any) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    given = {"CONFIG_PATH": "/nonexistent", "DATABASE_URL": url, "STORAGE_LOCAL_ROOT": folder / "uploads"}
    return {**kept, "PYTHONPATH": str(SOURCES), **{k: str(v) for k, v in {**SETTINGS, **given, **settings}.items()}}


def opened(url: str, folder: Path, **settings: Any) -> Tabulary:
    """The platform as a process that comes later finds it."""
    return Tabulary(url, install=False, STORAGE_LOCAL_ROOT=str(folder / "uploads"), **{**SETTINGS, **settings})


def kill_in(work: str, verb: str, place: int, when: str, url: str, folder: Path) -> None:
    """Run one thing of :mod:`child` in a process of its own, and kill it ``before`` or ``after`` that statement."""
    command = [sys.executable, str(CHILD), work, verb, str(place), when]
    with subprocess.Popen(
        command, env=environment(url, folder), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        told = child.stdout.readline()
        child.kill()
    assert told == "in the middle\n"


async def facts(tabulary: Tabulary) -> Facts:
    """All that a change of the data model touches, from the catalog and from the metadata."""
    async with tabulary.platform.database.connection() as connection:
        catalog = connection.dialect.catalog
        tables = sorted(table.name for table in await catalog.tables(connection))
        columns = sorted(repr(column) for column in await catalog.columns(connection))
        keys = sorted(repr(key) for key in await catalog.foreign_keys(connection))
        indexes = {t: sorted(map(repr, await catalog.indexes(connection, t))) for t in tables}
    found = {"tables": tables, "columns": columns, "keys": keys, "indexes": indexes}
    for name in ("collections", "fields", "relations", "permissions", "presets"):
        primary = "collection" if name == "collections" else "id"
        query = {"limit": -1, "sort": [primary], "fields": ["*"]}
        found[name] = await tabulary.items(f"directus_{name}").read_by_query(query)
    return found


class Server:
    """``tabulary start`` in a process of its own."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        self._environment = environment(url, folder, **settings)
        self._folder = folder
        self.port = free_port()
        self.process = self._started()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx2.Client(
            base_url=self.url, headers={"Authorization": TOKEN}, timeout=PATIENCE, trust_env=False
        )

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=self._environment, cwd=self._folder, stdout=log, stderr=log)
        try:
            answering(self.port, process, self._folder / "log")
        except BaseException:
            process.kill()
            raise
        return process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """As a supervisor does after a kill."""
        self.process = self._started()


@contextmanager
def serving(url: str, folder: Path, **settings: Any) -> Iterator[Server]:
    server = Server(url, folder, **settings)
    try:
        yield server
    finally:
        server.client.close()
        server.kill()


@pytest.fixture(params=("sqlite", "postgresql", "mysql"))
async def url(request: pytest.FixtureRequest, servers: Any) -> AsyncIterator[str]:
    """An installed database, dropped after the test."""
    made = await servers.installed(request.param)
    yield made
    await servers.drop(made)
