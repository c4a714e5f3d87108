"""Counting for rate limits: fixed windows that begin with the first hit, in memory or in Redis (spec users §6.3).

``RATE_LIMITER_STORE`` chooses where. With several processes only Redis counts what all of them see.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tabulary.core.errors import ConfigurationError, RequestsExceeded, ServiceUnavailable
from tabulary.core.redis import redis_of

_SWEEP = 10_000
"""Counters in memory after whose creation the ended ones are thrown out."""

_HIT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 and ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""


@dataclass(frozen=True, slots=True)
class Count:
    """How often a key was hit in its window, and the seconds until that ends (0: never)."""

    hits: int
    remaining: float = 0.0


class Store(Protocol):
    """Where counters live."""

    async def hit(self, key: str, seconds: float) -> Count:
        """Count one more; ``seconds`` is how long a window lasts, 0 for one without end."""

    async def forget(self, key: str) -> None: ...

    async def close(self) -> None: ...


class MemoryStore:
    """Counters of this process."""

    def __init__(self) -> None:
        self._counters: dict[str, tuple[int, float]] = {}
        self._sweep_at = _SWEEP

    async def hit(self, key: str, seconds: float) -> Count:
        now = time.monotonic()
        hits, end = self._counters.get(key, (0, 0.0))
        if end and end <= now:
            hits, end = 0, 0.0
        if not hits and seconds:
            end = now + seconds
        self._counters[key] = hits + 1, end
        if len(self._counters) > self._sweep_at:
            self._counters = {k: counter for k, counter in self._counters.items() if not 0 < counter[1] <= now}
            self._sweep_at = max(_SWEEP, 2 * len(self._counters))
        return Count(hits + 1, min(end - now, seconds) if end else 0.0)  # their difference is not exact

    async def forget(self, key: str) -> None:
        self._counters.pop(key, None)

    async def close(self) -> None:
        """Nothing is kept open."""


class RedisStore:
    """Counters that all processes share."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = redis_of(settings)
        self._prefix = f"{settings.get('RATE_LIMITER_KEY_PREFIX') or 'tabulary'}:limit:"

    async def hit(self, key: str, seconds: float) -> Count:
        hits, left = await self._client.eval(_HIT, 1, self._prefix + key, str(int(seconds * 1000)))
        return Count(int(hits), max(0, int(left)) / 1000)

    async def forget(self, key: str) -> None:
        await self._client.delete(self._prefix + key)

    async def close(self) -> None:
        await self._client.aclose()


class Limits:
    """The counters of one Tabulary object."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises :class:`ConfigurationError` for an unknown store, or Redis without an address."""
        kind = str(settings["RATE_LIMITER_STORE"])
        if kind not in ("memory", "redis"):
            raise ConfigurationError(f'RATE_LIMITER_STORE: "{kind}" is not supported, use memory or redis')
        self._settings = settings
        self._store: Store = MemoryStore() if kind == "memory" else RedisStore(settings)

    async def hit(self, service: str, key: str, seconds: float = 0) -> Count:
        """Count one more. Raises :class:`ServiceUnavailable` in the name of ``service`` when the store is away."""
        try:
            return await self._store.hit(key, seconds)
        except Exception as problem:
            raise ServiceUnavailable(service, "Rate limiter unreachable") from problem

    async def forget(self, service: str, key: str) -> None:
        """Begin anew. Raises as :meth:`hit`."""
        try:
            await self._store.forget(key)
        except Exception as problem:
            raise ServiceUnavailable(service, "Rate limiter unreachable") from problem

    def limit(self, name: str) -> Limit | None:
        """The limiter ``RATE_LIMITER_<name>_…`` (``""`` for the one by IP), or None when it is switched off."""
        prefix = f"RATE_LIMITER_{name}_" if name else "RATE_LIMITER_"
        if not self._settings[f"{prefix}ENABLED"]:
            return None
        points, duration = self._settings[f"{prefix}POINTS"], self._settings[f"{prefix}DURATION"]
        return Limit(self, name.lower() or "ip", int(points), float(duration))

    async def close(self) -> None:
        await self._store.close()


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``points`` hits of one key in ``seconds``."""

    limits: Limits
    name: str
    points: int
    seconds: float

    async def consume(self, key: str) -> None:
        """Count one hit. Raises :class:`RequestsExceeded` beyond the limit."""
        if (wait := await self.excess(key)) is not None:
            raise RequestsExceeded(self.points, datetime.now(UTC) + timedelta(seconds=wait), wait)

    async def excess(self, key: str) -> float | None:
        """Count one hit; the seconds to wait when it was one too many, else None."""
        count = await self.limits.hit("rate-limiter", f"{self.name}:{key}", self.seconds)
        return count.remaining if count.hits > self.points else None
