"""The public JavaScript client works with us, with two server processes and Redis between them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ..graphql.shelf import SETTINGS
from ..sdk import Sdk
from ..waiting import PATIENCE, answering, free_port
from .test_fanout import Meeting, redis

pytestmark = pytest.mark.anyio

__all__ = ["redis"]


@asynccontextmanager
async def process(url: str, folder: Path, **settings: object) -> AsyncIterator[str]:
    """A server of its own process, as the command starts it; its address."""
    folder.mkdir()
    port = free_port()
    given = {
        **SETTINGS,
        "DATABASE_URL": url,
        "HOST": "127.0.0.1",
        "PORT": port,
        "WEBSOCKETS_ENABLED": "true",
        "PRESSURE_LIMITER_ENABLED": "false",  # this machine may be busy
        **settings,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **{k: str(v) for k, v in given.items()}}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tabulary", "start"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield await asyncio.to_thread(answering, port, server, folder / "log")
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, PATIENCE)


async def test_graphql_and_realtime_of_the_client(shelf_url: str, sdk: Sdk, tmp_path: Path, redis: Meeting) -> None:
    async with (
        process(shelf_url, tmp_path / "one", **redis.settings) as one,
        process(shelf_url, tmp_path / "other", **redis.settings) as other,
    ):
        await redis.complete(2)
        said = await sdk.run(Path(__file__).with_name("sdk.mjs"), other, one)
    assert said == [
        {"headings": [{"text": "Hello"}]},
        ["init", [{"text": "Hello"}]],
        ["create", [{"text": "by the client"}]],
        ["update", [{"text": "changed"}]],
        ["delete", 1],
    ]
