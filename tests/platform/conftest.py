"""A running application on each database, people with little rights, and a place where mails end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

SETTINGS: dict[str, Any] = {
    "SECRET": "0123456789abcdef0123456789abcdef",
    "HASH_MEMORY_COST": 1024,
    "HASH_TIME_COST": 1,
    "HASH_PARALLELISM": 1,
}
ADMIN = {"Authorization": "Bearer admin-static-token"}
KEY = {"field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True}}


class Outbox:
    """A mail transport that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[tuple[Sequence[str], EmailMessage]] = []

    async def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
        self.mails.append((recipients, message))

    async def verify(self) -> None: ...

    async def close(self) -> None: ...

    def to(self, address: str) -> list[str]:
        """The HTML of the mails to an address."""
        found = [message.get_body(("html",)) for recipients, message in self.mails if address in recipients]
        return [body.get_content() for body in found if body is not None]


Make = Callable[..., Awaitable[Tabulary]]


@pytest.fixture
async def make(installed_url: str, tmp_path: Path) -> AsyncIterator[Make]:
    """Opens a Tabulary object on the test's database with more settings."""
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Tabulary:
            files = {"STORAGE_LOCAL_ROOT": str(tmp_path / "files")}
            return await stack.enter_async_context(Tabulary(installed_url, **(SETTINGS | files | settings)))

        yield opened


@pytest.fixture
async def tabulary(make: Make) -> Tabulary:
    return await make()


@pytest.fixture
def outbox(tabulary: Tabulary) -> Outbox:
    box = Outbox()
    tabulary.platform.mail._transport = box
    return box


class Client(httpx2.AsyncClient):
    """A client of an application. Nobody's, unless ``token`` says whose."""

    def __init__(self, app: Any, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(transport=httpx2.ASGITransport(app=app), base_url="http://test", headers=headers)
        self.app = app

    def as_(self, token: str | None) -> Client:
        """The same application, asked by somebody else."""
        return Client(self.app, token)

    async def data(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The ``data`` of an answer that has to have this status (None without a body)."""
        answer = await self.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json().get("data", answer.json()) if answer.content else None

    async def code(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and code of an answer that has to be an error."""
        answer = await self.request(method, path, json=body)
        return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


@pytest.fixture
async def admin(tabulary: Tabulary) -> AsyncIterator[Client]:
    async with Client(tabulary.asgi, "admin-static-token") as client:
        yield client


async def collection(admin: Client, name: str, *fields: dict[str, Any] | str, **meta: Any) -> None:
    """Make a collection with a counted key; a field given as text is a string, ``sort`` an integer."""
    made = [
        field
        if isinstance(field, dict)
        else {"field": field, "type": "integer" if field == "sort" else "string", "meta": {}, "schema": {}}
        for field in fields
    ]
    await admin.data("POST", "/collections", {"collection": name, "schema": {}, "meta": meta, "fields": [KEY, *made]})


async def person(admin: Client, name: str, *permissions: dict[str, Any], app: bool = False, **user: Any) -> Client:
    """Make a user with these permissions (``collection``, ``action`` and more); a client of theirs."""
    rows = [{"fields": ["*"], **row} for row in permissions]
    policy = {"name": name, "app_access": app, "permissions": rows}
    made = {"email": f"{name}@example.com", "token": f"token-of-{name}", "first_name": name.capitalize(), **user}
    await admin.data("POST", "/users", {**made, "policies": [{"policy": policy}]})
    return admin.as_(f"token-of-{name}")


async def id_of(admin: Client, name: str) -> str:
    found = await admin.data("GET", f"/users?fields=id&filter[email][_eq]={name}@example.com")
    return str(found[0]["id"])
