"""A served Tabulary with open doors for sockets, and a client that speaks JSON."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from tabulary import Tabulary
from tabulary.core import json

from ..conftest import Servers
from ..graphql.shelf import SETTINGS, shelf_of
from ..waiting import PATIENCE, until

OPEN: dict[str, Any] = {
    **SETTINGS,
    "WEBSOCKETS_ENABLED": True,
    "WEBSOCKETS_REST_AUTH_TIMEOUT": PATIENCE,
    "WEBSOCKETS_GRAPHQL_AUTH_TIMEOUT": PATIENCE,
}
"""Nobody is thrown out for being slow, unless that is what a test wants to see."""


class Talk:
    """One socket: :meth:`say` sends, :meth:`hear` waits for the next frame, :meth:`silence` makes sure of none."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.encode(message).decode())

    async def hear(self, seconds: float = PATIENCE) -> Any:
        async with asyncio.timeout(seconds):
            return json.decode(await self.connection.recv())

    async def ask(self, **message: Any) -> Any:
        await self.say(**message)
        return await self.hear()

    async def silence(self, seconds: float = 0.3) -> None:
        try:
            heard = await self.hear(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"nothing was to be heard, but {heard}")

    async def closed(self) -> int | None:
        """Wait until the server closes; the code."""
        async with asyncio.timeout(PATIENCE):
            await self.connection.wait_closed()
        return self.connection.close_code


class Served:
    """A server on a port of its own."""

    def __init__(self, tabulary: Tabulary, port: int) -> None:
        self.tabulary = tabulary
        self.address = f"127.0.0.1:{port}"

    @asynccontextmanager
    async def talk(
        self, path: str = "/websocket", token: str | None = "admin-static-token", **options: Any
    ) -> AsyncIterator[Talk]:
        query = f"?access_token={token}" if token else ""
        patient = {"open_timeout": PATIENCE, "ping_interval": None, "compression": None}
        async with connect(f"ws://{self.address}{path}{query}", **{**patient, **options}) as connection:
            yield Talk(connection)

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=f"http://{self.address}", timeout=PATIENCE)


@asynccontextmanager
async def serve(tabulary: Tabulary) -> AsyncIterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        tabulary.asgi,
        log_config=None,
        lifespan="off",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_timeout=PATIENCE,
        loop="asyncio",
    )
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.ensure_future(server.serve([listener]))
    try:
        await until(lambda: server.started or task.done())
        yield Served(tabulary, listener.getsockname()[1])
    finally:
        server.should_exit = True
        server.force_exit = True
        await task


class _no_signals:
    def __enter__(self) -> None: ...

    def __exit__(self, *problem: object) -> None: ...


Serve = Callable[..., AbstractAsyncContextManager[Served]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What the database has a part in runs on all (``DIALECTS`` of its module), the protocols on one."""
    if "dialect" in metafunc.fixturenames:
        metafunc.parametrize("dialect", getattr(metafunc.module, "DIALECTS", ("sqlite",)))


@pytest.fixture
async def shelf_url(servers: Servers, dialect: str) -> AsyncIterator[str]:
    """The URL of a database with the shelf."""
    url = await shelf_of(servers, dialect)
    yield url
    await servers.drop(url)


@pytest.fixture
def serving(shelf_url: str) -> Serve:
    """Serve the shelf with some settings: ``async with serving(WEBSOCKETS_REST_AUTH="public") as served``."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Served]:
        async with Tabulary(shelf_url, **{**OPEN, **settings}) as tabulary, serve(tabulary) as served:
            yield served

    return start


@pytest.fixture
async def served(serving: Serve) -> AsyncIterator[Served]:
    async with serving() as served:
        yield served
