"""The public JavaScript client works with us, with two server processes and Redis between them."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from ..graphql.shelf import SETTINGS
from ..sdk import Sdk

pytestmark = pytest.mark.anyio

REDIS = os.environ.get("TABULARY_TEST_REDIS", "redis://127.0.0.1:6379/9")


@asynccontextmanager
async def process(url: str, folder: Path, **settings: object) -> AsyncIterator[str]:
    """A server of its own process, as the command starts it; its address."""
    folder.mkdir()
    socket = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = socket.sockets[0].getsockname()[1]
    socket.close()
    await socket.wait_closed()
    given = {
        **SETTINGS,
        "DATABASE_URL": url,
        "HOST": "127.0.0.1",
        "PORT": port,
        "WEBSOCKETS_ENABLED": "true",
        **settings,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **{k: str(v) for k, v in given.items()}}
    with (folder / "log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tabulary", "start", cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http, asyncio.timeout(30):
            while True:
                assert server.returncode is None, (folder / "log").read_text()
                try:
                    if (await http.get("/server/ping")).is_success:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def test_graphql_and_realtime_of_the_client(shelf_url: str, sdk: Sdk, tmp_path: Path) -> None:
    shared = {"REDIS": REDIS, "REDIS_BUS_NAMESPACE": f"test:{uuid.uuid4().hex}"}
    async with (
        process(shelf_url, tmp_path / "one", **shared) as one,
        process(shelf_url, tmp_path / "other", **shared) as other,
    ):
        said = await sdk.run(Path(__file__).with_name("sdk.mjs"), other, one)
    assert said == [
        {"headings": [{"text": "Hello"}]},
        ["init", [{"text": "Hello"}]],
        ["create", [{"text": "by the client"}]],
        ["update", [{"text": "changed"}]],
        ["delete", 1],
    ]
