"""``tabulary start --server granian``: the same answers, live messages, an end and a reload in good order."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from websockets.asyncio.client import connect

from tabulary.cli.main import cli

from ..waiting import PATIENCE, until
from .conftest import Cluster, Server
from .test_workers import ADMIN, two_workers

pytestmark = pytest.mark.anyio
installed = pytest.mark.skipif(
    importlib.util.find_spec("granian") is None, reason="granian was not reached: not installed"
)
on_sqlite = pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
FOLDER = b'{"name": "half"}'


def test_it_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "granian", None)
    refused = CliRunner().invoke(cli, ["start", "--server", "granian"])
    assert refused.exit_code == 1
    assert "pip install 'tabulary[granian]'" in refused.output


@installed
async def test_items_are_written_and_told_through_two_workers(
    installed_url: str, cluster: Cluster, redis_settings: Callable[[], dict[str, str]]
) -> None:
    server = cluster.start(
        installed_url, "--server", "granian", "--workers", "2", WEBSOCKETS_ENABLED="true", **redis_settings()
    )
    server.wait()
    address = f"ws://127.0.0.1:{server.port}/websocket"
    async with (
        connect(address) as socket,
        httpx2.AsyncClient(base_url=server.url, headers=ADMIN, timeout=PATIENCE) as client,
    ):
        await _say(socket, type="auth", access_token="admin-static-token")
        await _say(socket, type="subscribe", collection="directus_folders", uid="1")
        for _ in range(4):  # a connection each: both workers write
            async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN, timeout=PATIENCE) as other:
                assert (await other.post("/folders", json={"name": "told"})).status_code == 200
            told = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
            assert (told["type"], told["event"], told["data"][0]["name"]) == ("subscription", "create", "told")
        found = (await client.get("/folders?fields=name&limit=1")).json()
    assert found == {"data": [{"name": "told"}]}


async def _say(socket: Any, **message: str) -> None:
    await socket.send(json.dumps(message))
    answer = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
    assert answer.get("status", "ok") == "ok", answer


@installed
@on_sqlite
async def test_a_request_that_is_under_way_is_answered_before_the_end(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--server", "granian", SERVER_SHUTDOWN_TIMEOUT="20000")
    server.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = (
        f"Authorization: Bearer admin-static-token\r\nContent-Type: application/json\r\nContent-Length: {len(FOLDER)}"
    )
    writer.write(f"POST /folders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n".encode() + FOLDER[:5])
    await writer.drain()
    await _answers(server)  # so that what came before it has come in, too
    server.process.send_signal(signal.SIGTERM)
    await _refuses(server)
    writer.write(FOLDER[5:])
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0


async def _answers(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        assert (await client.get("/server/ping")).status_code == 200


async def _refuses(server: Server) -> None:
    """Until no new connection is taken."""

    async def refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            return True
        writer.close()
        return False

    await until(refused, server.log.read_text)


@installed
@on_sqlite
async def test_a_reload_replaces_all_workers(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--server", "granian", "--workers", "2")
    server.wait()
    before = await two_workers(server)
    server.process.send_signal(signal.SIGHUP)
    await two_workers(server, before)
    await asyncio.to_thread(server.wait)
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0


@installed
@on_sqlite
async def test_a_random_secret_is_the_same_for_all_workers(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--server", "granian", "--workers", "2", SECRET="")
    server.wait()
    async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        login = await client.post("/auth/login", json={"email": "admin@example.com", "password": "password"})
        token = login.json()["data"]["access_token"]
    for _ in range(12):  # a connection each, so that both workers are asked
        async with httpx2.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as client:
            assert (await client.get("/users/me?fields=id")).status_code == 200
