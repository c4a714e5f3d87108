"""Whether the parts of a running platform answer, and how fast (``/server/health``, spec schema-and-platform §4.3)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tabulary.core.errors import ConfigurationError
from tabulary.items.platform import Platform

logger = logging.getLogger("tabulary.health")

COMPATIBLE_VERSION = "11.17.4"
"""The version of Directus whose API this is; clients decide by it what they may use."""

TIMEOUT = 10.0
"""Seconds after which a part counts as away."""
FRESH = 1.0
"""Seconds that a report is good for: asking is free to anybody, and must not be a way to load the parts."""

_RANK = {"ok": 0, "warn": 1, "error": 2}
_FILE = "directus-health-file"

Check = dict[str, Any]
Ask = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """The worst status of all checks, and the checks by name."""

    status: str
    checks: dict[str, list[Check]]


class Health:
    """Reports on the parts of one platform. Callers at the same time share one report."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._turn = asyncio.Lock()
        self._report: Report | None = None
        self._made = 0.0

    async def report(self) -> Report:
        async with self._turn:
            if self._report is None or time.monotonic() - self._made > FRESH:
                self._report = await self._examine()
                self._made = time.monotonic()
            found = self._report
        return Report("error", found.checks) if self._platform.stopping else found

    async def _examine(self) -> Report:
        parts = self._parts()
        done = await asyncio.gather(*parts.values())
        checks = {name: [check] for name, check in zip(parts, done, strict=True)}
        used, free = self._platform.database.usage
        for name, value in (("connectionsAvailable", free), ("connectionsUsed", used)):
            checks[f"{self._client}:{name}"] = [{"status": "ok", "componentType": "datastore", "observedValue": value}]
        worst = max((check["status"] for check in done), key=_RANK.__getitem__)
        return Report(worst, checks)

    @property
    def _client(self) -> str:
        return str(self._platform.settings["DB_CLIENT"] or self._platform.database.dialect.client_names[0])

    def _parts(self) -> dict[str, Awaitable[Check]]:
        platform, settings = self._platform, self._platform.settings
        parts: dict[str, Awaitable[Check]] = {}
        parts[f"{self._client}:responseTime"] = self._timed(self._ask_database, "datastore", "DB", 150)
        if platform.cache is not None:
            parts["cache:responseTime"] = self._timed(platform.cache.ping, "cache", "CACHE", 150)
        for part, name in (("rateLimiter", "RATE_LIMITER"), ("rateLimiterGlobal", "RATE_LIMITER_GLOBAL")):
            if settings[f"{name}_ENABLED"]:
                parts[f"{part}:responseTime"] = self._timed(self._ask_limits, "ratelimiter", name, 150)
        for location in platform.storage.names:
            ask = self._asking_storage(location)
            parts[f"storage:{location}:responseTime"] = self._timed(
                ask, "objectstore", f"STORAGE_{location.upper()}", 750
            )
        parts["email:connection"] = self._connected(platform.mail.verify, "email", settings.is_given("EMAIL_TRANSPORT"))
        return parts

    async def _timed(self, ask: Ask, component: str, setting: str, usual: float) -> Check:
        """How long a part takes to answer, in milliseconds, against a threshold."""
        threshold = self._platform.settings.get(f"{setting}_HEALTHCHECK_THRESHOLD") or usual
        check: Check = {"status": "ok", "componentType": component, "observedUnit": "ms", "observedValue": 0}
        check["threshold"] = threshold
        started = time.perf_counter()
        if (problem := await _problem(ask)) is not None:
            return {**check, "status": "error", "output": problem}
        took = round((time.perf_counter() - started) * 1000, 3)
        return {**check, "observedValue": took, "status": "warn" if took > float(threshold) else "ok"}

    @staticmethod
    async def _connected(ask: Ask, component: str, is_wanted: bool) -> Check:
        """Whether a part can be reached. One that nobody set up is no reason to call the server sick."""
        problem = await _problem(ask)
        if problem is None:
            return {"status": "ok", "componentType": component}
        return {"status": "error" if is_wanted else "warn", "componentType": component, "output": problem}

    # --- asking -----------------------------------------------------------------------------
    async def _ask_database(self) -> None:
        async with self._platform.database.connection() as connection:
            await connection.fetch_value("SELECT 1")

    async def _ask_limits(self) -> None:
        await self._platform.limits.forget("health", "health")

    def _asking_storage(self, location: str) -> Ask:
        async def ask() -> None:
            driver = self._platform.storage.at(location)
            await driver.write(_FILE, _check_content())
            await driver.delete(_FILE)

        return ask


async def _check_content() -> AsyncIterator[bytes]:
    yield b"check"


async def _problem(ask: Ask) -> str | None:
    """What goes wrong, in words that name no secrets; None when nothing does."""
    try:
        async with asyncio.timeout(TIMEOUT):
            await ask()
    except TimeoutError:
        return f"No answer within {TIMEOUT:.0f} s"
    except ConfigurationError as problem:
        return str(problem)
    except Exception as problem:
        logger.warning("health check failed: %s: %s", type(problem).__name__, problem)
        return f"Does not answer ({type(problem).__name__})"
    return None
