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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from tabulary import Tabulary
from tabulary.server.studio import DIST

from ..waiting import PATIENCE, free_port, wait_for

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    sync_playwright = None

ROOT = Path(__file__).parents[2]
AXE = ROOT / "studio" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update",
]  # fmt: skip
MILLISECONDS = PATIENCE * 1000
TOASTS = """
new MutationObserver((changes) => {
  for (const node of changes.flatMap((change) => [...change.addedNodes]))
    if (node instanceof Element && node.matches(".toast")) console.debug(`toast: ${node.textContent.trim()}`);
}).observe(document, { childList: true, subtree: true });
"""
"""Tells of each short message in the corner, which may have gone again when somebody looks for it."""


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
    if sync_playwright is None:
        _lacking("Playwright is missing: pip install playwright")
    expect.set_options(timeout=MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=3 * MILLISECONDS)
        yield browser
        browser.close()


def new_page(chromium: Any, site: Site, login: dict[str, str] | None = None, **options: Any) -> Any:
    """A page of a new visitor, with the patience of all tests, that remembers what went wrong in it and what it said.

    ``problems``: script errors, and what the content security policy stopped; ``said``: the short messages.
    """
    size = {"width": 1360, "height": 860}
    context = chromium.new_context(**{"base_url": site.url, "viewport": size, "locale": "en-US", **options})
    context.set_default_timeout(MILLISECONDS)
    context.add_init_script(TOASTS)
    if login is not None:
        answer = context.request.post("/auth/login", data={**login, "mode": "session"}, timeout=MILLISECONDS)
        assert answer.ok, answer.text()
    page = context.new_page()
    page.problems = []
    page.said = []

    def listen(message: Any) -> None:
        if "Content Security Policy" in message.text:
            page.problems.append(message.text)
        if message.text.startswith("toast: "):
            page.said.append(message.text.removeprefix("toast: "))

    page.on("console", listen)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    return page


ADMIN = {"email": "admin@example.com", "password": "password"}


@contextmanager
def as_admin(site: Site) -> Iterator[httpx2.Client]:
    """The API as the administrator: prepares what is there, and checks what the pages have stored."""
    with httpx2.Client(base_url=site.url, timeout=PATIENCE) as http:
        token = http.post("/auth/login", json=ADMIN).json()["data"]["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield http


@contextmanager
def telling(page: Any, text: str) -> Iterator[None]:
    """What is done inside makes the page say something, in one of the messages that go again by themselves."""
    before = page.said.count(text)
    yield
    deadline = time.monotonic() + PATIENCE
    while page.said.count(text) == before:
        assert time.monotonic() < deadline, f"not said: {text}; but: {page.said}"
        page.wait_for_timeout(20)


def save(page: Any) -> None:
    """Press "Save" and wait until all is kept."""
    button = page.get_by_role("button", name="Save", exact=True)
    with telling(page, "Saved."):
        button.click()
    expect(button).to_be_disabled()


def closed(dialog: Any) -> None:
    """Wait until a dialog has gone: what is looked for next must not be found in it."""
    dialog.wait_for(state="detached")


def settle(page: Any) -> None:
    """Wait until the page shows what it has, and asks for nothing more."""
    page.get_by_role("heading").first.wait_for()
    expect(page.locator(".skeleton")).to_have_count(0)
    page.wait_for_load_state("networkidle")


class Mailbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 Kept"

    def link_to(self, address: str) -> str:
        """The link in the newest mail to the address, waiting for it to come."""

        def found() -> str | None:
            for message in reversed(self.messages):
                body = message.get_body(("html", "plain"))
                if address in str(message["to"]) and body is not None:
                    link = re.search(r'https?://[^\s"<]+token=[^\s"<]+', body.get_content())
                    if link:
                        self.messages.remove(message)
                        return link[0].replace("&amp;", "&")
            return None

        return str(wait_for(found, f"No mail with a link came for {address}"))


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    from aiosmtpd.controller import Controller

    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), ready_timeout=PATIENCE)
    controller.start()
    box.port = controller.port  # type: ignore[attr-defined]
    yield box
    controller.stop()


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
        wait_for(lambda: self._server.started or not self._thread.is_alive(), "The server did not start")
        assert self._server.started, "The server ended"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)

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
