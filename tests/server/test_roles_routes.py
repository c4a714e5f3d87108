"""``/roles`` and ``/policies``: the tree, what goes with a role, and what callers learn of themselves."""

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
async def client(installed_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with Tabulary(installed_url, **SETTINGS) as tabulary, client_of(tabulary.asgi) as client:
        yield client


async def create(client: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(f"{path}?fields=id", json=body, headers=ADMIN)
    return answer.json()["data"]["id"]


async def test_a_role_is_never_its_own_ancestor(client: httpx2.AsyncClient) -> None:
    top = await create(client, "/roles", name="top")
    middle = await create(client, "/roles", name="middle", parent=top)
    low = await create(client, "/roles", name="low", parent=middle)
    for key, parent in ((top, top), (top, low), (middle, low)):
        assert code(await client.patch(f"/roles/{key}", json={"parent": parent}, headers=ADMIN)) == "INVALID_PAYLOAD"
    moved = await client.patch(f"/roles/{low}?fields=parent", json={"parent": top}, headers=ADMIN)
    assert moved.json() == {"data": {"parent": top}}


async def test_deleting_a_role_frees_what_hangs_on_it(client: httpx2.AsyncClient) -> None:
    role = await create(client, "/roles", name="role")
    child = await create(client, "/roles", name="child", parent=role)
    policy = await create(client, "/policies", name="policy")
    await create(client, "/access", role=role, policy=policy)
    user = await create(client, "/users", email="ada@example.org", role=role, token="ada-token")
    assert (await client.delete(f"/roles/{role}", headers=ADMIN)).status_code == 204
    left = await client.get(f"/users/{user}?fields=role,status", headers=ADMIN)
    assert left.json() == {"data": {"role": None, "status": "suspended"}}
    assert (await client.get(f"/roles/{child}?fields=parent", headers=ADMIN)).json() == {"data": {"parent": None}}
    grants = await client.get(f"/access?filter[policy][_eq]={policy}", headers=ADMIN)
    assert grants.json() == {"data": []}
    assert code(await client.get("/users/me", headers=ADA)) == "INVALID_CREDENTIALS"


async def test_my_roles(client: httpx2.AsyncClient) -> None:
    top = await create(client, "/roles", name="top")
    role = await create(client, "/roles", name="role", parent=top)
    await create(client, "/users", email="ada@example.org", role=role, token="ada-token")
    assert (await client.get("/roles/me?limit=1", headers=ADA)).json() == {"data": [{"id": top}, {"id": role}]}
    assert code(await client.get("/roles/me")) == "FORBIDDEN"
    mine = await client.get("/roles/me?fields=name", headers=ADMIN)
    assert mine.json() == {"data": [{"name": "Administrator"}]}


async def test_globals(client: httpx2.AsyncClient) -> None:
    path = "/policies/me/globals"
    await create(client, "/users", email="ada@example.org", token="ada-token")
    assert (await client.get(path)).json() == {"data": {"app_access": False}}
    nothing = {"app_access": False, "admin_access": False, "enforce_tfa": False}
    assert (await client.get(path, headers=ADA)).json() == {"data": nothing}
    body = {"name": "p", "app_access": True, "enforce_tfa": True, "users": [{"user": {"id": await own_id(client)}}]}
    await client.post("/policies", json=body, headers=ADMIN)
    more = {"app_access": True, "admin_access": False, "enforce_tfa": True}
    assert (await client.get(path, headers=ADA)).json() == {"data": more}


async def own_id(client: httpx2.AsyncClient) -> str:
    return str((await client.get("/users/me", headers=ADA)).json()["data"]["id"])


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        (["10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "::1"], 200),
        ([], 200),
        (None, 200),
        ("", 200),
        (["fe80::1%0"], 400),
        ([5], 400),
        ([None], 400),
        ("10.0.0.1", 400),
        (["x"], 400),
    ],
)
async def test_ip_rules_are_checked(client: httpx2.AsyncClient, rules: Any, status: int) -> None:
    answer = await client.post("/policies?fields=ip_access", json={"name": "p", "ip_access": rules}, headers=ADMIN)
    assert answer.status_code == status
    public = await client.post("/policies", json={"name": "p", "ip_access": rules})
    assert code(public) == "FORBIDDEN"
