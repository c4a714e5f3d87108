"""``/permissions``: rows with those of app access, and what callers may do."""

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
NONE = {"access": "none"}


@pytest.fixture
async def client(installed_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with Tabulary(installed_url, **SETTINGS) as tabulary, client_of(tabulary.asgi) as client:
        yield client


@pytest.fixture
async def policy(client: httpx2.AsyncClient) -> str:
    """A policy of Ada's own, without permissions."""
    body = {"name": "p", "users": [{"user": {"email": "ada@example.org", "token": "ada-token"}}]}
    return str((await client.post("/policies?fields=id", json=body, headers=ADMIN)).json()["data"]["id"])


async def grant(client: httpx2.AsyncClient, policy: str, collection: str, action: str, **more: Any) -> int:
    body = {"policy": policy, "collection": collection, "action": action, "fields": ["*"], **more}
    return int((await client.post("/permissions?fields=id", json=body, headers=ADMIN)).json()["data"]["id"])


async def test_grants_take_effect_and_end_at_once(client: httpx2.AsyncClient, policy: str) -> None:
    assert code(await client.get("/folders", headers=ADA)) == "FORBIDDEN"
    row = await grant(client, policy, "directus_folders", "read")
    assert (await client.get("/folders", headers=ADA)).json() == {"data": []}
    await client.patch(f"/permissions/{row}", json={"fields": ["name"]}, headers=ADMIN)
    assert code(await client.get("/folders?fields=id", headers=ADA)) == "FORBIDDEN"
    await client.delete(f"/permissions/{row}", headers=ADMIN)
    assert code(await client.get("/folders?fields=name", headers=ADA)) == "FORBIDDEN"


async def test_the_list_is_complete_and_shows_app_access(client: httpx2.AsyncClient, policy: str) -> None:
    await grant(client, policy, "directus_folders", "read")
    await grant(client, policy, "directus_folders", "create")
    of_policy = await client.get(f"/permissions?fields=action&limit=1&sort=id&filter[policy]={policy}", headers=ADMIN)
    assert of_policy.json() == {"data": [{"action": "read"}, {"action": "create"}]}
    rows = (await client.get("/permissions", headers=ADMIN)).json()["data"]
    implicit = [row for row in rows if row.get("system")]
    assert {"directus_collections", "directus_users", "directus_presets"} <= {row["collection"] for row in implicit}
    assert all("id" not in row for row in implicit)
    created = await client.post("/permissions?fields=action", json=[], headers=ADMIN)
    assert created.status_code == 200


async def test_my_permissions(client: httpx2.AsyncClient, policy: str) -> None:
    assert code(await client.get("/permissions/me")) == "FORBIDDEN"
    assert (await client.get("/permissions/me", headers=ADA)).json() == {"data": {}}
    await grant(client, policy, "directus_folders", "read", permissions={"name": {"_eq": "x"}}, fields=["id", "name"])
    await grant(client, policy, "directus_folders", "create", presets={"name": "$CURRENT_USER"})
    mine = (await client.get("/permissions/me", headers=ADA)).json()["data"]
    ada = (await client.get("/users/me", headers=ADA)).json()["data"]["id"]
    assert mine == {
        "directus_folders": {
            "read": {"access": "partial", "fields": ["id", "name"]},
            "create": {"access": "full", "fields": ["*"], "presets": {"name": ada}},
            "update": NONE,
            "delete": NONE,
            "share": NONE,
        }
    }
    everything = (await client.get("/permissions/me", headers=ADMIN)).json()["data"]
    assert everything["directus_users"]["delete"] == {"access": "full", "fields": ["*"]}


async def test_of_one_item(client: httpx2.AsyncClient, policy: str) -> None:
    await grant(client, policy, "directus_folders", "update", permissions={"name": {"_eq": "mine"}})
    keys = {}
    for name in ("mine", "other"):
        answer = await client.post("/folders?fields=id", json={"name": name}, headers=ADMIN)
        keys[name] = answer.json()["data"]["id"]

    async def updatable(path: str, headers: dict[str, str] = ADA) -> bool:
        answer = await client.get(f"/permissions/me/{path}", headers=headers)
        return bool(answer.json()["data"]["update"]["access"])

    assert await updatable("directus_folders")
    assert await updatable(f"directus_folders/{keys['mine']}")
    assert not await updatable(f"directus_folders/{keys['other']}")
    assert not await updatable("directus_folders/f1f1f1f1-dead-4000-8000-000000000000")
    assert not await updatable("directus_folders/no-key")
    assert not await updatable("nowhere")
    assert await updatable("nowhere", ADMIN)
    assert code(await client.get("/permissions/me/directus_folders")) == "FORBIDDEN"
