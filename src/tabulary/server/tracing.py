"""The outermost layer where tracing is on: a span around every request."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tabulary.core.logs import REQUEST_ID
from tabulary.core.tracing import Tracing

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "SEARCH", "OPTIONS"})
_PASSED_ON = frozenset({"traceparent", "tracestate", "baggage"})


class Traced:
    """See the module.

    A span has the family of the path and no more of it: what follows may be keys, such as those of shares.

    Args:
        app: what answers.
        tracing: what makes spans.
        families: the first path segments there are; all others count as ``other``.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, families: Collection[str]) -> None:
        self.app = app
        self._tracing = tracing
        self._families = frozenset(families)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.request(_method(scope), self._route(scope), _passed_on(scope)) as answered:
            try:
                await self.app(scope, receive, send_noting)
            finally:
                answered(status, REQUEST_ID.get())

    def _route(self, scope: Scope) -> str:
        first = scope["path"].removeprefix(scope.get("root_path", "")).strip("/").partition("/")[0].lower()
        return f"/{first if first in self._families else 'other'}"


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "_OTHER"


def _passed_on(scope: Scope) -> dict[str, str]:
    """The headers that say which trace a request is part of."""
    headers = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    return {name: value for name, value in headers if name in _PASSED_ON}
