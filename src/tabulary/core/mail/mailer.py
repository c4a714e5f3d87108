"""The mailer of one Tabulary object: takes mails, sends them behind the caller's back, tries again, and logs.

``await mailer.send(to=…, subject=…, template="user-invitation", data={"url": …})`` returns as soon as the mail is
accepted; with ``connection`` it waits for the commit of that connection's transaction and forgets the mail when it is
rolled back. Nobody's request fails because a mail server is slow or away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tabulary.core.errors import ConfigurationError, EmailLimitExceeded, InvalidPayload, TabularyError
from tabulary.core.events import EventContext, Hooks
from tabulary.core.mail.message import Addresses, Mail, Sender, addresses, compose
from tabulary.core.mail.templates import Templates
from tabulary.core.mail.transports import PermanentFailure, TransientFailure, Transport, transport_of
from tabulary.core.settings import Settings
from tabulary.core.tracing import Tracing, span

logger = logging.getLogger("tabulary.mail")

RETRY_DELAYS = (2.0, 15.0, 120.0, 900.0)
"""Seconds before each further try of a mail that was not taken."""

ProjectData = Callable[[], Awaitable[Mapping[str, Any]]]
"""Reads the project's face, as templates use it: ``projectName``, ``projectColor``, ``projectLogo``, ``projectUrl``."""


class AfterCommit(Protocol):
    """A connection, as far as a mailer knows one."""

    def after_commit(self, callback: Callable[[], None]) -> None: ...


class Mailer:
    """See the module.

    Args:
        settings: ``EMAIL_*`` and ``RATE_LIMITER_EMAIL_*``.
        hooks: for the filter event ``email.send``; what it returns in place of a mail is sent, False cancels.
        transport: instead of the one that the settings choose.
        retry_delays: seconds before each further try.
    """

    def __init__(
        self,
        settings: Settings,
        hooks: Hooks,
        transport: Transport | None = None,
        retry_delays: Sequence[float] = RETRY_DELAYS,
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._transport = transport
        self._delays = tuple(retry_delays)
        self._templates = Templates(Path(settings["EMAIL_TEMPLATES_PATH"] or "."))
        self._project: ProjectData | None = None
        self._pace = _Pace(settings) if settings["RATE_LIMITER_EMAIL_ENABLED"] else None
        self._running: set[asyncio.Task[None]] = set()
        self.tracing: Tracing | None = None

    def bind(self, project: ProjectData) -> None:
        """Give the mailer the project's name and looks, which are read floors above."""
        self._project = project

    async def send(
        self,
        *,
        to: Addresses,
        subject: str,
        template: str | None = None,
        data: Mapping[str, Any] | None = None,
        connection: AfterCommit | None = None,
        **more: Any,
    ) -> None:
        """Accept a mail for sending in the background.

        Args:
            to: one address, several parted by commas, or a list.
            subject: the subject line.
            template: the name of a template, rendered with ``data`` and the project's name and looks.
            data: the template's variables.
            connection: send after the commit of its open transaction.
            more: further fields of :class:`Mail`, such as ``html`` in place of a template.

        Raises :class:`InvalidPayload` for addresses, senders and templates that cannot work, and
        :class:`EmailLimitExceeded` when too many mails wait already. Later problems are logged.
        """
        mail = Mail(to, subject, template, data or {}, **more)
        self._check(mail)
        if connection is None:
            self._start(mail)
        else:
            connection.after_commit(lambda: self._start(mail))

    async def deliver(self, mail: Mail) -> None:
        """Send a mail now and once, for callers who want to know.

        Raises what :meth:`send` raises, :class:`TransientFailure` and :class:`PermanentFailure`, and
        :class:`ConfigurationError` without a usable transport.
        """
        self._check(mail)
        if self._pace is not None:
            await self._pace.turn()
        if (prepared := await self._prepared(mail)) is not None:
            await self._hand_over(*prepared)

    async def verify(self) -> None:
        """Raise as :meth:`deliver` would when mail cannot be sent: for the start and for health checks."""
        await self._chosen().verify()

    async def drain(self, within: float | None = None) -> None:
        """Wait for the mails under way, at most ``within`` seconds; then give up those that are left."""
        if not self._running:
            return
        _, waiting = await asyncio.wait(self._running, timeout=within)
        for task in waiting:
            task.cancel()
        if waiting:
            logger.warning("%d mails were not sent before the end", len(waiting))
            await asyncio.gather(*waiting, return_exceptions=True)

    async def close(self, within: float | None = 5) -> None:
        """Send what can be sent within ``within`` seconds and let go of the mail server."""
        await self.drain(within)
        if self._transport is not None:
            await self._transport.close()

    # --- behind the caller's back -----------------------------------------------------------
    def _check(self, mail: Mail) -> None:
        if not mail.recipients():
            raise InvalidPayload("The mail has no recipient")
        addresses(mail.reply_to)
        if isinstance(mail.sender, Sender) and not (mail.sender.name and mail.sender.address):
            raise InvalidPayload('A name and address property are required in the "from" object')
        if mail.template is not None:
            self._templates.check(mail.template)
        if self._pace is not None:
            self._pace.check()

    def _start(self, mail: Mail) -> None:
        task = asyncio.ensure_future(self._deliver_with_patience(mail))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver_with_patience(self, mail: Mail) -> None:
        try:
            if self._pace is not None:
                await self._pace.turn()
            if (prepared := await self._prepared(mail)) is not None:
                await self._try_repeatedly(*prepared)
        except (TransientFailure, PermanentFailure, ConfigurationError, TabularyError) as problem:
            logger.error("mail %r could not be sent: %s", mail.subject, problem)
        except Exception:
            logger.exception("mail %r could not be sent", mail.subject)

    async def _try_repeatedly(self, mail: Mail, sender: Sender) -> None:
        for delay in self._delays:
            try:
                await self._hand_over(mail, sender)
            except TransientFailure as problem:
                logger.warning("mail %r was not taken, next try in %g s: %s", mail.subject, delay, problem)
                await asyncio.sleep(delay)
            else:
                return
        await self._hand_over(mail, sender)

    async def _prepared(self, mail: Mail) -> tuple[Mail, Sender] | None:
        """The mail after the hooks, with its content and sender; None when a hook cancelled it."""
        if self._hooks.listens("email.send"):
            shown = {name: getattr(mail, name) for name in Mail.__slots__}
            changed = await self._hooks.emit_filter("email.send", shown, {}, EventContext())
            if not changed:
                return None
            mail = Mail(**changed)
            self._check(mail)
        project = dict(await self._project()) if self._project is not None else {}
        if mail.template is not None:
            mail = replace(mail, html=await self._templates.render(mail.template, {**project, **mail.data}))
        if isinstance(mail.sender, Sender):
            return mail, mail.sender
        name = str(project.get("projectName") or "Tabulary")
        return mail, Sender(name, str(mail.sender or self._settings["EMAIL_FROM"]))

    async def _hand_over(self, mail: Mail, sender: Sender) -> None:
        recipients = mail.recipients()
        with span(self.tracing, "mail", recipients=len(recipients)):
            await self._chosen().send(compose(mail, sender), sender.address, recipients)

    def _chosen(self) -> Transport:
        """The transport, made at first need: a server without working mail should still start."""
        if self._transport is None:
            self._transport = transport_of(self._settings)
        return self._transport


class _Pace:
    """At most so many mails in so many seconds; the others wait in line (``RATE_LIMITER_EMAIL_*``)."""

    def __init__(self, settings: Settings) -> None:
        self._points = max(1, int(settings["RATE_LIMITER_EMAIL_POINTS"]))
        self._duration = float(settings["RATE_LIMITER_EMAIL_DURATION"])
        self._capacity = int(settings["RATE_LIMITER_EMAIL_QUEUE_SIZE"])
        self._message = settings.get("RATE_LIMITER_EMAIL_ERROR_MESSAGE")
        self._sent: deque[float] = deque(maxlen=self._points)
        self._waiting = 0
        self._line = asyncio.Lock()

    def check(self) -> None:
        """Raise :class:`EmailLimitExceeded` when the line is too long."""
        if self._waiting >= self._capacity:
            raise EmailLimitExceeded(self._points, self._duration, self._message)

    async def turn(self) -> None:
        """Wait until one more mail may go."""
        self._waiting += 1
        try:
            async with self._line:
                if len(self._sent) == self._points:
                    await asyncio.sleep(max(0.0, self._sent[0] + self._duration - time.monotonic()))
                self._sent.append(time.monotonic())
        finally:
            self._waiting -= 1
