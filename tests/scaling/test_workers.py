"""``tabulary start --workers``: many processes behind one address, replaced without a lost request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection
from pathlib import Path

import httpx2
import pytest

from ..waiting import PATIENCE, until
from .conftest import Cluster, Server

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}
CLIENTS = 8


def workers_of(server: Server) -> set[int]:
    """The process ids of the workers (multiprocessing has a helper process besides)."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = set()
    for child in children:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


async def two_workers(server: Server, without: Collection[int] = ()) -> set[int]:
    """The workers once there are two, and none of ``without``."""

    def ready() -> set[int]:
        now = workers_of(server)
        return now if len(now) == 2 and now.isdisjoint(without) else set()

    found: set[int] = await until(ready, server.log.read_text)
    return found


async def test_a_reload_loses_no_request(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2")
    server.wait()
    before = await two_workers(server)
    done, answers = False, 0

    async def ask() -> None:
        nonlocal answers
        async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN, timeout=PATIENCE) as client:
            while not done:
                assert (await client.get("/users/me?fields=id")).status_code == 200
                changed = await client.post("/folders", json={"name": "x"})
                assert changed.status_code == 200
                answers += 2

    clients = [asyncio.ensure_future(ask()) for _ in range(CLIENTS)]
    server.process.send_signal(signal.SIGHUP)
    await two_workers(server, before)
    at_reload = answers
    while answers < at_reload + 2 * CLIENTS:
        await asyncio.sleep(0.01)
        for client in clients:
            if client.done():
                client.result()
    done = True
    await asyncio.gather(*clients)
    async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN, timeout=PATIENCE) as client:
        counted = (await client.get("/folders?aggregate[count]=*")).json()["data"][0]["count"]
    assert int(counted) == answers // 2


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_a_worker_that_dies_is_replaced(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2")
    server.wait()
    victim = min(await two_workers(server))
    os.kill(victim, signal.SIGKILL)
    await two_workers(server, {victim})
    async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN, timeout=PATIENCE) as client:
        assert (await client.get("/users/me?fields=id")).status_code == 200


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_the_end_of_the_supervisor_is_the_end_of_all(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2")
    server.wait()
    pids = await two_workers(server)
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_a_random_secret_is_the_same_for_all_workers(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2", SECRET="")
    server.wait()
    async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        login = await client.post("/auth/login", json={"email": "admin@example.com", "password": "password"})
        token = login.json()["data"]["access_token"]
    for _ in range(12):  # a connection each, so that both workers are asked
        bearer = {"Authorization": f"Bearer {token}", "Connection": "close"}
        async with httpx2.AsyncClient(base_url=server.url, headers=bearer, timeout=PATIENCE) as client:
            assert (await client.get("/users/me?fields=id")).status_code == 200


async def test_a_database_in_memory_has_one_process(cluster: Cluster) -> None:
    server = cluster.start("sqlite://", "--workers", "2")
    assert await asyncio.to_thread(server.process.wait, PATIENCE) == 1
    assert "in memory" in server.log.read_text()
