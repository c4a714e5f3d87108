"""A browser, a server of our own with an empty database, and a real mail server.

The pages are those of ``studio/`` built into ``src/tabulary/studio/dist``. Without the build, Playwright or Chromium
(``TABULARY_CHROMIUM``, else ``chromium`` on the path) these tests are skipped and say so; with ``CI=true`` they fail, as
those of an unreachable database do.
Screenshots go to ``TABULARY_SCREENSHOTS``, if that is set.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tabulary import Tabulary
from tabulary.server.studio import DIST

ROOT = Path(__file__).parents[2]
AXE = ROOT / "studio" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def _lacking(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser. Not longer than a module: its event loop would be in the way of asynchronous tests."""
    if not (DIST / "index.html").is_file():
        _lacking("The Studio is not built: run `npm ci && npm run build` in studio/")
    path = os.environ.get("TABULARY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        _lacking("Chromium is missing: install it (apt-get install chromium) or name it in TABULARY_CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _lacking("Playwright is missing: pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Mailbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 Kept"

    def link_to(self, address: str, within: float = 10) -> str:
        """The link in the newest mail to the address, waiting for it to come."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            for message in reversed(self.messages):
                body = message.get_body(("html", "plain"))
                if address in str(message["to"]) and body is not None:
                    found = re.search(r'https?://[^\s"<]+token=[^\s"<]+', body.get_content())
                    if found:
                        self.messages.remove(message)
                        return found[0].replace("&amp;", "&")
            time.sleep(0.05)
        raise AssertionError(f"No mail with a link came for {address}")


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    from aiosmtpd.controller import Controller

    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    box.port = controller.port  # type: ignore[attr-defined]
    yield box
    controller.stop()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Site:
    """A running server; its own thread and event loop, so that the browser may wait for it."""

    def __init__(self, tabulary: Tabulary, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.setup_link: str | None = None
        """Where a server without an administrator gets one."""
        self._tabulary = tabulary
        config = uvicorn.Config(tabulary.asgi, host="127.0.0.1", port=port, log_level="error", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, admin: bool) -> None:
        self._admin = admin
        self._thread.start()
        end = time.monotonic() + 30
        while not self._server.started:
            assert self._thread.is_alive() and time.monotonic() < end, "The server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def _run(self) -> None:
        async def serve() -> None:
            await self._tabulary.open()
            await self._tabulary.bootstrap(admin=self._admin)
            if not self._admin:
                self.setup_link = await self._tabulary.setup_link()
            await self._server.serve()

        asyncio.run(serve())


@pytest.fixture(scope="module")
def start_site(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Callable[..., Site]]:
    """Starts servers, each with a fresh database."""
    running: list[Site] = []

    def start(admin: bool = True, **settings: Any) -> Site:
        folder = tmp_path_factory.mktemp("site")
        port = free_port()
        values = {
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SECRET": "studio-tests-studio-tests-studio-tests",
            "ADMIN_EMAIL": "admin@example.com",
            "ADMIN_PASSWORD": "password",
            "EMAIL_TRANSPORT": "smtp",
            "EMAIL_SMTP_HOST": "127.0.0.1",
            "EMAIL_SMTP_PORT": mailbox.port,  # type: ignore[attr-defined]
            "STORAGE_LOCAL_ROOT": str(folder / "uploads"),
            "HASH_MEMORY_COST": 1024,
            "HASH_TIME_COST": 1,
            "HASH_PARALLELISM": 1,
            **settings,
        }
        site = Site(Tabulary(f"sqlite:///{folder / 'site.db'}", install=False, **values), port)
        site.start(admin)
        running.append(site)
        return site

    yield start
    for site in running:
        site.stop()


def screenshot(page: Any, name: str) -> None:
    """Keep a picture of the page, where the run keeps them."""
    if folder := os.environ.get("TABULARY_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.evaluate("Promise.all(document.getAnimations().map((a) => a.finished.catch(() => null)))")
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def axe(page: Any) -> list[str]:
    """What axe finds on the page: one line a violation, with the first element."""
    if not AXE.is_file():
        _lacking("axe-core is missing: run `npm ci` in studio/")
    # Half-way through a fade, colours have the contrast of neither state.
    page.evaluate("Promise.all(document.getAnimations().map((a) => a.finished.catch(() => null)))")
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{v['id']}: {v['help']} — {v['nodes'][0]['html'][:160]} ({len(v['nodes'])})" for v in result["violations"]]
