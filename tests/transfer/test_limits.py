"""What large exports and imports may cost: memory stays flat, whatever the number of rows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.database.engine import Database

from .conftest import SETTINGS, build

pytestmark = pytest.mark.anyio

SOURCES = Path(__file__).parents[2] / "src"
ROWS = 120_000
CEILING = 60
"""Megabytes above an idle process, whatever the number of rows."""

MEASURE = """
import asyncio, sys
from pathlib import Path
from tabulary import Tabulary
from tabulary.access.accountability import Accountability
from tabulary.items.query import Query
from tabulary.services.exporting import content
from tabulary.services.import_formats import items
from tabulary.services.importing import ImportService

def megabytes(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024

async def main(url, folder, kind):
    admin = Accountability(admin=True)
    async with Tabulary(url, install=False, SECRET="x" * 32) as tabulary:
        schema = await tabulary.schema()
        places = tabulary.platform.service("places", schema=schema, accountability=admin)
        await places.read_by_query({"limit": 10})
        idle = megabytes("VmRSS")
        path = Path(folder) / f"places.{kind}"
        with path.open("wb") as file:
            query = Query.parse({"limit": -1, "fields": ["code", "name"]}, tabulary.settings)
            async for piece in content(places, query, kind):
                file.write(piece)
        exported = megabytes("VmHWM") - idle
        await places.delete_by_query({"limit": -1})
        idle = megabytes("VmRSS")
        with path.open("rb") as file:
            service = ImportService(platform=tabulary.platform, schema=schema, accountability=admin)
            count = await service.run("places", lambda: items(kind, file))
        print(path.stat().st_size, count, exported, megabytes("VmRSS") - idle)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def url(request: pytest.FixtureRequest, servers: Any, tmp_path: Path) -> AsyncIterator[str]:
    """A database with the library, empty."""
    made = await servers.installed(request.param)
    async with Tabulary(made, install=False, STORAGE_LOCAL_ROOT=str(tmp_path), **SETTINGS) as tabulary:
        await build(tabulary)
    yield made
    await servers.drop(made)


def environment(url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**kept, "PYTHONPATH": str(SOURCES), "DATABASE_URL": url, "SECRET": "x" * 32, "CONFIG_PATH": "/nonexistent"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
async def test_memory_is_flat(url: str, tmp_path: Path) -> None:
    numbers = "SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}"
    fill = (
        "WITH RECURSIVE numbers AS ({numbers}) INSERT INTO places (code, name) "
        "SELECT 'C' || n, 'A name that is neither short nor long ' || n FROM numbers"
    )
    async with Database.from_url(url) as database, database.transaction() as connection:
        await connection.execute("UPDATE directus_collections SET accountability = NULL WHERE collection = 'places'")
        await connection.execute(fill.format(numbers=numbers.format(rows=ROWS)))
    command = [sys.executable, "-c", MEASURE, url, str(tmp_path), "json"]
    done = subprocess.run(command, env=environment(url), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    size, count, exporting, importing = map(float, done.stdout.split())
    assert count == ROWS
    assert size > 5_000_000
    assert exporting < CEILING
    assert importing < CEILING
