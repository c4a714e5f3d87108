"""The pressure limiter: a server that cannot keep up says so at once instead of making everybody wait (spec §4.8).

Every interval it measures how late the event loop came back to it and, where asked for, how busy the loop's thread was
and how much memory the process has. A figure that is above its limit twice in a row is pressure, once is a hiccup.
While there is pressure new requests are answered with 503.

Unlike in the reference the share of time that the loop is busy counts only where the operator set a limit for it: a
loop that always has work is not behind, as long as it comes back in time.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tabulary.core import json
from tabulary.core.errors import ServiceUnavailable
from tabulary.core.settings import Settings
from tabulary.server.respond import JSON_TYPE

_UTILIZATION = "PRESSURE_LIMITER_MAX_EVENT_LOOP_UTILIZATION"
_STATM = Path("/proc/self/statm")


class Gauge:
    """Measures while there are requests; an idle server is not woken."""

    def __init__(self, settings: Settings) -> None:
        self._interval = max(10.0, float(settings["PRESSURE_LIMITER_SAMPLE_INTERVAL"])) / 1000
        self._latest = _limit(settings["PRESSURE_LIMITER_MAX_EVENT_LOOP_DELAY"])
        self._busiest = _limit(settings[_UTILIZATION]) if settings.is_given(_UTILIZATION) else None
        memory = (settings["PRESSURE_LIMITER_MAX_MEMORY_RSS"], settings["PRESSURE_LIMITER_MAX_MEMORY_HEAP_USED"])
        self._largest = min((limit for value in memory if (limit := _limit(value))), default=None)
        self._measuring = False
        self._asked = False
        self._began = self._used = 0.0
        self._above = 0

    @property
    def pressed(self) -> bool:
        return self._above > 1

    def touch(self) -> None:
        """There is a request: keep measuring, or begin."""
        self._asked = True
        if not self._measuring:
            self._measuring = True
            self._begin()

    def _begin(self) -> None:
        self._began, self._used = time.perf_counter(), time.thread_time()
        asyncio.get_running_loop().call_later(self._interval, self._measure)

    def _measure(self) -> None:
        passed, used = time.perf_counter() - self._began, time.thread_time() - self._used
        late = (passed - self._interval) * 1000
        above = (
            (self._latest is not None and late > self._latest)
            or (self._busiest is not None and used / passed > self._busiest)
            or (self._largest is not None and resident_memory() > self._largest)
        )
        self._above = self._above + 1 if above else 0
        if self._asked or above:
            self._asked = False
            self._begin()
        else:
            self._measuring = False


class PressureLimiter:
    """ASGI layer that turns requests away while the gauge says so."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.gauge = Gauge(settings)
        problem = ServiceUnavailable("api", "Under pressure")
        after = settings["PRESSURE_LIMITER_RETRY_AFTER"]
        headers = {} if after in (None, False) else {"Retry-After": str(after)}
        self._refusal = Response(json.encode({"errors": [problem.as_dict()]}), 503, headers, media_type=JSON_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.gauge.touch()
            if self.gauge.pressed:
                await self._refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def resident_memory() -> int:
    """Bytes of memory that the process has; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _limit(value: Any) -> float | None:
    """A limit of the settings; false and zero mean none."""
    return float(value) if value and value is not True else None
