"""Mail by SMTP, through aiosmtplib."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

import aiosmtplib

from tabulary.core.errors import ConfigurationError
from tabulary.core.mail.transports import TIMEOUT, PermanentFailure, TransientFailure
from tabulary.core.settings import Settings


class SmtpTransport:
    """A mail server. With ``EMAIL_SMTP_POOL`` its connection stays open between mails."""

    def __init__(self, settings: Settings) -> None:
        """Raises :class:`ConfigurationError` without a host."""
        if not settings["EMAIL_SMTP_HOST"]:
            raise ConfigurationError("EMAIL_SMTP_HOST: name the mail server, or choose another EMAIL_TRANSPORT")
        self._options = _smtp_options(settings)
        self._pooled = bool(settings["EMAIL_SMTP_POOL"])
        self._client: aiosmtplib.SMTP | None = None
        self._turn = asyncio.Lock()

    async def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
        try:
            if not self._pooled:
                async with aiosmtplib.SMTP(**self._options) as client:
                    await client.send_message(message, sender=sender, recipients=list(recipients))
                return
            async with self._turn:
                client = await self._connected()
                await client.send_message(message, sender=sender, recipients=list(recipients))
        except (aiosmtplib.SMTPException, OSError) as problem:
            raise _failure(problem) from problem

    async def verify(self) -> None:
        try:
            async with aiosmtplib.SMTP(**self._options) as client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError) as problem:
            raise _failure(problem) from problem

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            client.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is None or not self._client.is_connected:
            self._client = aiosmtplib.SMTP(**self._options)
            await self._client.connect()
        return self._client


def _smtp_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "hostname": settings["EMAIL_SMTP_HOST"],
        "port": settings["EMAIL_SMTP_PORT"],
        "use_tls": bool(settings["EMAIL_SMTP_SECURE"]),
        "timeout": TIMEOUT,
    }
    if settings["EMAIL_SMTP_IGNORE_TLS"]:
        options["start_tls"] = False
    if settings["EMAIL_SMTP_NAME"]:
        options["local_hostname"] = settings["EMAIL_SMTP_NAME"]
    if settings["EMAIL_SMTP_USER"]:
        options["username"] = str(settings["EMAIL_SMTP_USER"])
        options["password"] = str(settings["EMAIL_SMTP_PASSWORD"] or "")
    if settings.get("EMAIL_SMTP_TLS_REJECT_UNAUTHORIZED") is False:
        options["tls_context"] = trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return options


def _failure(problem: Exception) -> Exception:
    """What a driver's exception means for a second try."""
    if isinstance(problem, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in problem.recipients]
    else:
        codes = [getattr(problem, "code", 0)]
    text = f"{type(problem).__name__}: {problem}"
    return PermanentFailure(text) if all(code >= 500 for code in codes) else TransientFailure(text)
