"""Rate limits: what counts, for whom, and where the counters are."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.errors import ConfigurationError, RequestsExceeded, ServiceUnavailable
from tabulary.core.limits import Limits
from tabulary.core.settings import Settings

from .conftest import SECRET, code

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)]


@asynccontextmanager
async def server(url: str, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    quick = {"SECRET": SECRET, "LOGIN_STALL_TIME": 0, "HASH_MEMORY_COST": 1024, "HASH_TIME_COST": 1}
    async with Tabulary(url, **quick, **settings) as tabulary:
        transport = httpx2.ASGITransport(app=tabulary.asgi)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


def at(ip: str) -> dict[str, str]:
    return {"X-Forwarded-For": ip}


async def test_a_client_has_so_many_requests(installed_url: str) -> None:
    limit = {"RATE_LIMITER_ENABLED": True, "RATE_LIMITER_POINTS": 3, "RATE_LIMITER_DURATION": 60}
    async with server(installed_url, **limit) as client:
        answers = [await client.get("/server/ping", headers=at("10.0.0.1")) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert code(answers[-1]) == "REQUESTS_EXCEEDED"
        extensions = answers[-1].json()["errors"][0]["extensions"]
        assert extensions["limit"] == 3
        assert extensions["reset"].endswith("Z")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert (await client.get("/server/info", headers=at("10.0.0.1"))).status_code == 429
        assert (await client.get("/server/ping", headers=at("10.0.0.2"))).status_code == 200


async def test_the_server_has_so_many_requests(installed_url: str) -> None:
    limit = {"RATE_LIMITER_ENABLED": True, "RATE_LIMITER_POINTS": 2, "RATE_LIMITER_DURATION": 60}
    together = {"RATE_LIMITER_GLOBAL_ENABLED": True, "RATE_LIMITER_GLOBAL_DURATION": 60}
    async with server(installed_url, **limit, **together, RATE_LIMITER_GLOBAL_POINTS=3) as client:
        answers = [await client.get("/server/ping", headers=at(f"10.0.0.{n}")) for n in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    for wrong in ({"RATE_LIMITER_GLOBAL_POINTS": 2}, {"RATE_LIMITER_ENABLED": False}):
        with pytest.raises(ConfigurationError, match="RATE_LIMITER"):
            async with server(installed_url, **{**limit, **together, **wrong}) as client:
                await client.get("/server/ping")


async def test_logins_of_a_client(installed_url: str) -> None:
    limit = {"RATE_LIMITER_LOGIN_ENABLED": True, "RATE_LIMITER_LOGIN_POINTS": 2}
    body = {"email": "nobody@example.org", "password": "x"}
    async with server(installed_url, **limit) as client:
        answers = [await client.post("/auth/login", json=body, headers=at("10.0.0.1")) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert (await client.post("/auth/login", json=body, headers=at("10.0.0.2"))).status_code == 401


async def test_guessing_suspends(installed_url: str) -> None:
    async with server(installed_url) as client:
        admin = {"Authorization": "Bearer admin-static-token"}
        await client.patch("/settings", json={"auth_login_attempts": 2}, headers=admin)
        user = {"email": "ada@example.org", "password": "secret"}
        key = (await client.post("/users", json=user, headers=admin)).json()["data"]["id"]
        for _ in range(3):
            assert code(await client.post("/auth/login", json=user | {"password": "x"})) == "INVALID_CREDENTIALS"
        shown = await client.get(f"/users/{key}?fields=status", headers=admin)
        assert shown.json() == {"data": {"status": "suspended"}}
        assert code(await client.post("/auth/login", json=user)) == "INVALID_CREDENTIALS"


@pytest.fixture(params=["memory", "redis"])
async def limits(request: pytest.FixtureRequest, installed_url: str) -> AsyncIterator[Limits]:
    pytest.importorskip("redis")
    url = os.environ.get("TABULARY_TEST_REDIS", "redis://127.0.0.1:6379")
    prefix = f"tabulary-test-{uuid.uuid4().hex}"
    settings = Settings.of(RATE_LIMITER_STORE=request.param, REDIS=url, RATE_LIMITER_KEY_PREFIX=prefix)
    made = Limits(settings.with_values(RATE_LIMITER_LOGIN_ENABLED=True, RATE_LIMITER_LOGIN_POINTS=2))
    try:
        await made.forget("test", "x")
    except ServiceUnavailable:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("Redis was not reached")
    yield made
    await made.close()


async def test_windows_begin_with_the_first_hit(limits: Limits) -> None:
    counts = [await limits.hit("test", "window", 300) for _ in range(3)]
    assert [count.hits for count in counts] == [1, 2, 3]
    assert 0 < counts[0].remaining <= 300
    for seconds in range(1, 40):  # a float that is never more than the window, at whatever time it begins
        assert (await limits.hit("test", f"window {seconds}", seconds / 7)).remaining <= seconds / 7
    assert (await limits.hit("test", "short", 0.001)).hits == 1
    forever = await limits.hit("test", "forever")
    assert (forever.hits, forever.remaining) == (1, 0)
    assert (await limits.hit("test", "forever")).hits == 2
    await limits.forget("test", "forever")
    assert (await limits.hit("test", "forever")).hits == 1
    await limits.forget("test", "forever")


async def test_limits_are_by_key(limits: Limits) -> None:
    login = limits.limit("LOGIN")
    assert login is not None
    for key in ("a", "b"):
        await login.consume(key)
        await login.consume(key)
        with pytest.raises(RequestsExceeded):
            await login.consume(key)
    assert limits.limit("") is None


async def test_a_store_that_is_away_is_an_outage(installed_url: str) -> None:
    pytest.importorskip("redis")
    limits = Limits(Settings.of(RATE_LIMITER_STORE="redis", REDIS="redis://127.0.0.1:1"))
    with pytest.raises(ServiceUnavailable, match="authentication"):
        await limits.hit("authentication", "x")
    await limits.close()
    with pytest.raises(ConfigurationError, match="RATE_LIMITER_STORE"):
        Limits(Settings.of(RATE_LIMITER_STORE="memcache"))
