"""The outermost layer: every request gets an id, a line in the log and, where wanted, a ``Server-Timing`` header.

The id is the caller's own (``X-Request-Id``) when it is a decent one. It goes back to the caller and into every line
that is logged on the way, so that a report of trouble leads to the lines about it.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tabulary.core.logs import ACCESS, REQUEST_ID
from tabulary.core.settings import Settings

logger = logging.getLogger(ACCESS)

TIMING = "tabulary.timing"
"""Key of the scope that holds the :class:`Timing` of a request, where it is measured."""

_HEADER = b"x-request-id"
_DECENT = re.compile(rb"[A-Za-z0-9._~:-]{1,64}")

Observe = Callable[[Scope, int, float], None]
"""Is told of every finished request: its scope, status and duration in seconds."""


def _never() -> bool:
    return False


class Timing:
    """When the stages of a request ended."""

    __slots__ = ("_last", "_stages", "started")

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter()
        self._stages: list[tuple[str, float]] = []

    def mark(self, stage: str) -> None:
        """What was done since the last mark was this stage."""
        now = time.perf_counter()
        self._stages.append((stage, now - self._last))
        self._last = now

    @property
    def stages(self) -> list[tuple[str, float]]:
        """The stages so far, and how many seconds each took."""
        return self._stages

    def header(self) -> bytes:
        """The value of ``Server-Timing``, in milliseconds."""
        stages = [*self._stages, ("total", time.perf_counter() - self.started)]
        return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in stages).encode()


class Requests:
    """See the module.

    Args:
        app: what answers.
        settings: ``LOG_HTTP_IGNORE_PATHS`` and ``SERVER_TIMING``.
        observe: is told of every finished request (metrics).
        is_ending: whether clients are to open their next connection elsewhere.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, observe: Observe | None = None, is_ending: Callable[[], bool] = _never
    ) -> None:
        self.app = app
        self._is_ending = is_ending
        self._ignored = frozenset(settings["LOG_HTTP_IGNORE_PATHS"] or ())
        self._timed = bool(settings["SERVER_TIMING"])
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found = _id_of(scope)
        REQUEST_ID.set(found.decode())
        timing = Timing()
        if self._timed or self._observe is not None:
            scope[TIMING] = timing
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, found)]
                if self._is_ending():
                    message["headers"].append((b"connection", b"close"))
                if self._timed:
                    message["headers"].append((b"server-timing", timing.header()))
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            took = time.perf_counter() - timing.started
            if logger.isEnabledFor(logging.INFO) and scope["path"] not in self._ignored:
                _log(scope, status, took)
            if self._observe is not None:
                self._observe(scope, status, took)


def _id_of(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == _HEADER and _DECENT.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


def _log(scope: Scope, status: int, took: float) -> None:
    """One line; the query stays out of it, for it may hold tokens and is anybody's data."""
    who = scope.get("tabulary.accountability")
    fields = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "duration": round(took * 1000, 3),
        "user": who.user if who else None,
        "ip": who.ip if who else None,
    }
    logger.info("request", extra={"request_fields": fields})
