"""Mails that really go through a mail server (aiosmtpd, in this process), a sendmail program, or the log."""

from __future__ import annotations

import asyncio
import email
import stat
from collections.abc import AsyncIterator, Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tabulary.core.errors import ConfigurationError, EmailLimitExceeded, InvalidPayload
from tabulary.core.events import Hooks
from tabulary.core.mail import mailer as mailers
from tabulary.core.mail.mailer import Mailer
from tabulary.core.mail.message import Mail, Sender, as_text
from tabulary.core.mail.transports import PermanentFailure, TransientFailure
from tabulary.core.settings import Settings

from ..waiting import PATIENCE, free_port, until

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")]

URL = "http://app.example.com/reset?token=a.b.c&x=1"


class Inbox:
    """The mail server's side: what arrived, and what it says to the next mails instead of taking them."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.refusals: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        self.envelopes.append(envelope)
        return "250 OK"

    @property
    def messages(self) -> list[EmailMessage]:
        return [email.message_from_bytes(e.content, policy=policy.default) for e in self.envelopes]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def port(inbox: Inbox) -> Iterator[int]:
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), ready_timeout=PATIENCE)
    controller.start()
    yield controller.port
    controller.stop()


def settings_for(port: int, folder: Path, **more: Any) -> Settings:
    return Settings.of(
        EMAIL_TRANSPORT="smtp", EMAIL_SMTP_HOST="127.0.0.1", EMAIL_SMTP_PORT=port,
        EMAIL_TEMPLATES_PATH=str(folder), EMAIL_FROM="cms@example.com", **more,
    )  # fmt: skip


@pytest.fixture
async def mailer(port: int, tmp_path: Path) -> AsyncIterator[Mailer]:
    made = Mailer(settings_for(port, tmp_path), Hooks(), retry_delays=(0.01, 0.01))
    yield made
    await made.close()


async def test_template_arrives_as_html_and_text(mailer: Mailer, inbox: Inbox) -> None:
    async def project() -> dict[str, str]:
        return {"projectName": "Bücher & Co", "projectColor": "#123456", "projectLogo": "", "projectUrl": ""}

    mailer.bind(project)
    await mailer.send(
        to="ada@example.com", subject="Password Reset Request", template="password-reset",
        data={"url": URL, "email": "<ada@example.com>"},
    )  # fmt: skip
    assert not inbox.envelopes, "the caller does not wait for the mail server"
    await mailer.drain()
    [message] = inbox.messages
    assert message["From"] == "Bücher & Co <cms@example.com>"
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Password Reset Request")
    html, text = (message.get_body((kind,)).get_content() for kind in ("html", "plain"))  # type: ignore[union-attr]
    assert f'href="{URL.replace("&", "&amp;")}"' in html and "&lt;ada@example.com&gt;" in html
    assert "Bücher &amp; Co" in html and "#123456" in html and "24 hours" in html
    assert URL in text and "Bücher & Co" in text and "<" not in text.replace("<ada@example.com>", "")
    assert all(line == line.strip() for line in html.splitlines())


@pytest.mark.parametrize("name", ["base", "password-reset", "user-invitation", "user-registration"])
async def test_each_built_in_template_has_its_link(mailer: Mailer, inbox: Inbox, name: str) -> None:
    data = {"url": URL, "email": "a@example.com", "html": "<p>Hi</p>"}
    await mailer.send(to="a@example.com", subject="x", template=name, data=data)
    await mailer.drain()
    assert URL in inbox.messages[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def test_own_templates_win_and_may_use_our_layout(mailer: Mailer, inbox: Inbox, tmp_path: Path) -> None:
    own = "{% layout 'base' %}{% block content %}Neu: {{ url }}{% endblock %}"
    (tmp_path / "password-reset.liquid").write_text(own)
    await mailer.send(to="a@example.com", subject="x", template="password-reset", data={"url": URL})
    await mailer.drain()
    html = inbox.messages[0].get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert f"Neu: {URL}" in html and "<!doctype html>" in html and "24 hours" not in html


@pytest.mark.parametrize("name", ["nothing", "../secret", "/etc/passwd", "", "base.liquid"])
async def test_unknown_template_is_refused_at_once(mailer: Mailer, name: str, tmp_path: Path) -> None:
    (tmp_path.parent / "secret.liquid").write_text("secret")
    with pytest.raises(InvalidPayload):
        await mailer.send(to="a@example.com", subject="x", template=name)


@pytest.mark.parametrize("to", ["", [], "no-address", "a@example.com\nBcc: b@example.com", "-oQ/tmp/x@example.com"])
async def test_bad_recipients_are_refused_at_once(mailer: Mailer, to: Any) -> None:
    with pytest.raises(InvalidPayload):
        await mailer.send(to=to, subject="x", html="x")


async def test_subject_cannot_add_headers(mailer: Mailer, inbox: Inbox) -> None:
    await mailer.send(to="a@example.com", subject="Hi\r\nBcc: spy@example.com", html="<p>x</p>")
    await mailer.drain()
    assert inbox.messages[0]["Bcc"] is None and inbox.envelopes[0].rcpt_tos == ["a@example.com"]


async def test_copies_and_own_sender(mailer: Mailer, inbox: Inbox) -> None:
    mail = Mail(
        "a@example.com, b@example.com", "x", text="plain", cc=["c@example.com"], bcc="d@example.com",
        reply_to="r@example.com", sender=Sender("Ada", "ada@example.com"),
    )  # fmt: skip
    await mailer.deliver(mail)
    [message], [envelope] = inbox.messages, inbox.envelopes
    assert envelope.rcpt_tos == [f"{x}@example.com" for x in "abcd"] and envelope.mail_from == "ada@example.com"
    assert message["Bcc"] is None and message["Reply-To"] == "r@example.com" and message["Cc"] == "c@example.com"
    with pytest.raises(InvalidPayload):
        await mailer.send(to="a@example.com", subject="x", html="x", sender=Sender("", "ada@example.com"))


async def test_temporary_refusal_is_tried_again(mailer: Mailer, inbox: Inbox) -> None:
    inbox.refusals = ["451 later", "451 later"]
    await mailer.send(to="a@example.com", subject="x", html="x")
    await mailer.drain()
    assert len(inbox.envelopes) == 1


async def test_final_refusal_is_logged_once(mailer: Mailer, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    inbox.refusals = ["550 no such user"]
    await mailer.send(to="a@example.com", subject="x", html="x")
    await mailer.drain()
    assert not inbox.envelopes and "no such user" in caplog.text
    inbox.refusals = ["550 no such user"]
    with pytest.raises(PermanentFailure):
        await mailer.deliver(Mail("a@example.com", "x", html="x"))


async def test_unreachable_server_fails_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mailer = Mailer(settings_for(1, tmp_path), Hooks(), retry_delays=(0.01,))
    await mailer.send(to="a@example.com", subject="x", html="x")
    await mailer.drain()
    assert "could not be sent" in caplog.text
    with pytest.raises(TransientFailure):
        await mailer.verify()


async def test_hook_may_change_and_cancel(port: int, inbox: Inbox, tmp_path: Path) -> None:
    hooks = Hooks()

    async def change(mail: dict[str, Any], *_: Any) -> Any:
        return False if mail["to"] == "never@example.com" else {**mail, "subject": "changed"}

    hooks.filter("email.send", change)
    mailer = Mailer(settings_for(port, tmp_path), hooks)
    for to in ("never@example.com", "a@example.com"):
        await mailer.send(to=to, subject="x", html="x")
    await mailer.drain()
    assert [m["Subject"] for m in inbox.messages] == ["changed"]


async def test_mail_waits_for_the_commit(mailer: Mailer, inbox: Inbox) -> None:
    class Transaction:
        def __init__(self) -> None:
            self.callbacks: list[Any] = []

        def after_commit(self, callback: Any) -> None:
            self.callbacks.append(callback)

    transaction = Transaction()
    await mailer.send(to="a@example.com", subject="x", html="x", connection=transaction)
    await mailer.drain()
    assert not inbox.envelopes
    transaction.callbacks.pop()()
    await mailer.drain()
    assert len(inbox.envelopes) == 1


async def test_pooled_connection_serves_many_mails_and_survives_its_loss(
    port: int, inbox: Inbox, tmp_path: Path
) -> None:
    mailer = Mailer(settings_for(port, tmp_path, EMAIL_SMTP_POOL=True), Hooks())
    for _ in range(3):
        await mailer.send(to="a@example.com", subject="x", html="x")
    await mailer.drain()
    await mailer.close()
    await mailer.deliver(Mail("a@example.com", "x", html="x"))
    await mailer.close()
    assert len(inbox.envelopes) == 4


class Pauses:
    """``asyncio`` for the mailer, whose pauses end when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.over.wait()


async def test_limit_makes_a_line_and_the_line_has_an_end(
    port: int, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses()
    monkeypatch.setattr(mailers, "asyncio", pauses)
    limits = {"ENABLED": True, "POINTS": 1, "DURATION": 3600, "QUEUE_SIZE": 1}
    options = {f"RATE_LIMITER_EMAIL_{name}": value for name, value in limits.items()}
    mailer = Mailer(settings_for(port, tmp_path, **options), Hooks())
    await mailer.send(to="a@example.com", subject="1", html="x")
    await mailer.drain()
    await mailer.send(to="a@example.com", subject="2", html="x")
    await until(lambda: pauses.asked)
    with pytest.raises(EmailLimitExceeded) as caught:
        await mailer.send(to="a@example.com", subject="3", html="x")
    assert caught.value.extensions == {"points": 1, "duration": 3600}
    assert 3000 < pauses.asked[0] <= 3600
    assert [m["Subject"] for m in inbox.messages] == ["1"]
    pauses.over.set()
    await mailer.drain()
    assert [m["Subject"] for m in inbox.messages] == ["1", "2"]


async def test_sendmail_program_gets_the_message(tmp_path: Path) -> None:
    program, got = tmp_path / "sendmail", tmp_path / "got"
    program.write_text(f'#!/bin/sh\necho "$@" > {got}\ncat >> {got}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    mailer = Mailer(Settings.of(EMAIL_SENDMAIL_PATH=str(program)), Hooks())
    await mailer.verify()
    await mailer.deliver(Mail("a@example.com", "Grüße", text="hello"))
    arguments, _, message = got.read_bytes().partition(b"\n")
    assert arguments == b"-i -f no-reply@example.com -- a@example.com"
    assert b"hello" in message and b"\r\n" not in message
    program.write_text("#!/bin/sh\necho full >&2\nexit 75\n")
    with pytest.raises(TransientFailure, match="full"):
        await mailer.deliver(Mail("a@example.com", "x", text="x"))


async def test_console_writes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    await Mailer(Settings.of(EMAIL_TRANSPORT="console"), Hooks()).deliver(Mail("a@example.com", "Hi", text="hello"))
    assert "hello" in caplog.text and "a@example.com" in caplog.text


@pytest.mark.parametrize("transport", ["ses", "pigeon", "smtp"])
async def test_unusable_transport_names_the_setting(transport: str) -> None:
    mailer = Mailer(Settings.of(EMAIL_TRANSPORT=transport), Hooks())
    with pytest.raises(ConfigurationError, match="EMAIL_"):
        await mailer.verify()


def test_text_of_html() -> None:
    html = "<style>p{}</style><h1>Hi</h1><p>One <b>two</b></p><ul><li>a</li></ul><a href='http://x/'>Go</a><script>1</script>"
    assert as_text(html) == "Hi\n\nOne two\n\n- a\n\nGo ( http://x/ )\n"
