"""Shares: one item for whoever has the link, within the rights of who made it and no longer than these last."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from .conftest import ADMIN, Mailbox, bearer, code

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")]
on_sqlite = pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)

BOOKS = "books"
READ = {"collection": BOOKS, "action": "read", "fields": ["id", "name"]}
SHARE = {"collection": BOOKS, "action": "share", "permissions": {"name": {"_starts_with": "open"}}}
SHARES = [
    {"collection": "directus_shares", "action": action, "permissions": {"user_created": {"_eq": "$CURRENT_USER"}}}
    for action in ("create", "read", "update")
]
UNKNOWN = "f1f1f1f1-dead-4000-8000-000000000000"


@pytest.fixture
async def books(client: httpx2.AsyncClient, tabulary: Tabulary) -> dict[str, str]:
    """Books by name."""
    key = {"field": "id", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {"is_primary_key": True}}
    fields = [key, {"field": "name", "type": "string", "schema": {}}]
    body = {"collection": BOOKS, "meta": {}, "schema": {}, "fields": fields}
    made = await client.post("/collections", json=body, headers=ADMIN)
    assert made.status_code == 200, made.text
    names = ["open", "open too", "closed"]
    keys = await tabulary.items(BOOKS).create_many([{"name": name} for name in names])
    return dict(zip(names, keys, strict=True))


@pytest.fixture
async def ada(books: dict[str, str], person: Any) -> str:
    """Reads books and shares the open ones."""
    return str(await person("ada", READ, SHARE, *SHARES))


@pytest.fixture
async def reader(books: dict[str, str], tabulary: Tabulary) -> str:
    """A role that reads books."""
    policy = {"name": "reader", "permissions": [READ]}
    return str(await tabulary.items("directus_roles").create_one({"name": "r", "policies": [{"policy": policy}]}))


async def share(client: httpx2.AsyncClient, item: str, headers: dict[str, str] = ADMIN, **more: Any) -> httpx2.Response:
    body = {"collection": BOOKS, "item": item, **more}
    return await client.post("/shares?fields=id,user_created,times_used", json=body, headers=headers)


async def visit(client: httpx2.AsyncClient, key: str, **more: Any) -> httpx2.Response:
    answer = await client.post("/shares/auth", json={"share": key, **more})
    client.cookies.clear()
    return answer


async def seen(client: httpx2.AsyncClient, token: str) -> Any:
    answer = await client.get("/items/books", headers={"Authorization": f"Bearer {token}"})
    return answer.json().get("data") if answer.status_code == 200 else code(answer)


async def test_a_visitor_sees_what_is_shared(
    client: httpx2.AsyncClient, books: dict[str, str], ada: str, reader: str
) -> None:
    made = (await share(client, books["open"], bearer("ada"), role=reader)).json()["data"]
    assert (made["user_created"], made["times_used"]) == (ada, 0)
    info = (await client.get(f"/shares/info/{made['id']}")).json()["data"]
    assert (info["collection"], info["item"], info["password"]) == (BOOKS, books["open"], None)
    tokens = (await visit(client, made["id"])).json()["data"]
    assert list(tokens) == ["expires", "refresh_token", "access_token"]
    assert await seen(client, tokens["access_token"]) == [{"id": books["open"], "name": "open"}]
    who = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.get("/users/me", headers=who)).json() == {"data": {"share": made["id"]}}
    for method, path in (("GET", "/users"), ("GET", "/settings"), ("GET", f"/items/books/{books['closed']}")):
        assert code(await client.request(method, path, headers=who)) == "FORBIDDEN", path
    assert code(await client.patch(f"/items/books/{books['open']}", json={"name": "x"}, headers=who)) == "FORBIDDEN"
    assert code(await share(client, books["open"], who)) == "FORBIDDEN"
    fresh = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert await seen(client, fresh.json()["data"]["access_token"]) == [{"id": books["open"], "name": "open"}]


@on_sqlite
async def test_only_what_one_may_share_is_shared(
    client: httpx2.AsyncClient, books: dict[str, str], ada: str, person: Any
) -> None:
    for item, headers in ((books["closed"], bearer("ada")), (UNKNOWN, bearer("ada")), (books["open"], {})):
        assert code(await share(client, item, headers)) == "FORBIDDEN"
    key = (await share(client, books["open"], bearer("ada"))).json()["data"]["id"]
    path = f"/shares/{key}"
    assert (await client.patch(path, json={"item": books["open too"]}, headers=bearer("ada"))).status_code == 200
    for change in ({"item": books["closed"]}, {"collection": "directus_users"}, {"collection": "nowhere"}):
        assert code(await client.patch(path, json=change, headers=bearer("ada"))) == "FORBIDDEN"
    admin = (await client.get("/users/me?fields=id", headers=ADMIN)).json()["data"]["id"]
    assert code(await client.patch(path, json={"user_created": admin}, headers=bearer("ada"))) == "INVALID_PAYLOAD"
    assert code(await client.patch(path, json={"collection": None}, headers=ADMIN)) == "FAILED_VALIDATION"
    assert code(await client.patch(path, json={"collection": "nowhere"}, headers=ADMIN)) == "INVALID_FOREIGN_KEY"
    assert code(await client.get("/shares/nonsense", headers=ADMIN)) == "ROUTE_NOT_FOUND"


@on_sqlite
@pytest.mark.parametrize("change", ["right", "status", "share", "deleted"])
async def test_what_is_taken_back_is_gone_at_once(
    client: httpx2.AsyncClient, tabulary: Tabulary, books: dict[str, str], ada: str, reader: str, change: str
) -> None:
    key = (await share(client, books["open"], bearer("ada"), role=reader)).json()["data"]["id"]
    tokens = (await visit(client, key)).json()["data"]
    assert len(await seen(client, tokens["access_token"])) == 1
    if change == "right":
        mine = {"policy": {"name": {"_eq": "ada"}}, "action": {"_eq": "read"}, "collection": {"_eq": BOOKS}}
        await tabulary.items("directus_permissions").delete_by_query({"filter": mine})
    elif change == "status":
        await tabulary.users().update_one(ada, {"status": "suspended"})
    elif change == "share":
        await tabulary.items("directus_shares").delete_one(key)
    else:
        await tabulary.users().delete_one(ada)
    assert await seen(client, tokens["access_token"]) == "FORBIDDEN"


@on_sqlite
async def test_passwords_times_and_uses(client: httpx2.AsyncClient, books: dict[str, str], reader: str) -> None:
    async def made(**more: Any) -> str:
        return str((await share(client, books["open"], role=reader, **more)).json()["data"]["id"])

    locked = await made(password="secret")
    for more in ({}, {"password": "wrong"}, {"password": ""}):
        assert code(await visit(client, locked, **more)) == "INVALID_CREDENTIALS"
    assert (await visit(client, locked, password="secret")).status_code == 200
    assert (await client.get(f"/shares/info/{locked}")).json()["data"]["password"] == "*" * 10
    for more in ({"date_start": "2990-01-01T00:00:00Z"}, {"date_end": "2000-01-01T00:00:00Z"}):
        closed = await made(**more)
        assert code(await visit(client, closed)) == "INVALID_CREDENTIALS"
        assert code(await client.get(f"/shares/info/{closed}")) == "FORBIDDEN"
    for body, expected in (
        ({"share": UNKNOWN}, 401),
        ({"share": "x"}, 401),
        ({}, 400),
        ({"share": locked, "mode": "x"}, 400),
    ):
        assert (await client.post("/shares/auth", json=body)).status_code == expected
    session = await visit(client, await made(), mode="session")
    assert list(session.json()["data"]) == ["expires"]
    cookie = session.headers["set-cookie"].partition(";")[0]
    assert (await client.get("/items/books", headers={"Cookie": cookie})).status_code == 200


async def test_uses_are_counted_also_in_a_race(client: httpx2.AsyncClient, books: dict[str, str], reader: str) -> None:
    """As in the reference, ``max_uses`` lets one more in."""
    key = (await share(client, books["open"], role=reader, max_uses=2)).json()["data"]["id"]
    answers = await asyncio.gather(*(visit(client, key) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [401] * 5
    shown = await client.get(f"/shares/{key}?fields=times_used", headers=ADMIN)
    assert shown.json() == {"data": {"times_used": 3}}


@on_sqlite
async def test_tokens_end_with_the_share(client: httpx2.AsyncClient, books: dict[str, str], reader: str) -> None:
    key = (await share(client, books["open"], role=reader)).json()["data"]["id"]
    refresh = {"refresh_token": (await visit(client, key)).json()["data"]["refresh_token"]}
    assert (await client.patch(f"/shares/{key}", json={"password": "new"}, headers=ADMIN)).status_code == 200
    assert code(await client.post("/auth/refresh", json=refresh)) == "INVALID_CREDENTIALS"


@on_sqlite
async def test_a_share_is_mailed(
    client: httpx2.AsyncClient, tabulary: Tabulary, mailbox: Mailbox, books: dict[str, str], ada: str, person: Any
) -> None:
    key = (await share(client, books["open"], bearer("ada"))).json()["data"]["id"]
    await person("bob")
    body = {"share": key, "emails": ["one@example.org", "two@example.org"]}
    for headers in ({}, bearer("bob")):
        assert code(await client.post("/shares/invite", json=body, headers=headers)) == "FORBIDDEN"
    for wrong in ("x", ["x"], ["one@example.org", 5]):
        answer = await client.post("/shares/invite", json=body | {"emails": wrong}, headers=bearer("ada"))
        assert code(answer) == "INVALID_PAYLOAD"
    assert (await client.post("/shares/invite", json=body, headers=bearer("ada"))).status_code == 204
    await tabulary.platform.mail.drain()
    for address in body["emails"]:
        (text,) = mailbox.to(address)
        assert f"http://cms.example.com/admin/shared/{key}" in text
