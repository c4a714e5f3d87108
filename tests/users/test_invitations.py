"""Invitations: who may send them, where their links lead, and that each works once."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.tokens import sign

from .conftest import ADMIN, SECRET, Mailbox, bearer, code

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True),
]

CREATE = {"collection": "directus_users", "action": "create"}
GUEST = "guest@example.org"


async def invite(
    client: httpx2.AsyncClient, role: str, headers: dict[str, str] = ADMIN, **more: Any
) -> httpx2.Response:
    return await client.post("/users/invite", json={"email": GUEST, "role": role, **more}, headers=headers)


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


async def accept(client: httpx2.AsyncClient, token: str, password: str = "welcome") -> httpx2.Response:
    return await client.post("/users/invite/accept", json={"token": token, "password": password})


async def logs_in(client: httpx2.AsyncClient, password: str) -> bool:
    answer = await client.post("/auth/login", json={"email": GUEST, "password": password})
    return answer.status_code == 200


async def test_from_invitation_to_login(client: httpx2.AsyncClient, mailbox: Mailbox, role: str) -> None:
    assert (await invite(client, role)).status_code == 204
    link = await mailbox.link(GUEST)
    assert link.startswith("http://cms.example.com/admin/accept-invite?token=")
    assert not await logs_in(client, "welcome")
    assert (await accept(client, token_of(link))).status_code == 204
    assert await logs_in(client, "welcome")
    again = await accept(client, token_of(link), "again")
    assert code(again) == "INVALID_INVITE"
    assert not await logs_in(client, "again")


async def test_a_used_token_stays_used(
    client: httpx2.AsyncClient, mailbox: Mailbox, role: str, tabulary: Tabulary
) -> None:
    await invite(client, role)
    token = token_of(await mailbox.link(GUEST))
    await accept(client, token)
    users = await tabulary.service("directus_users")
    user = await users.get_user_by_email(GUEST)
    await users.update_one(user["id"], {"status": "invited"})
    assert code(await accept(client, token, "stolen")) == "INVALID_INVITE"


async def test_tokens_of_the_reference_are_honoured(client: httpx2.AsyncClient, role: str, tabulary: Tabulary) -> None:
    await tabulary.users().create_one({"email": GUEST, "role": role, "status": "invited"})
    assert code(await accept(client, sign({"email": GUEST, "scope": "other"}, SECRET))) == "FORBIDDEN"
    assert code(await accept(client, sign({"email": GUEST, "scope": "invite"}, "x" * 32))) == "INVALID_TOKEN"
    assert code(await accept(client, sign({"email": GUEST, "scope": "invite"}, SECRET, -1000))) == "TOKEN_EXPIRED"
    assert (await accept(client, sign({"email": GUEST.upper(), "scope": "invite"}, SECRET))).status_code == 204


@pytest.mark.parametrize("status", ["invited", "active", "suspended", None])
async def test_nobody_invites_past_permissions(
    client: httpx2.AsyncClient, mailbox: Mailbox, role: str, person: Any, tabulary: Tabulary, status: str | None
) -> None:
    """Whether the address is known makes no difference to who may not create users."""
    if status:
        await tabulary.users().create_one({"email": GUEST, "role": role, "status": status})
    await person("reader", {"collection": "directus_users", "action": "read"})
    for headers in ({}, bearer("reader")):
        for more in ({}, {"invite_url": "http://evil.example.com/"}):
            assert code(await invite(client, role, headers, **more)) == "FORBIDDEN"
    await tabulary.platform.mail.drain()
    assert mailbox.to(GUEST) == []


async def test_permissions_decide_whom_one_may_invite(
    client: httpx2.AsyncClient, mailbox: Mailbox, role: str, person: Any
) -> None:
    only_guests = {"role": {"_eq": role}, "status": {"_eq": "invited"}}
    await person("host", {**CREATE, "fields": ["email", "role", "status"], "validation": only_guests})
    assert (await invite(client, role, bearer("host"))).status_code == 204
    await mailbox.link(GUEST)
    assert (await invite(client, role, bearer("host"))).status_code == 204
    await mailbox.link(GUEST, 2)
    me = await client.get("/users/me?fields=role", headers=ADMIN)
    assert code(await invite(client, me.json()["data"]["role"], bearer("host"))) == "FAILED_VALIDATION"
    blind = {**CREATE, "fields": ["email", "role"]}
    await person("blind", blind)
    assert code(await invite(client, role, bearer("blind"))) == "FORBIDDEN"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://app.example.com/invite", True),
        ("http://app.example.com:80/invite?x=1#frag", True),
        ("http://app.example.com/invite/", False),
        ("https://app.example.com/invite", False),
        ("http://app.example.com.evil.example/invite", False),
        ("http://app.example.com@evil.example/invite", False),
        ("http://evil.example/invite", False),
    ],
)
async def test_links_lead_where_they_may(
    client: httpx2.AsyncClient, mailbox: Mailbox, role: str, url: str, allowed: bool
) -> None:
    answer = await invite(client, role, invite_url=url)
    if not allowed:
        assert code(answer) == "INVALID_PAYLOAD"
        assert (await client.get("/users/invitations", headers=ADMIN)).json() == {"data": []}
        return
    assert answer.status_code == 204
    link = await mailbox.link(GUEST)
    assert link.partition("token=")[0].startswith(url.partition("?")[0])
    assert link.endswith("#frag") == url.endswith("#frag")


async def test_listed_sent_again_and_revoked(
    client: httpx2.AsyncClient, mailbox: Mailbox, role: str, person: Any
) -> None:
    await invite(client, role)
    first = token_of(await mailbox.link(GUEST))
    (listed,) = (await client.get("/users/invitations", headers=ADMIN)).json()["data"]
    assert (listed["email"], listed["status"], listed["role"]) == (GUEST, "invited", role)
    path = f"/users/invitations/{listed['id']}"
    await person("reader", {"collection": "directus_users", "action": "read"})
    assert len((await client.get("/users/invitations", headers=bearer("reader"))).json()["data"]) == 1
    for headers in ({}, bearer("reader")):
        assert code(await client.post(f"{path}/send", json={}, headers=headers)) == "FORBIDDEN"
        assert code(await client.delete(path, headers=headers)) == "FORBIDDEN"
    assert (await client.post(f"{path}/send", json={}, headers=ADMIN)).status_code == 204
    second = token_of(await mailbox.link(GUEST, 2))
    assert (await client.delete(path, headers=ADMIN)).status_code == 204
    assert (await client.get("/users/invitations", headers=ADMIN)).json() == {"data": []}
    await invite(client, role)
    for token in (first, second):
        assert code(await accept(client, token)) == "INVALID_INVITE"
    assert (await accept(client, token_of(await mailbox.link(GUEST, 3)))).status_code == 204


async def test_only_invitations_are_revoked(client: httpx2.AsyncClient, person: Any) -> None:
    key = await person("ada")
    assert code(await client.delete(f"/users/invitations/{key}", headers=ADMIN)) == "INVALID_INVITE"
    assert code(await client.post(f"/users/invitations/{key}/send", json={}, headers=ADMIN)) == "INVALID_INVITE"
    assert (await client.get(f"/users/{key}", headers=ADMIN)).status_code == 200


async def test_mail_trouble_is_nobodys_failure(installed_url: str, role: str) -> None:
    settings = {"SECRET": SECRET, "EMAIL_TRANSPORT": "smtp", "EMAIL_SMTP_HOST": "127.0.0.1", "EMAIL_SMTP_PORT": 1}
    async with Tabulary(installed_url, **settings) as tabulary:
        users = await tabulary.service("directus_users")
        await users.invite_user([GUEST, "two@example.org"], role)
        assert (await users.get_user_by_email("two@example.org"))["status"] == "invited"
        await tabulary.platform.mail.drain(0.1)
