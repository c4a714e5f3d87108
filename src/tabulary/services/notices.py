"""Telling a user how work in the background ended: a notification of the platform, which may also be mailed."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from tabulary.access.accountability import Accountability
from tabulary.items.platform import Platform

logger = logging.getLogger("tabulary.transfer")


class Background(Protocol):
    """A service that works for someone."""

    platform: Platform
    accountability: Accountability | None


async def notify(service: Background, subject: str, message: str, **reference: Any) -> None:
    """Notify the user of ``service``; nobody where there is none. Never raises: there is nobody left to tell.

    Args:
        reference: ``collection`` and ``item`` of what the notification is about.
    """
    user = service.accountability.user if service.accountability else None
    if user is None:
        return
    given = {"recipient": user, "sender": user, "subject": subject, "message": message, **reference}
    try:
        schema = await service.platform.schemas.current()
        await service.platform.service("directus_notifications", schema=schema).create_one(given)
    except Exception:
        logger.exception("a notification could not be stored")
