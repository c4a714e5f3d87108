"""The Redis client of one Tabulary object, from ``REDIS`` or the parts ``REDIS_HOST`` and so on (extra ``redis``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tabulary.core.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_TIMEOUT = 5.0
"""Seconds after which Redis counts as away."""


def redis_of(settings: Mapping[str, Any]) -> Redis:
    """A client with its own pool; it connects at the first command. Raises :class:`ConfigurationError`."""
    try:
        from redis.asyncio import Redis  # here, because only installations with the extra have it
    except ImportError:
        raise ConfigurationError("Redis is asked for but not installed; run: pip install 'tabulary[redis]'") from None
    options: dict[str, Any] = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
    if url := settings.get("REDIS"):
        return Redis.from_url(str(url), **options)
    if not settings.get("REDIS_HOST"):
        raise ConfigurationError("Redis is asked for; set REDIS (a URL) or REDIS_HOST")
    return Redis(
        host=str(settings["REDIS_HOST"]),
        port=int(settings["REDIS_PORT"] or 6379),
        username=settings["REDIS_USERNAME"],
        password=settings["REDIS_PASSWORD"],
        db=int(settings["REDIS_DB"] or 0),
        **options,
    )
