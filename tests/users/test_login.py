"""Logging in: the same answer and the same work for all who fail, what success leaves behind, and rotation in races."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import argon2
import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.tokens import verify

from .conftest import ADMIN, SECRET, SETTINGS, code

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")]

ADA = {"email": "ada@example.org", "password": "secret"}
on_sqlite = pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
SESSION = "directus_session_token"


@pytest.fixture
async def ada(tabulary: Tabulary) -> str:
    return str(await tabulary.users().create_one(ADA))


async def login(client: httpx2.AsyncClient, **more: Any) -> httpx2.Response:
    answer = await client.post("/auth/login", json=ADA | more)
    client.cookies.clear()
    return answer


async def refresh(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def activity(tabulary: Tabulary, user: str) -> list[dict[str, Any]]:
    query = {
        "filter": {"item": {"_eq": user}},
        "sort": ["id"],
        "fields": ["action", "user", "ip", "user_agent", "origin"],
    }
    return await tabulary.items("directus_activity").read_by_query(query)


# --- failure ----------------------------------------------------------------------------------------
@on_sqlite
async def test_all_failures_look_alike_and_cost_alike(
    client: httpx2.AsyncClient, tabulary: Tabulary, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each does one verification, whether or not there is something to verify."""
    for name, fields in {"gone": {"status": "suspended"}, "sso": {"provider": "x"}, "bare": {"password": None}}.items():
        await tabulary.users().create_one({"password": "secret"} | fields | {"email": f"{name}@example.org"})
    await login(client, email="nobody@example.org")  # the hash to waste time on is made once
    verified: list[str] = []
    plain = tabulary.platform.passwords.verify

    async def counted(hashed: str, text: str) -> bool:
        verified.append(hashed)
        return await plain(hashed, text)

    monkeypatch.setattr(tabulary.platform.passwords, "verify", counted)
    bodies = [{"password": "wrong"}, *({"email": f"{name}@example.org"} for name in ("nobody", "gone", "sso", "bare"))]
    answers = [await login(client, **body) for body in bodies]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert code(answers[0]) == "INVALID_CREDENTIALS"
    assert len(verified) == len(bodies)


@pytest.mark.parametrize(("allowed", "logins"), [(None, 30), (2, 2), (0, 0)])
@on_sqlite
async def test_so_many_attempts_are_free(
    client: httpx2.AsyncClient, tabulary: Tabulary, ada: str, allowed: int | None, logins: int
) -> None:
    await tabulary.items("directus_settings").upsert_singleton({"auth_login_attempts": allowed})
    for _ in range(logins):
        assert code(await login(client, password="wrong")) == "INVALID_CREDENTIALS"
    fields = {"fields": ["status"]}
    assert await tabulary.users().read_one(ada, fields) == {"status": "active"}
    if allowed is None:
        assert (await login(client)).status_code == 200
        return
    assert code(await login(client, password="wrong")) == "INVALID_CREDENTIALS"
    assert await tabulary.users().read_one(ada, fields) == {"status": "suspended"}
    assert (await activity(tabulary, ada))[-1]["action"] == "update"
    (revision,) = await tabulary.items("directus_revisions").read_by_query({"fields": ["delta", "data"]})
    assert revision["delta"] == {"status": "suspended"}
    assert revision["data"]["password"] == "*" * 10
    await tabulary.users().update_one(ada, {"status": "active"})
    if allowed:  # counting began anew
        assert (await login(client)).status_code == 200


@on_sqlite
async def test_success_begins_counting_anew(client: httpx2.AsyncClient, tabulary: Tabulary, ada: str) -> None:
    await tabulary.items("directus_settings").upsert_singleton({"auth_login_attempts": 2})
    for _ in range(3):
        assert (await login(client, password="wrong")).status_code == 401
        assert (await login(client)).status_code == 200


@pytest.fixture
async def two_processes(installed_url: str, smtp_port: int) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Clients of two applications that share a database and the counters in Redis."""
    pytest.importorskip("redis")
    redis = os.environ.get("TABULARY_TEST_REDIS", "redis://127.0.0.1:6379")
    shared = {"RATE_LIMITER_STORE": "redis", "REDIS": redis, "RATE_LIMITER_KEY_PREFIX": f"test-{uuid.uuid4().hex}"}
    settings = {**SETTINGS, **shared, "EMAIL_SMTP_PORT": smtp_port, "RATE_LIMITER_REGISTRATION_POINTS": 3}
    async with Tabulary(installed_url, **settings) as one, Tabulary(installed_url, **settings) as two:
        clients = [
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=t.asgi), base_url="http://test") for t in (one, two)
        ]
        try:
            await one.platform.limits.forget("test", "x")
        except Exception:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip("Redis was not reached")
        yield clients
        for client in clients:
            await client.aclose()


@on_sqlite
async def test_processes_count_together(two_processes: list[httpx2.AsyncClient]) -> None:
    one, two = two_processes
    await one.patch("/settings", json={"auth_login_attempts": 2}, headers=ADMIN)
    key = (await one.post("/users?fields=id", json=ADA, headers=ADMIN)).json()["data"]["id"]
    for client in (one, two, one):
        assert code(await login(client, password="wrong")) == "INVALID_CREDENTIALS"
    shown = await two.get(f"/users/{key}?fields=status", headers=ADMIN)
    assert shown.json() == {"data": {"status": "suspended"}}
    body = {"email": "new@example.org", "password": "x"}
    answers = [await client.post("/users/register", json=body) for client in (one, two, one, two)]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 429]


# --- success ----------------------------------------------------------------------------------------
async def test_what_a_login_leaves_behind(client: httpx2.AsyncClient, tabulary: Tabulary, ada: str) -> None:
    seen: list[tuple[str, str, str]] = []

    @tabulary.hooks.filter("auth.jwt")
    async def mark(payload: Any, meta: Any, context: Any) -> Any:
        return {**payload, "extra": meta["type"]}

    @tabulary.hooks.action("auth.login")
    async def note(meta: Any, context: Any) -> None:
        seen.append((meta["status"], meta["user"], meta["provider"]))

    headers = {"User-Agent": "test", "Origin": "http://app.example.com", "X-Forwarded-For": "10.1.2.3"}
    await login(client, password="wrong")
    answer = await client.post("/auth/login", json=ADA | {"email": "ADA@example.org"}, headers=headers)
    data = answer.json()["data"]
    claims = verify(data["access_token"], SECRET)
    assert claims.pop("exp") - claims.pop("iat") == 900
    expected = {
        "id": ada,
        "role": None,
        "app_access": False,
        "admin_access": False,
        "iss": "directus",
        "extra": "login",
    }
    assert claims == expected
    place = {"ip": "10.1.2.3", "user_agent": "test", "origin": "http://app.example.com"}
    assert await activity(tabulary, ada) == [{"action": "login", "user": ada, **place}]
    assert (await tabulary.users().read_one(ada, {"fields": ["last_access"]}))["last_access"] is not None
    (session,) = await sessions(tabulary)
    assert session == (data["refresh_token"], ada, *place.values())
    refreshed = await refresh(client, data["refresh_token"])
    assert verify(refreshed.json()["data"]["access_token"], SECRET)["extra"] == "refresh"
    await tabulary.hooks.drain()
    assert seen == [("fail", ada, "default"), ("success", ada, "default")]


async def sessions(tabulary: Tabulary) -> list[tuple[Any, ...]]:
    async with tabulary.platform.database.connection() as connection:
        quoted = connection.dialect.sa_dialect.identifier_preparer.quote("user")
        sql = f"SELECT token, {quoted}, ip, user_agent, origin FROM directus_sessions"
        return [tuple(row) for row in await connection.fetch_rows(sql)]


async def test_expired_sessions_go_with_the_next_login(
    client: httpx2.AsyncClient, tabulary: Tabulary, ada: str
) -> None:
    await login(client)
    async with tabulary.platform.database.transaction() as connection:
        long_ago = "'2001-01-01 00:00:00'" if connection.dialect.name != "sqlite" else "0"
        await connection.execute(f"UPDATE directus_sessions SET expires = {long_ago}")
    data = (await login(client)).json()["data"]
    assert [row[0] for row in await sessions(tabulary)] == [data["refresh_token"]]


@pytest.mark.parametrize("kind", [argon2.Type.I, argon2.Type.D, argon2.Type.ID])
@on_sqlite
async def test_hashes_of_other_parameters_verify(
    client: httpx2.AsyncClient, tabulary: Tabulary, ada: str, kind: argon2.Type
) -> None:
    hashed = argon2.PasswordHasher(time_cost=2, memory_cost=2048, parallelism=2, hash_len=24, type=kind).hash("old")
    async with tabulary.platform.database.transaction() as connection:
        await connection.execute(f"UPDATE directus_users SET password = '{hashed}' WHERE id = '{ada}'")
    assert (await login(client, password="old")).status_code == 200
    assert (await login(client)).status_code == 401


@on_sqlite
async def test_a_demanded_second_factor_is_in_the_claims_of_the_login(
    client: httpx2.AsyncClient, tabulary: Tabulary
) -> None:
    """Only what the user's own role demands, and only until the factor is there."""
    policy = {"name": "careful", "enforce_tfa": True}
    above = await tabulary.items("directus_roles").create_one({"name": "above", "policies": [{"policy": policy}]})
    below = await tabulary.items("directus_roles").create_one({"name": "below", "parent": above})
    for name, role, secret, expected in (
        ("a", above, None, True), ("b", below, None, None), ("c", above, "JBSWY3DPEHPK3PXP", None),
    ):  # fmt: skip
        user = {"email": f"{name}@example.org", "password": "secret", "role": role, "tfa_secret": secret}
        await tabulary.users().create_one(user)
        answer = await login(client, email=user["email"])
        if secret:
            assert code(answer) == "INVALID_OTP"
        else:
            claims = verify(answer.json()["data"]["access_token"], SECRET)
            assert claims.get("enforce_tfa") is expected


# --- rotation ---------------------------------------------------------------------------------------
async def test_a_refresh_token_is_used_once(client: httpx2.AsyncClient, ada: str) -> None:
    token = (await login(client)).json()["data"]["refresh_token"]
    answers = await asyncio.gather(*(refresh(client, token) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401, 401]


@on_sqlite
async def test_tokens_of_any_kind_are_tokens(client: httpx2.AsyncClient, tabulary: Tabulary, ada: str) -> None:
    for token in (5, ["x"], "x", "x\0", "x" * 500):
        body = {"refresh_token": token}
        assert code(await client.post("/auth/refresh", json=body)) == "INVALID_CREDENTIALS"
        assert (await client.post("/auth/logout", json=body)).status_code == 204
    for body in ({}, {"refresh_token": ""}, {"mode": "other", "refresh_token": "x"}):
        for path in ("/auth/refresh", "/auth/logout"):
            assert code(await client.post(path, json=body)) == "INVALID_PAYLOAD"
    token = (await login(client)).json()["data"]["refresh_token"]
    await tabulary.users().update_one(ada, {"provider": "elsewhere"})
    for path in ("/auth/refresh", "/auth/logout"):
        assert code(await client.post(path, json={"refresh_token": token})) == "INVALID_PROVIDER_CONFIG"


async def test_parallel_refreshes_of_a_session_agree(client: httpx2.AsyncClient, tabulary: Tabulary, ada: str) -> None:
    answer = await login(client, mode="session")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    body = {"mode": "session"}
    answers = await asyncio.gather(
        *(client.post("/auth/refresh", json=body, headers={"Cookie": cookie}) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {200}
    found = {
        verify(answer.headers["set-cookie"].partition(";")[0].partition("=")[2], SECRET)["session"]
        for answer in answers
    }
    assert len(found) == 1
    assert {row[0] for row in await sessions(tabulary)} == found | {verify(cookie.partition("=")[2], SECRET)["session"]}


async def test_who_is_suspended_cannot_go_on(client: httpx2.AsyncClient, tabulary: Tabulary, ada: str) -> None:
    """Also when the status was set past the services, and the session is still there."""
    token = (await login(client)).json()["data"]["refresh_token"]
    async with tabulary.platform.database.transaction() as connection:
        await connection.execute(f"UPDATE directus_users SET status = 'suspended' WHERE id = '{ada}'")
    assert code(await refresh(client, token)) == "USER_SUSPENDED"
    assert await sessions(tabulary) == []
    assert code(await refresh(client, token)) == "INVALID_CREDENTIALS"
