"""Who is logged in where, and that what is revoked is gone with the next request."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from .conftest import ADMIN, bearer, code

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True),
]

OWN = {"collection": "directus_users", "action": "read", "permissions": {"id": {"_eq": "$CURRENT_USER"}}}


async def login(client: httpx2.AsyncClient, name: str, mode: str = "json", agent: str = "test") -> Any:
    body = {"email": f"{name}@example.org", "password": "secret", "mode": mode}
    answer = await client.post("/auth/login", json=body, headers={"User-Agent": agent})
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    cookie = answer.headers.get("set-cookie", "")
    return answer.json()["data"] | {"cookie": cookie.partition(";")[0]}


async def me(client: httpx2.AsyncClient, **headers: str) -> int:
    answer = await client.get("/users/me?fields=id", headers=headers)
    client.cookies.clear()
    return answer.status_code


async def test_sessions_are_listed_and_ended_by_their_owner(client: httpx2.AsyncClient, person: Any) -> None:
    await person("ada", OWN)
    await person("bob", OWN)
    browser = (await login(client, "ada", "session", "browser"))["cookie"]
    phone = await login(client, "ada", agent="phone")
    await login(client, "bob")
    listed = (await client.get("/sessions", headers={"Cookie": browser})).json()["data"]
    assert {(s["user_agent"], s["current"]) for s in listed} == {("browser", True), ("phone", False)}
    assert phone["refresh_token"] not in str(listed)
    other = next(s["id"] for s in listed if not s["current"])
    assert code(await client.delete(f"/sessions/{other}", headers=bearer("bob"))) == "FORBIDDEN"
    assert (await client.delete(f"/sessions/{other}", headers={"Cookie": browser})).status_code == 204
    assert (
        code(await client.post("/auth/refresh", json={"refresh_token": phone["refresh_token"]}))
        == "INVALID_CREDENTIALS"
    )
    assert await me(client, Cookie=browser) == 200
    await login(client, "ada")
    assert (await client.delete("/sessions", headers={"Cookie": browser})).status_code == 204
    assert len((await client.get("/sessions", headers={"Cookie": browser})).json()["data"]) == 1
    assert len((await client.get("/sessions", headers=bearer("bob"))).json()["data"]) == 1


async def test_admins_end_the_sessions_of_others(client: httpx2.AsyncClient, person: Any) -> None:
    ada = await person("ada", OWN)
    browser = (await login(client, "ada", "session"))["cookie"]
    assert await me(client, Cookie=browser) == 200
    assert code(await client.get("/sessions")) == "INVALID_CREDENTIALS"
    await person("bob", OWN)
    assert code(await client.get(f"/sessions?user={ada}", headers=bearer("bob"))) == "FORBIDDEN"
    assert code(await client.delete(f"/sessions?user={ada}", headers=bearer("bob"))) == "FORBIDDEN"
    (session,) = (await client.get(f"/sessions?user={ada}", headers=ADMIN)).json()["data"]
    assert (await client.delete(f"/sessions/{session['id']}", headers=ADMIN)).status_code == 204
    assert await me(client, Cookie=browser) == 401
    browser = (await login(client, "ada", "session"))["cookie"]
    assert (await client.delete(f"/sessions?user={ada}", headers=ADMIN)).status_code == 204
    assert await me(client, Cookie=browser) == 401


@pytest.mark.parametrize("change", [{"status": "suspended"}, {"status": "archived"}, None])
async def test_who_is_locked_out_is_out_at_once(
    client: httpx2.AsyncClient, person: Any, tabulary: Tabulary, change: dict[str, str] | None
) -> None:
    ada = await person("ada", OWN)
    access = {"Authorization": f"Bearer {(await login(client, 'ada'))['access_token']}"}
    cookie = (await login(client, "ada", "session"))["cookie"]
    for headers in (access, {"Cookie": cookie}, bearer("ada")):
        assert await me(client, **headers) == 200
    if change is None:
        await tabulary.users().delete_one(ada)
    else:
        await tabulary.users().update_one(ada, change)
    for headers in (access, {"Cookie": cookie}, bearer("ada")):
        assert await me(client, **headers) == 401


async def test_what_is_no_longer_permitted_is_refused_at_once(
    client: httpx2.AsyncClient, person: Any, tabulary: Tabulary
) -> None:
    await person("ada", {"collection": "directus_roles", "action": "read"})
    access = {"Authorization": f"Bearer {(await login(client, 'ada'))['access_token']}"}
    assert (await client.get("/roles", headers=access)).status_code == 200
    permissions = tabulary.items("directus_permissions")
    rows = await permissions.read_by_query({"filter": {"collection": {"_eq": "directus_roles"}}, "fields": ["id"]})
    await permissions.delete_many([row["id"] for row in rows if row.get("id")])
    assert code(await client.get("/roles", headers=access)) == "FORBIDDEN"


async def test_a_new_password_ends_other_sessions(client: httpx2.AsyncClient, person: Any) -> None:
    update = {"collection": "directus_users", "action": "update", "permissions": {"id": {"_eq": "$CURRENT_USER"}}}
    await person("ada", OWN, update)
    here = (await login(client, "ada", "session"))["cookie"]
    there = (await login(client, "ada", "session"))["cookie"]
    assert await me(client, Cookie=there) == 200
    changed = await client.patch("/users/me?fields=id", json={"password": "new"}, headers={"Cookie": here})
    assert changed.status_code == 200
    assert await me(client, Cookie=here) == 200
    assert await me(client, Cookie=there) == 401


async def test_default_login_can_be_switched_off(installed_url: str) -> None:
    async with Tabulary(installed_url, SECRET="x" * 32, AUTH_DISABLE_DEFAULT=True) as tabulary:
        transport = httpx2.ASGITransport(app=tabulary.asgi)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            body = {"email": "admin@example.com", "password": "password"}
            assert code(await client.post("/auth/login", json=body)) == "ROUTE_NOT_FOUND"
            assert (await client.get("/auth")).json() == {"data": [], "disableDefault": True}
