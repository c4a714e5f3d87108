"""The ways that mail leaves the house: SMTP, the system's sendmail program, or the log (for development)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Protocol

from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings

logger = logging.getLogger("tabulary.mail")

TIMEOUT = 30.0
"""Seconds that a mail server or program may take for one step."""


class TransientFailure(Exception):
    """The mail was not taken now, but may be later."""


class PermanentFailure(Exception):
    """The mail will never be taken: a refused recipient, a wrong password."""


class Transport(Protocol):
    """Takes finished messages."""

    async def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
        """Hand over one message. Raises :class:`TransientFailure` or :class:`PermanentFailure`."""

    async def verify(self) -> None:
        """Raise one of the two when mail cannot be sent."""

    async def close(self) -> None:
        """Let go of connections."""


class SendmailTransport:
    """The program at ``EMAIL_SENDMAIL_PATH``."""

    def __init__(self, settings: Settings) -> None:
        self._program = str(settings["EMAIL_SENDMAIL_PATH"])
        self._line_end = "\r\n" if settings["EMAIL_SENDMAIL_NEW_LINE"] == "windows" else "\n"

    async def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
        content = message.as_bytes(policy=message.policy.clone(linesep=self._line_end))
        arguments = (self._program, "-i", "-f", sender, "--", *recipients)
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        except OSError as problem:
            raise PermanentFailure(f"{self._program} cannot be run: {problem.strerror}") from problem
        try:
            _, complaint = await asyncio.wait_for(process.communicate(content), TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise TransientFailure(f"{self._program} did not end within {TIMEOUT:.0f} s") from None
        if process.returncode:
            said = complaint.decode(errors="replace").strip()[:200]
            raise TransientFailure(f"{self._program} ended with status {process.returncode}: {said}")

    async def verify(self) -> None:
        if not await asyncio.to_thread(_is_executable, self._program):
            raise PermanentFailure(f"{self._program} is not a program that can be run")

    async def close(self) -> None:
        """Nothing is kept open."""


class ConsoleTransport:
    """Writes mails to the log instead of sending them: for development only, since links in them are secrets."""

    async def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
        body = message.get_body(("plain", "html"))
        content = body.get_content() if body is not None else ""
        logger.warning("mail to %s: %s\n%s", ", ".join(recipients), message["Subject"], content)

    async def verify(self) -> None:
        """The log is always there."""

    async def close(self) -> None:
        """Nothing is kept open."""


def transport_of(settings: Settings) -> Transport:
    """The transport that the settings choose. Raises :class:`ConfigurationError` for one that we do not have."""
    kind = str(settings["EMAIL_TRANSPORT"]).lower()
    if kind == "smtp":
        from tabulary.core.mail.smtp import SmtpTransport  # here, because few processes send mail

        return SmtpTransport(settings)
    if kind == "sendmail":
        return SendmailTransport(settings)
    if kind == "console":
        return ConsoleTransport()
    hint = f" {kind} also takes mail by SMTP." if kind in ("ses", "mailgun") else ""
    raise ConfigurationError(f'EMAIL_TRANSPORT: "{kind}" is not supported, use smtp, sendmail or console.{hint}')


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
