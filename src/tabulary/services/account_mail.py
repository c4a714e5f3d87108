"""Mails about accounts: invitations, confirmations of addresses, new passwords, shared items.

Nobody's request fails for a mail, and nobody learns from one whether an address is known: what prevents it is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tabulary.core.errors import TabularyError
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform

logger = logging.getLogger("tabulary.mail")


async def post(
    platform: Platform,
    *,
    to: str,
    subject: str,
    template: str,
    data: Mapping[str, Any],
    connection: Connection | None = None,
) -> None:
    """Hand a mail over to be sent in the background, after the commit of ``connection``'s transaction if it has one."""
    try:
        await platform.mail.send(to=to, subject=subject, template=template, data=data, connection=connection)
    except TabularyError as problem:
        logger.error("mail %r was not accepted: %s", subject, problem)
