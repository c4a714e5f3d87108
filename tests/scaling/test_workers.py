"""``tabulary start --workers``: many processes behind one address, replaced without a lost request."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx2
import pytest

from .conftest import Cluster, Server

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}
CLIENTS = 8


def workers_of(server: Server) -> set[int]:
    """The process ids of the workers (multiprocessing has a helper process besides)."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


async def changed_workers(server: Server, before: set[int]) -> set[int]:
    """The workers once all those of ``before`` are gone and as many new ones are there."""
    for _ in range(1200):
        now = workers_of(server)
        if len(now) == len(before) and not now & before:
            return now
        await asyncio.sleep(0.05)
    raise AssertionError(server.log.read_text())


async def test_a_reload_loses_no_request(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2")
    server.wait()
    before = workers_of(server)
    assert len(before) == 2
    done, answers = False, 0

    async def ask() -> None:
        nonlocal answers
        async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN, timeout=30) as client:
            while not done:
                assert (await client.get("/users/me?fields=id")).status_code == 200
                changed = await client.post("/folders", json={"name": "x"})
                assert changed.status_code == 200
                answers += 2

    clients = [asyncio.ensure_future(ask()) for _ in range(CLIENTS)]
    server.process.send_signal(signal.SIGHUP)
    await changed_workers(server, before)
    at_reload = answers
    while answers < at_reload + 2 * CLIENTS:
        await asyncio.sleep(0.01)
        for client in clients:
            if client.done():
                client.result()
    done = True
    await asyncio.gather(*clients)
    async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN) as client:
        counted = (await client.get("/folders?aggregate[count]=*")).json()["data"][0]["count"]
    assert int(counted) == answers // 2


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_a_worker_that_dies_is_replaced(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2")
    server.wait()
    before = workers_of(server)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    for _ in range(1200):
        now = workers_of(server)
        if len(now) == 2 and victim not in now:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError(server.log.read_text())
    async with httpx2.AsyncClient(base_url=server.url, headers=ADMIN) as client:
        assert (await client.get("/users/me?fields=id")).status_code == 200


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_the_end_of_the_supervisor_is_the_end_of_all(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2")
    server.wait()
    pids = workers_of(server)
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, 20) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_a_random_secret_is_the_same_for_all_workers(installed_url: str, cluster: Cluster) -> None:
    server = cluster.start(installed_url, "--workers", "2", SECRET="")
    server.wait()
    async with httpx2.AsyncClient(base_url=server.url) as client:
        login = await client.post("/auth/login", json={"email": "admin@example.com", "password": "password"})
        token = login.json()["data"]["access_token"]
    for _ in range(12):  # a connection each, so that both workers are asked
        bearer = {"Authorization": f"Bearer {token}", "Connection": "close"}
        async with httpx2.AsyncClient(base_url=server.url, headers=bearer) as client:
            assert (await client.get("/users/me?fields=id")).status_code == 200


async def test_a_database_in_memory_has_one_process(cluster: Cluster) -> None:
    server = cluster.start("sqlite://", "--workers", "2")
    assert await asyncio.to_thread(server.process.wait, 60) == 1
    assert "in memory" in server.log.read_text()
