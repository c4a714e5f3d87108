"""New passwords by mail: once, for who owns the mailbox, and without telling who has an account."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.access.links import fingerprint
from tabulary.core.tokens import sign

from .conftest import SECRET, Mailbox, bearer, code, stalls

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True),
]

ADA = "ada@example.org"


async def request(client: httpx2.AsyncClient, email: str = ADA, **more: Any) -> httpx2.Response:
    return await client.post("/auth/password/request", json={"email": email, **more})


async def reset(client: httpx2.AsyncClient, token: str, password: str = "new") -> httpx2.Response:
    return await client.post("/auth/password/reset", json={"token": token, "password": password})


async def token_from(mailbox: Mailbox, number: int = 1) -> str:
    return parse_qs(urlsplit(await mailbox.link(ADA, number)).query)["token"][0]


async def logs_in(client: httpx2.AsyncClient, password: str) -> bool:
    return (await client.post("/auth/login", json={"email": ADA, "password": password})).status_code == 200


async def test_a_link_works_once_and_ends_sessions(client: httpx2.AsyncClient, mailbox: Mailbox, person: Any) -> None:
    await person("ada")
    login = await client.post("/auth/login", json={"email": ADA, "password": "secret"})
    assert (await request(client, ADA.upper())).status_code == 204
    token = await token_from(mailbox)
    assert (await reset(client, token)).status_code == 204
    assert await logs_in(client, "new")
    assert code(await reset(client, token, "again")) == "FORBIDDEN"
    refreshed = await client.post("/auth/refresh", json={"refresh_token": login.json()["data"]["refresh_token"]})
    assert code(refreshed) == "INVALID_CREDENTIALS"


async def test_a_link_dies_with_the_password(
    client: httpx2.AsyncClient, mailbox: Mailbox, person: Any, tabulary: Tabulary
) -> None:
    key = await person("ada")
    await request(client)
    token = await token_from(mailbox)
    await tabulary.users().update_one(key, {"password": "changed"})
    assert code(await reset(client, token)) == "FORBIDDEN"
    assert await logs_in(client, "changed")


async def test_a_link_is_of_one_account(
    client: httpx2.AsyncClient, mailbox: Mailbox, person: Any, tabulary: Tabulary
) -> None:
    key = await person("ada", password=None)
    await request(client)
    token = await token_from(mailbox)
    await tabulary.users().delete_one(key)
    await person("ada", password=None, token="other")
    assert code(await reset(client, token)) == "FORBIDDEN"
    reference = sign({"email": ADA, "scope": "password-reset", "hash": fingerprint(None)}, SECRET)
    assert (await reset(client, reference)).status_code == 204


async def test_the_policy_holds_and_the_link_survives_it(
    client: httpx2.AsyncClient, mailbox: Mailbox, person: Any, tabulary: Tabulary
) -> None:
    await person("ada")
    await request(client)
    token = await token_from(mailbox)
    await tabulary.items("directus_settings").upsert_singleton({"auth_password_policy": "/^.{8,}$/"})
    assert code(await reset(client, token, "short")) == "FAILED_VALIDATION"
    assert await logs_in(client, "secret")
    assert code(await reset(client, token, "")) == "INVALID_PAYLOAD"
    assert (await reset(client, token, "long-enough")).status_code == 204


async def test_the_trace_names_nobody(
    client: httpx2.AsyncClient, mailbox: Mailbox, person: Any, tabulary: Tabulary
) -> None:
    key = await person("ada")
    await request(client)
    await reset(client, await token_from(mailbox))
    query = {"filter": {"item": {"_eq": key}, "action": {"_eq": "update"}}, "fields": ["user"]}
    assert await tabulary.items("directus_activity").read_by_query(query) == [{"user": None}]


async def test_requests_tell_nothing(
    client: httpx2.AsyncClient, mailbox: Mailbox, person: Any, tabulary: Tabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = stalls(monkeypatch)
    await person("ada")
    await person("gone", status="suspended")
    await person("sso", provider="google")
    for email in (ADA, "gone@example.org", "sso@example.org", "nobody@example.org", "not an address"):
        answer = await request(client, email)
        assert (answer.status_code, answer.content) == (204, b"")
        assert set(stalled) == {500}
        stalled.clear()
    bad = [await request(client, email, reset_url="http://evil.example/") for email in (ADA, "nobody@example.org")]
    assert [code(answer) for answer in bad] == ["INVALID_PAYLOAD"] * 2
    assert bad[0].json() == bad[1].json()
    await tabulary.platform.mail.drain()
    assert len(mailbox.to(ADA)) == 1
    assert not mailbox.to("gone@example.org") + mailbox.to("sso@example.org")


async def test_nobodys_mailbox_is_flooded(
    client: httpx2.AsyncClient, mailbox: Mailbox, person: Any, tabulary: Tabulary
) -> None:
    await person("ada")
    answers = await asyncio.gather(*(request(client) for _ in range(9)))
    assert {answer.status_code for answer in answers} == {204}
    await tabulary.platform.mail.drain()
    assert len(mailbox.to(ADA)) == 5


async def test_the_link_may_lead_elsewhere(client: httpx2.AsyncClient, mailbox: Mailbox, person: Any) -> None:
    await person("ada")
    assert (await request(client, reset_url="http://app.example.com/reset?lang=de")).status_code == 204
    assert (await mailbox.link(ADA)).startswith("http://app.example.com/reset?lang=de&token=")


async def test_who_asks_does_not_matter(client: httpx2.AsyncClient, mailbox: Mailbox, person: Any) -> None:
    await person("ada")
    await person("bob")
    await request(client)
    body = {"token": await token_from(mailbox), "password": "new"}
    assert (await client.post("/auth/password/reset", json=body, headers=bearer("bob"))).status_code == 204
    assert await logs_in(client, "new")
