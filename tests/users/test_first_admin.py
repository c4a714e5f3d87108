"""The first administrator: only with a link's token, and only once (on every database)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.services import first_admin

from .conftest import SETTINGS

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")]

OWNER = {"project_owner": "ada@example.org", "password": "correct horse", "first_name": "Ada"}
TABLES = ("directus_access", "directus_users", "directus_roles", "directus_policies")


@pytest.fixture
async def empty(tabulary: Tabulary) -> Tabulary:
    """A database without users, roles and policies."""
    async with tabulary.platform.database.transaction() as connection:
        for table in TABLES:
            await connection.execute(f"DELETE FROM {table}")
    await tabulary.platform.database.outdate(["access", "identities"])
    return tabulary


@pytest.fixture
async def second(empty: Tabulary, installed_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Another process on the same database, as far as one test can have it: nothing is shared."""
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(Tabulary(installed_url, **SETTINGS))
        transport = httpx2.ASGITransport(app=other.asgi)
        yield await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://test"))


async def token_of(tabulary: Tabulary) -> str:
    link = await tabulary.setup_link()
    assert link is not None
    parts = urlsplit(link)
    assert link.startswith("http://cms.example.com/admin/setup?token=")
    return parse_qs(parts.query)["token"][0]


async def post(client: httpx2.AsyncClient, **body: Any) -> tuple[int, str | None]:
    answer = await client.post("/server/setup", json={**OWNER, **body})
    return answer.status_code, None if answer.status_code == 204 else answer.json()["errors"][0]["extensions"]["code"]


async def kept(tabulary: Tabulary) -> list[tuple[str, str]]:
    async with tabulary.platform.database.connection() as connection:
        rows = await connection.fetch_rows("SELECT topic, version FROM tabulary_state WHERE topic = 'setup'")
    return [(topic, version) for topic, version in rows]


async def test_the_token_makes_one_administrator(empty: Tabulary, client: httpx2.AsyncClient) -> None:
    token = await token_of(empty)
    assert (await client.get("/server/info")).json()["data"]["setupCompleted"] is False
    for wrong in ({}, {"token": ""}, {"token": None}, {"token": 1}, {"token": [token]}, {"token": token + "x"}):
        assert await post(client, **wrong) == (403, "FORBIDDEN"), wrong
        # what else is wrong is not told either
        assert await post(client, **wrong, password="") == (403, "FORBIDDEN"), wrong
    assert (await client.get("/server/info")).json()["data"]["setupCompleted"] is False
    # mistakes do not use it up
    assert await post(client, token=token, password="") == (400, "INVALID_PAYLOAD")
    assert await post(client, token=token, project_owner="no address") == (400, "FAILED_VALIDATION")
    assert await empty.items("directus_roles").get_keys_by_query() == [], "nothing half done"
    assert await post(client, token=token, project_name="Library", language="de-DE") == (204, None)
    assert await post(client, token=token) == (403, "FORBIDDEN")
    assert await kept(empty) == []
    assert await empty.setup_link() is None
    info = (await client.get("/server/info")).json()["data"]
    assert info["setupCompleted"] is True
    assert (info["project"]["project_name"], info["project"]["default_language"]) == ("Library", "de-DE")
    login = await client.post("/auth/login", json={"email": "ada@example.org", "password": "correct horse"})
    bearer = {"Authorization": f"Bearer {login.json()['data']['access_token']}"}
    me = await client.get("/users/me?fields=first_name,language", headers=bearer)
    assert me.json() == {"data": {"first_name": "Ada", "language": "de-DE"}}
    rights = await client.get("/policies/me/globals", headers=bearer)
    assert rights.json()["data"]["admin_access"] is True


async def test_two_browsers_and_two_processes_make_one(
    empty: Tabulary, client: httpx2.AsyncClient, second: httpx2.AsyncClient
) -> None:
    token = await token_of(empty)
    people = [post(one, token=token, project_owner=f"u{n}@example.org") for n in range(4) for one in (client, second)]
    answers = await asyncio.gather(*people)
    assert sorted(answers, key=str) == sorted([(204, None), *[(403, "FORBIDDEN")] * 7], key=str)
    assert len(await empty.items("directus_users").get_keys_by_query()) == 1
    assert len(await empty.items("directus_roles").get_keys_by_query()) == 1


async def test_only_the_newest_link_works_and_all_processes_know_it(
    empty: Tabulary, client: httpx2.AsyncClient, second: httpx2.AsyncClient
) -> None:
    first = await token_of(empty)
    newest = await token_of(empty)
    assert await post(second, token=first) == (403, "FORBIDDEN")
    assert await post(second, token=newest) == (204, None)
    assert await post(client, token=newest) == (403, "FORBIDDEN")


async def test_it_ends_after_a_day(
    empty: Tabulary, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, now = await token_of(empty), time.time()
    monkeypatch.setattr(first_admin.time, "time", lambda: now + 24 * 60 * 60 + 1)
    assert await post(client, token=token) == (403, "FORBIDDEN")
    answer = await client.post("/server/setup", json={**OWNER, "token": token})
    assert "tabulary security setup-link" in answer.json()["errors"][0]["message"]
    monkeypatch.setattr(first_admin.time, "time", lambda: now + 24 * 60 * 60 - 60)
    assert await post(client, token=token) == (204, None)


async def test_an_administrator_of_any_kind_ends_it(empty: Tabulary, client: httpx2.AsyncClient) -> None:
    token = await token_of(empty)
    editor = await empty.users().create_one({"email": "ed@example.org"})
    assert await post(client, token=token, password="") == (400, "INVALID_PAYLOAD"), "editors are no administrators"
    policy = await empty.items("directus_policies").create_one({"name": "All", "admin_access": True})
    grant = await empty.items("directus_access").create_one({"user": editor, "policy": policy})
    assert await post(client, token=token) == (403, "FORBIDDEN")
    async with empty.platform.database.transaction() as connection:
        await connection.execute("UPDATE directus_users SET status = 'suspended'")
    assert await post(client, token=token) == (403, "FORBIDDEN"), "who is suspended may come back"
    assert await empty.setup_link() is None
    async with empty.platform.database.transaction() as connection:
        await connection.execute("DELETE FROM directus_access")
    assert grant and await post(client, token=token) == (403, "FORBIDDEN"), "it was ended when there was one"


async def test_a_role_that_is_there_is_used(empty: Tabulary, client: httpx2.AsyncClient) -> None:
    """As when the system tables were installed without an address for the administrator."""
    policy = await empty.items("directus_policies").create_one({"name": "All", "admin_access": True})
    role = await empty.items("directus_roles").create_one({"name": "Boss", "policies": [{"policy": policy}]})
    assert await post(client, token=await token_of(empty)) == (204, None)
    assert await empty.items("directus_roles").get_keys_by_query() == [role]
    user = (await empty.items("directus_users").read_by_query({"fields": ["role"]}))[0]
    assert user["role"] == role


async def test_the_token_is_neither_kept_nor_logged(
    empty: Tabulary, client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await token_of(empty)
    assert len(token) >= 43, "256 bits"
    ((_, row),) = await kept(empty)
    assert token not in row and token[:16] not in row and len(row) <= 32
    await client.get(f"/admin/setup?token={token}")
    refused = await client.post("/server/setup", json={**OWNER, "token": token, "project_owner": "no address"})
    assert token not in refused.text
    assert await post(client, token=token) == (204, None)
    ours = [record for record in caplog.records if record.name.startswith("tabulary")]
    told = [record.getMessage() + str(getattr(record, "request_fields", "")) for record in ours]
    assert told and not any(token in line for line in told)


async def test_the_password_policy_is_shown_and_holds(empty: Tabulary, client: httpx2.AsyncClient) -> None:
    token = await token_of(empty)
    assert (await client.get("/server/info")).json()["data"]["passwordPolicy"] is None
    await empty.items("directus_settings").upsert_singleton({"auth_password_policy": "/^.{8,}$/"})
    assert (await client.get("/server/info")).json()["data"]["passwordPolicy"] == "/^.{8,}$/"
    assert await post(client, token=token, password="short") == (400, "FAILED_VALIDATION")
    assert await post(client, token=token) == (204, None)
    assert "passwordPolicy" not in (await client.get("/server/info")).json()["data"]
