"""The public JavaScript client under Node: logins of all kinds, users, invitations, items and files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tabulary import Tabulary

from ..graphql.shelf import build
from ..realtime.conftest import serve
from ..sdk import Sdk
from .conftest import SETTINGS, Mailbox

pytestmark = pytest.mark.anyio

Step = Callable[..., Awaitable[Any]]
ME = {"email": "admin@example.com"}


@pytest.fixture
async def step(installed_url: str, smtp_port: int, sdk: Sdk, tmp_path: Path) -> AsyncIterator[Step]:
    """``await step("json")``: what a step of the script saw on a filled shelf."""
    more = {"EMAIL_SMTP_PORT": smtp_port, "STORAGE_LOCAL_ROOT": str(tmp_path / "uploads")}
    async with Tabulary(installed_url, **{**SETTINGS, **more}) as tabulary, serve(tabulary) as served:
        async with served.http() as client:
            await build(client)

        async def run(*given: str) -> Any:
            return await sdk.run(Path(__file__).with_name("sdk.mjs"), f"http://{served.address}", *given)

        yield run


async def test_logins(step: Step) -> None:
    told = await step("json")
    assert told["expires"] == 900_000
    assert {name: told[name] for name in ("wrong", "rotated", "signed", "spent")} == {
        "wrong": "INVALID_CREDENTIALS",
        "rotated": True,
        "signed": 3,
        "spent": "INVALID_CREDENTIALS",
    }
    assert told["me"] == {**ME, "role": {"name": "Administrator"}}
    assert told["again"] == ME

    told = await step("session")
    assert told["me"] == told["again"] == ME
    assert (told["token"], told["left"]) == (None, 0)
    assert told["out"] in ("FORBIDDEN", "INVALID_CREDENTIALS")
    assert told["seen"] == ["directus_session_token,true"]

    told = await step("cookie")
    assert (told["hidden"], told["changed"], told["me"], told["left"]) == (None, True, ME, 0)
    assert told["seen"] == ["directus_refresh_token,true"]


async def test_users_and_invitations(step: Step, mailbox: Mailbox) -> None:
    assert await step("users") == {
        "changed": {"title": "Countess", "role": {"name": "Editors"}},
        "found": [{"email": "ada@example.org"}],
        "twice": "RECORD_NOT_UNIQUE",
        "left": [],
    }
    assert await step("invite") == [{"status": "invited"}]
    link = urlsplit(await mailbox.link("guest@example.org"))
    assert (link.netloc, link.path) == ("app.example.com", "/invite")
    told = await step("accept", parse_qs(link.query)["token"][0])
    assert told["signed"] == 3
    assert told["twice"] in ("INVALID_INVITE", "INVALID_PAYLOAD", "FORBIDDEN", "INVALID_TOKEN")


async def test_items_and_files(step: Step) -> None:
    assert await step("items") == {
        "books": [
            {"title": "Mathilda", "author": {"name": "Mary"}},
            {"title": "Lodore", "author": {"name": "Mary"}},
        ],
        "nested": {"name": "Mary", "books": [{"title": "Lodore"}]},
        "counted": 2,
        "missing": "FORBIDDEN",
    }
    assert await step("files") == {
        "file": {
            "id": "string",
            "title": "A note",
            "type": "application/x-note",
            "filesize": 5,
            "filename_download": "note.bin",
        },
        "content": "Hello",
        "renamed": {"title": "Note"},
        "gone": "FORBIDDEN",
    }
