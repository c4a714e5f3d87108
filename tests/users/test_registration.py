"""Public registration: closed by default, the same answer for known and unknown addresses."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from .conftest import Mailbox, code, stalls

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True),
]

NEW = {"email": "new@example.org", "password": "Strong-pass-1"}


@pytest.fixture
def open_(tabulary: Tabulary) -> Any:
    async def change(**settings: Any) -> None:
        fields = {f"public_registration_{name}": value for name, value in settings.items() if name != "policy"}
        if "policy" in settings:
            fields["auth_password_policy"] = settings["policy"]
        await tabulary.items("directus_settings").upsert_singleton({"public_registration": True, **fields})

    return change


async def register(client: httpx2.AsyncClient, ip: str = "10.0.0.1", **person: Any) -> httpx2.Response:
    return await client.post("/users/register", json=NEW | person, headers={"X-Forwarded-For": ip})


async def status_of(tabulary: Tabulary, email: str = NEW["email"]) -> str | None:
    user = await (await tabulary.service("directus_users")).get_user_by_email(email)
    return user and user["status"]


async def test_closed_unless_opened(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    assert code(await register(client)) == "FORBIDDEN"
    assert code(await register(client, email="bad")) == "INVALID_PAYLOAD"
    assert code(await register(client, role="x")) == "INVALID_PAYLOAD"
    assert await status_of(tabulary) is None


async def test_the_address_is_confirmed_once(
    client: httpx2.AsyncClient, mailbox: Mailbox, tabulary: Tabulary, open_: Any, role: str
) -> None:
    await open_(role=role)
    assert (await register(client, first_name="Ada")).status_code == 204
    assert await status_of(tabulary) == "unverified"
    link = await mailbox.link(NEW["email"])
    assert link.startswith("http://cms.example.com/users/register/verify-email?token=")
    assert (await client.post("/auth/login", json=NEW)).status_code == 401
    verified = await client.get(link.removeprefix("http://cms.example.com"))
    assert verified.status_code == 302
    assert verified.headers["location"].startswith("/admin/users/")
    assert (await client.post("/auth/login", json=NEW)).status_code == 200
    assert code(await client.get(link.removeprefix("http://cms.example.com"))) == "INVALID_PAYLOAD"
    assert code(await client.get("/users/register/verify-email")) == "INVALID_TOKEN"
    empty = await client.get("/users/register/verify-email?token=")
    assert empty.headers["location"] == "/admin/login"


async def test_known_addresses_show_nothing(client: httpx2.AsyncClient, tabulary: Tabulary, open_: Any) -> None:
    await open_(policy="/^.{8,}$/")
    for status in ("active", "invited", "suspended"):
        await tabulary.users().create_one(
            {"email": f"{status}@example.org", "status": status, "password": "long-enough"}
        )
    for number, email in enumerate(
        ("new@example.org", "active@example.org", "INVITED@example.org", "suspended@example.org")
    ):
        answer = await register(client, email=email, ip=f"10.1.0.{number}")
        assert (answer.status_code, answer.content) == (204, b"")
        weak = await register(client, email=email, password="short", ip=f"10.1.1.{number}")
        assert code(weak) == "FAILED_VALIDATION"
    for status in ("active", "invited", "suspended"):
        assert await status_of(tabulary, f"{status}@example.org") == status


async def test_the_stall_hides_the_work(installed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = stalls(monkeypatch)
    async with Tabulary(installed_url, SECRET="x" * 32, REGISTER_STALL_TIME=300, EMAIL_TRANSPORT="console") as tabulary:
        await tabulary.items("directus_settings").upsert_singleton({"public_registration": True})
        users = await tabulary.service("directus_users")
        for email in ("new@example.org", "admin@example.com"):
            await users.register_user(NEW | {"email": email})
            assert stalled.pop() == 300 and not stalled


async def test_the_filter_for_addresses(client: httpx2.AsyncClient, tabulary: Tabulary, open_: Any) -> None:
    await open_(verify_email=False, email_filter={"email": {"_ends_with": "@example.org"}})
    assert code(await register(client, email="new@example.net")) == "FORBIDDEN"
    assert (await register(client)).status_code == 204
    assert await status_of(tabulary) == "active"
    await open_(verify_email=False, email_filter={})
    assert (await register(client, email="new@example.net")).status_code == 204


async def test_the_limit_counts_addresses_of_clients(client: httpx2.AsyncClient) -> None:
    answers = [await register(client, email="bad", ip="10.3.0.1") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert code(answers[-1]) == "REQUESTS_EXCEEDED"
    assert int(answers[-1].headers["retry-after"]) <= 60
    assert (await register(client, email="bad", ip="10.3.0.2")).status_code == 400
