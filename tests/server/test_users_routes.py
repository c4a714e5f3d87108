"""``/users``: accounts, the own account, and the rules that protect the last admin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from .test_app import SETTINGS, client_of, code

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}
ADA = {"Authorization": "Bearer ada-token"}


@pytest.fixture
async def tabulary(installed_url: str) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url, **SETTINGS) as tabulary:
        yield tabulary


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(tabulary.asgi) as client:
        yield client


@pytest.fixture
async def ada(client: httpx2.AsyncClient) -> str:
    """A user who may read the own id and update the own title."""
    policy = (await client.post("/policies", json={"name": "own account"}, headers=ADMIN)).json()["data"]["id"]
    own = {"policy": policy, "collection": "directus_users", "permissions": {"id": {"_eq": "$CURRENT_USER"}}}
    rows = [{**own, "action": "read", "fields": ["id", "title"]}, {**own, "action": "update", "fields": ["title"]}]
    await client.post("/permissions", json=rows, headers=ADMIN)
    body = {"email": "ada@example.org", "token": "ada-token", "policies": [{"policy": policy}]}
    answer = await client.post("/users?fields=id", json=body, headers=ADMIN)
    return str(answer.json()["data"]["id"])


async def test_secrets_are_masked(client: httpx2.AsyncClient) -> None:
    body = {"email": "b@example.org", "password": "secret", "token": "b-token", "tags": ["x"]}
    shown = (await client.post("/users?fields=email,password,token,tfa_secret,tags", json=body, headers=ADMIN)).json()
    masked = {"email": "b@example.org", "password": "*" * 10, "token": "*" * 10, "tfa_secret": None, "tags": ["x"]}
    assert shown == {"data": masked}
    answer = await client.get('/users?filter={"token":{"_eq":"b-token"}}', headers=ADMIN)
    assert code(answer) == "INVALID_QUERY"


async def test_me(client: httpx2.AsyncClient, ada: str) -> None:
    assert (await client.get("/users/me", headers=ADA)).json() == {"data": {"id": ada, "title": None}}
    changed = await client.patch("/users/me", json={"title": "Dr"}, headers=ADA)
    assert changed.json() == {"data": {"id": ada, "title": "Dr"}}
    assert code(await client.patch("/users/me", json={"email": "a@example.org"}, headers=ADA)) == "FORBIDDEN"
    unreadable = await client.get("/users/me?fields=email", headers=ADA)
    assert unreadable.json() == {"data": {"id": ada}}
    for answer in (await client.get("/users/me"), await client.patch("/users/me", json={})):
        assert code(answer) == "INVALID_CREDENTIALS"


async def test_track_page(client: httpx2.AsyncClient, ada: str) -> None:
    path = "/users/me/track/page"
    assert (await client.patch(path, json={"last_page": "/x", "title": "no"}, headers=ADA)).status_code == 204
    seen = await client.get(f"/users/{ada}?fields=last_page,title", headers=ADMIN)
    assert seen.json() == {"data": {"last_page": "/x", "title": None}}
    assert code(await client.patch(path, json={}, headers=ADA)) == "INVALID_PAYLOAD"
    assert code(await client.patch(path, json={"last_page": "/x"})) == "INVALID_CREDENTIALS"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"email": "nonsense"}, "FAILED_VALIDATION"),
        ({"email": "ADMIN@example.com"}, "RECORD_NOT_UNIQUE"),
        ([{"email": "x@example.org"}, {"email": "X@example.org"}], "RECORD_NOT_UNIQUE"),
        ({"email": "x@example.org", "password": "short"}, "FAILED_VALIDATION"),
        ({"role": "f1f1f1f1-dead-4000-8000-000000000000"}, "INVALID_FOREIGN_KEY"),
    ],
)
async def test_bad_users_are_told_only_to_those_who_may_create_them(
    client: httpx2.AsyncClient, ada: str, body: Any, expected: str
) -> None:
    await client.patch("/settings", json={"auth_password_policy": "/^.{8,}$/"}, headers=ADMIN)
    assert code(await client.post("/users", json=body, headers=ADMIN)) == expected
    assert code(await client.post("/users", json=body, headers=ADA)) == "FORBIDDEN"
    assert code(await client.post("/users", json=body)) == "FORBIDDEN"
    count = await client.get("/users?aggregate[count]=*", headers=ADMIN)
    assert int(count.json()["data"][0]["count"]) == 2
    assert (await client.get("/users?aggregate[countAll]=*", headers=ADMIN)).json() == {"data": [{}]}


async def test_protected_fields(client: httpx2.AsyncClient, ada: str) -> None:
    assert code(await client.patch(f"/users/{ada}", json={"tfa_secret": None}, headers=ADMIN)) == "INVALID_PAYLOAD"
    changed = await client.patch(
        f"/users/{ada}?fields=provider,auth_data", json={"provider": "x", "auth_data": {"a": 1}}, headers=ADMIN
    )
    assert changed.json() == {"data": {"provider": "x", "auth_data": None}}


async def test_the_last_admin_stays(client: httpx2.AsyncClient) -> None:
    me = (await client.get("/users/me?fields=id,role", headers=ADMIN)).json()["data"]
    grant = (await client.get("/access?fields=id,policy&filter[role][_nnull]=true", headers=ADMIN)).json()["data"][0]
    attempts = [
        client.delete(f"/users/{me['id']}", headers=ADMIN),
        client.patch(f"/users/{me['id']}", json={"status": "draft"}, headers=ADMIN),
        client.patch("/users", json=[{"id": me["id"], "role": None}], headers=ADMIN),
        client.delete(f"/roles/{me['role']}", headers=ADMIN),
        client.patch(f"/roles/{me['role']}", json={"policies": []}, headers=ADMIN),
        client.patch(f"/roles/{me['role']}", json={"users": {"delete": [me["id"]]}}, headers=ADMIN),
        client.delete(f"/policies/{grant['policy']}", headers=ADMIN),
        client.patch(f"/policies/{grant['policy']}", json={"admin_access": False}, headers=ADMIN),
        client.delete(f"/access/{grant['id']}", headers=ADMIN),
    ]
    for attempt in attempts:
        answer = await attempt
        assert (answer.status_code, code(answer)) == (422, "UNPROCESSABLE_CONTENT"), answer.request.url
    second = {"email": "b@example.org", "role": me["role"], "token": "b-token", "status": "draft"}
    key = (await client.post("/users?fields=id", json=second, headers=ADMIN)).json()["data"]["id"]
    swap = [{"id": me["id"], "status": "draft"}, {"id": key, "status": "active"}]
    assert (await client.patch("/users", json=swap, headers=ADMIN)).status_code == 200  # one check, at the end
    other = {"Authorization": "Bearer b-token"}
    back = await client.patch("/users", json=[{"id": me["id"], "status": "active"}], headers=other)
    assert back.status_code == 200
    assert (await client.delete(f"/users/{me['id']}", headers=ADMIN)).status_code == 204
    assert code(await client.get("/users/me", headers=ADMIN)) == "INVALID_CREDENTIALS"
