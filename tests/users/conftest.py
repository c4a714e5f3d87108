"""An application on every database, a mail server that it sends to, and people."""

from __future__ import annotations

import email
import re
from collections.abc import AsyncIterator, Iterator
from email import policy
from typing import Any

import httpx2
import pytest
from aiosmtpd.controller import Controller

from tabulary import Tabulary
from tabulary.core.stalling import Stopwatch

from ..waiting import PATIENCE, free_port, until

SECRET = "0123456789abcdef0123456789abcdef"
SETTINGS: dict[str, Any] = {
    "SECRET": SECRET,
    "PUBLIC_URL": "http://cms.example.com",
    "HASH_MEMORY_COST": 1024,
    "HASH_TIME_COST": 1,
    "LOGIN_STALL_TIME": 0,
    "REGISTER_STALL_TIME": 0,
    "USER_INVITE_URL_ALLOW_LIST": "http://app.example.com/invite",
    "USER_REGISTER_URL_ALLOW_LIST": "http://app.example.com/verify",
    "PASSWORD_RESET_URL_ALLOW_LIST": "http://app.example.com/reset",
    "EMAIL_TRANSPORT": "smtp",
    "EMAIL_SMTP_HOST": "127.0.0.1",
}
ADMIN = {"Authorization": "Bearer admin-static-token"}
_LINK = re.compile(r"https?://[^\s<>\"]+token=[\w.-]+[^\s<>\"]*")


class Mailbox:
    """What the mail server took."""

    def __init__(self) -> None:
        self._envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self._envelopes.append(envelope)
        return "250 OK"

    def to(self, address: str) -> list[str]:
        """The texts of the mails to an address."""
        texts = []
        for envelope in self._envelopes:
            if address in envelope.rcpt_tos:
                mail = email.message_from_bytes(envelope.content, policy=policy.default)
                body = mail.get_body(("plain",))
                assert body is not None
                texts.append(body.get_content())
        return texts

    async def link(self, address: str, number: int = 1) -> str:
        """The link in the ``number``-th mail to an address, once that has come."""
        await until(lambda: len(self.to(address)) >= number, f"{number} mails to {address} did not come")
        text = self.to(address)[number - 1]
        found = _LINK.search(text)
        assert found is not None, text
        return found[0]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp_port(mailbox: Mailbox) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), ready_timeout=PATIENCE)
    controller.start()
    yield controller.port
    controller.stop()


@pytest.fixture
async def tabulary(installed_url: str, smtp_port: int) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url, **SETTINGS, EMAIL_SMTP_PORT=smtp_port) as tabulary:
        yield tabulary


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=tabulary.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def role(tabulary: Tabulary) -> str:
    """A role without any rights."""
    return str(await tabulary.items("directus_roles").create_one({"name": "Guest"}))


@pytest.fixture
def person(tabulary: Tabulary) -> Any:
    """``await person(name, *permissions, **fields)``: a user ``name@example.org`` with the token ``name-token``."""

    async def make(name: str, *permissions: dict[str, Any], **fields: Any) -> str:
        rows = [{"fields": ["*"], **row} for row in permissions]
        policy_data = {"name": name, "permissions": rows, **fields.pop("policy", {})}
        policy_key = await tabulary.items("directus_policies").create_one(policy_data)
        data = {"email": f"{name}@example.org", "password": "secret", "token": f"{name}-token"}
        return str(await tabulary.users().create_one(data | {"policies": [{"policy": policy_key}]} | fields))

    return make


def stalls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The milliseconds that answers are made to take, from now on. They take them: the clock itself is not asked."""
    asked: list[float] = []
    reach = Stopwatch.reach

    async def told(self: Stopwatch, milliseconds: float) -> None:
        await reach(self, milliseconds)
        asked.append(milliseconds)

    monkeypatch.setattr(Stopwatch, "reach", told)
    return asked


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-token"}


def code(answer: httpx2.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])
