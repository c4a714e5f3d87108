"""``/auth``: logging in, refreshing, logging out, and tokens in requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pyotp
import pytest

from tabulary import Tabulary
from tabulary.core.settings import Settings
from tabulary.core.tokens import sign, verify
from tabulary.server.context import ClientAddresses

from .test_app import SETTINGS, client_of, code

pytestmark = pytest.mark.anyio

ADA = {"email": "ada@example.org", "password": "secret"}
SESSION, REFRESH = "directus_session_token", "directus_refresh_token"


@pytest.fixture
async def tabulary(installed_url: str) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url, **SETTINGS, LOGIN_STALL_TIME=0) as tabulary:
        users = await tabulary.service("directus_users")
        await users.create_one({**ADA, "token": "ada-token"})
        yield tabulary


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(tabulary.asgi) as client:
        yield client


async def login(client: httpx2.AsyncClient, **more: Any) -> Any:
    return (await client.post("/auth/login", json={**ADA, **more})).json()["data"]


async def me(client: httpx2.AsyncClient, token: str | None = None) -> httpx2.Response:
    return await client.get("/users/me?fields=id", headers={"Authorization": f"Bearer {token}"} if token else {})


async def test_json_mode(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    tokens = await login(client)
    assert list(tokens) == ["expires", "refresh_token", "access_token"]
    assert tokens["expires"] == 15 * 60_000
    claims = verify(tokens["access_token"], SETTINGS["SECRET"])
    assert (claims["role"], claims["app_access"], claims["admin_access"]) == (None, False, False)
    assert (await me(client, tokens["access_token"])).status_code == 200

    body = {"refresh_token": tokens["refresh_token"]}
    fresh = (await client.post("/auth/refresh", json=body)).json()["data"]
    assert fresh["refresh_token"] != tokens["refresh_token"]
    again = await client.post("/auth/refresh", json=body)
    assert (again.status_code, code(again)) == (401, "INVALID_CREDENTIALS")
    gone = await client.post("/auth/logout", json={"refresh_token": fresh["refresh_token"]})
    assert gone.status_code == 204
    assert (await client.post("/auth/refresh", json={"refresh_token": fresh["refresh_token"]})).status_code == 401
    activity = await (await tabulary.service("directus_activity")).read_by_query({"sort": "id", "fields": ["action"]})
    assert [row["action"] for row in activity] == ["login", "logout"]


async def test_session_mode(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/auth/login", json={**ADA, "mode": "session"})
    assert answer.json()["data"] == {"expires": 86_400_000}
    assert "httponly; path=/; max-age=86400; samesite=lax" in answer.headers["set-cookie"].lower()
    old = client.cookies[SESSION]
    assert (await me(client)).status_code == 200
    assert (await client.post("/auth/refresh", json={"mode": "session"})).status_code == 200
    assert client.cookies[SESSION] != old
    assert (await me(client, old)).status_code == 200  # the grace period
    assert (await client.post("/auth/logout", json={"mode": "session"})).status_code == 204
    assert SESSION not in client.cookies
    assert code(await me(client)) == "INVALID_CREDENTIALS"


async def test_a_dead_session_cookie_fails_everything_and_is_dropped(client: httpx2.AsyncClient) -> None:
    claims = {"id": None, "role": None, "app_access": False, "admin_access": False, "session": "gone"}
    dead = {"Cookie": f"{SESSION}={sign(claims, SETTINGS['SECRET'])}"}
    for path in ("/users/me", "/nowhere"):
        answer = await client.get(path, headers=dead)
        assert (answer.status_code, code(answer)) == (401, "INVALID_CREDENTIALS")
        assert answer.headers["set-cookie"].startswith(f"{SESSION}=;")
    assert (await client.post("/auth/login", json=ADA, headers=dead)).status_code == 401


async def test_cookie_mode(client: httpx2.AsyncClient) -> None:
    tokens = await login(client, mode="cookie")
    assert list(tokens) == ["expires", "access_token"]
    assert REFRESH in client.cookies
    assert (await client.post("/auth/refresh")).status_code == 200
    assert (await client.post("/auth/logout")).status_code == 204
    assert REFRESH not in client.cookies


async def test_a_changed_password_or_status_ends_sessions(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    users = await tabulary.service("directus_users")
    ada = await users.get_user_by_email("ADA@example.org")
    for change in ({"password": "secret"}, {"status": "suspended"}):
        tokens = await login(client)
        await client.post("/auth/login", json={**ADA, "mode": "session"})
        assert (await me(client)).status_code == 200
        await users.update_one(ada["id"], change)
        assert code(await me(client)) == "INVALID_CREDENTIALS"
        client.cookies.clear()
        assert (await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).status_code == 401
    assert code(await client.post("/auth/login", json=ADA)) == "INVALID_CREDENTIALS"


@pytest.mark.parametrize("token", [[], {}, ["x"], "nobody's"])
async def test_refresh_tokens_that_are_none(client: httpx2.AsyncClient, token: Any) -> None:
    answer = await client.post("/auth/refresh", json={"refresh_token": token})
    assert answer.status_code == 401 and code(answer) == "INVALID_CREDENTIALS"
    assert (await client.post("/auth/logout", json={"refresh_token": token})).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({}, 400, "INVALID_PAYLOAD"),
        ([], 400, "INVALID_PAYLOAD"),
        ({"email": "ada@example.org"}, 400, "INVALID_PAYLOAD"),
        ({**ADA, "email": "ada"}, 400, "INVALID_PAYLOAD"),
        ({**ADA, "password": 5}, 400, "INVALID_PAYLOAD"),
        ({**ADA, "mode": "other"}, 400, "INVALID_PAYLOAD"),
        ({**ADA, "otp": ""}, 400, "INVALID_PAYLOAD"),
        ({**ADA, "password": "wrong"}, 401, "INVALID_CREDENTIALS"),
        ({**ADA, "email": "eve@example.org"}, 401, "INVALID_CREDENTIALS"),
    ],
)
async def test_bad_logins(client: httpx2.AsyncClient, body: Any, status: int, expected: str) -> None:
    answer = await client.post("/auth/login", json=body)
    assert (answer.status_code, code(answer)) == (status, expected)


async def test_second_factor(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    secret = pyotp.random_base32()
    users = await tabulary.service("directus_users")
    await users.create_one({**ADA, "email": "bob@example.org", "tfa_secret": secret})
    for otp in ({}, {"otp": "000000"}):
        answer = await client.post("/auth/login", json={**ADA, "email": "bob@example.org", **otp})
        assert (answer.status_code, code(answer)) == (401, "INVALID_OTP")
    assert (await login(client, email="bob@example.org", otp=pyotp.TOTP(secret).now()))["access_token"]


async def test_too_many_attempts_suspend(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    await (await tabulary.service("directus_settings")).upsert_singleton({"auth_login_attempts": 2})
    for _ in range(3):
        assert code(await client.post("/auth/login", json={**ADA, "password": "wrong"})) == "INVALID_CREDENTIALS"
    assert code(await client.post("/auth/login", json=ADA)) == "INVALID_CREDENTIALS"
    users = await tabulary.service("directus_users")
    assert (await users.get_user_by_email(ADA["email"]))["status"] == "suspended"
    assert code(await me(client, "ada-token")) == "INVALID_CREDENTIALS"


async def test_one_place_for_a_token(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/users/me?fields=id&access_token=ada-token")).status_code == 200
    twice = await client.get("/users/me?access_token=ada-token", headers={"Authorization": "Bearer ada-token"})
    assert (twice.status_code, code(twice)) == (400, "INVALID_PAYLOAD")
    for ignored in ("Basic ada-token", "Bearer", "Bearer a b"):
        assert code(await client.get("/users/me", headers={"Authorization": ignored})) == "INVALID_CREDENTIALS"
        assert (await client.get("/server/info", headers={"Authorization": ignored})).status_code == 200
    assert (await client.get("/users/me?fields=id", headers={"Authorization": "bEARER ada-token"})).status_code == 200


@pytest.mark.parametrize(
    ("settings", "headers", "expected"),
    [
        ({}, {}, "10.0.0.9"),
        ({}, {"x-forwarded-for": "1.1.1.1, 2.2.2.2"}, "1.1.1.1"),
        ({}, {"x-forwarded-for": "unknown, ::ffff:2.2.2.2"}, "2.2.2.2"),
        ({"IP_TRUST_PROXY": False}, {"x-forwarded-for": "1.1.1.1"}, "10.0.0.9"),
        ({"IP_TRUST_PROXY": 1}, {"x-forwarded-for": "1.1.1.1, 2.2.2.2"}, "2.2.2.2"),
        ({"IP_TRUST_PROXY": "10.0.0.0/8"}, {"x-forwarded-for": "1.1.1.1, 10.3.3.3"}, "1.1.1.1"),
        ({"IP_TRUST_PROXY": "uniquelocal"}, {"x-forwarded-for": "1.1.1.1, 2.2.2.2"}, "2.2.2.2"),
        ({"IP_TRUST_PROXY": "loopback"}, {"x-forwarded-for": "1.1.1.1"}, "10.0.0.9"),
        ({"IP_CUSTOM_HEADER": "X-Real-IP"}, {"x-real-ip": "3.3.3.3", "x-forwarded-for": "1.1.1.1"}, "3.3.3.3"),
        ({"IP_CUSTOM_HEADER": "X-Real-IP"}, {"x-real-ip": "nonsense"}, "10.0.0.9"),
    ],
)
async def test_client_address(settings: dict[str, Any], headers: dict[str, str], expected: str) -> None:
    assert ClientAddresses(Settings.of(**settings)).of({"client": ("10.0.0.9", 1)}, headers) == expected
    assert ClientAddresses(Settings.of()).of({"client": None}, {}) is None
