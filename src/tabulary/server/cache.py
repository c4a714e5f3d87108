"""The response cache: which answers are kept, for whom, and what clients are told (spec schema-and-platform §4.7).

The key holds everything an answer depends on: the path, the query, and the caller, with user, share, role and the
content of all permission rows that apply. So an answer never reaches anybody else, and a caller whose permissions
change never sees an old one again. (The reference leaves shares and permissions out.) With ``CACHE_AUTO_PURGE`` every
change of items clears all; without it answers may be as old as ``CACHE_TTL``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus

from starlette.responses import Response

from tabulary.access.permissions import PermissionSet
from tabulary.core import json
from tabulary.core.cache import Cache, Entry
from tabulary.items.platform import Platform
from tabulary.server.request import ApiRequest
from tabulary.server.respond import DataResponse
from tabulary.server.routing import path_of
from tabulary.version import __version__

Endpoint = Callable[[ApiRequest], Awaitable[Response]]

_TOKEN = re.compile(rb"(^|&)access_token=[^&]*")
_WRITES = re.compile(r"\b(mutation|subscription)\b")
_NOW = "$NOW"


class ResponseCache:
    """Answers from the cache where it can, and fills it."""

    def __init__(self, platform: Platform, cache: Cache) -> None:
        settings = platform.settings
        self._platform = platform
        self._cache = cache
        self._ignored = frozenset(settings["CACHE_AUTO_PURGE_IGNORE_LIST"] or ())
        self._skip_allowed = bool(settings["CACHE_SKIP_ALLOWED"])
        self._admin_app = f"{str(settings['PUBLIC_URL']).rstrip('/')}/admin"
        self._shared_age = _number(settings["CACHE_CONTROL_S_MAXAGE"]) if settings.is_given(_S_MAXAGE) else None
        name = settings["CACHE_STATUS_HEADER"]
        self._status_header = str(name).lower().encode("latin-1") if name else None
        self._timed: dict[str, bool] = {}

    async def answer(self, request: ApiRequest, endpoint: Endpoint) -> Response:
        """The answer of ``endpoint``, or the one that is kept."""
        permissions = await self._platform.access.permissions(request.accountability, request.schema)
        if not self._is_cacheable(request, permissions):
            return await endpoint(request)
        skipped = self._is_skipped(request)
        key = self._key(request, permissions)
        lookup = await self._cache.lookup(key)
        if lookup.entry is not None and not skipped:
            return self._dressed(DataResponse(lookup.entry.body), b"HIT", self._control(request, lookup.entry))
        response = await endpoint(request)
        if type(response) is not DataResponse or response.status_code != 200 or not _is_clean(request, response):
            return response
        entry = await self._cache.store(key, lookup, bytes(response.body))
        control = b"no-store" if skipped else self._control(request, entry)
        return self._dressed(response, b"MISS", control)

    # --- what may be kept -------------------------------------------------------------------
    def _is_cacheable(self, request: ApiRequest, permissions: PermissionSet) -> bool:
        query = unquote_plus(request.scope["query_string"].decode("latin-1"))
        if _first_part(request) == "auth" or "export=" in query or _NOW in query:
            return False
        if request.method == "GET":
            return not self._depends_on_time(permissions)
        if request.method != "POST" or not _is_graphql(request):
            return False
        text = json.encode(request.payload).decode()
        return _NOW not in text and _WRITES.search(text) is None and not self._depends_on_time(permissions)

    def _depends_on_time(self, permissions: PermissionSet) -> bool:
        """True when a read rule speaks of ``$NOW``: what it lets through changes by itself."""
        if permissions.unrestricted:
            return False
        found = self._timed.get(permissions.key)
        if found is None:
            rules = [
                row.permissions for (_, action), rows in permissions.rows.items() if action == "read" for row in rows
            ]
            found = _NOW.encode() in json.encode(rules)
            if len(self._timed) > 1_000:
                self._timed.clear()
            self._timed[permissions.key] = found
        return found

    def _is_skipped(self, request: ApiRequest) -> bool:
        """True when the caller wants a fresh answer: the Studio where nothing else would refresh it, or by header."""
        if self._skip_allowed and "no-store" in request.headers.get("cache-control", ""):
            return True
        if not request.headers.get("referer", "").startswith(self._admin_app):
            return False
        first = _first_part(request)
        collection = path_of(request.scope).split("/")[2] if first == "items" else f"directus_{first}"
        return not self._cache.auto_purge or collection in self._ignored

    def _key(self, request: ApiRequest, permissions: PermissionSet) -> str:
        who = request.accountability
        caller = [who.user, who.share, who.role, who.roles, who.admin, who.app, permissions.policies, permissions.key]
        query = _TOKEN.sub(b"", request.scope["query_string"]).decode("latin-1")
        body = None if request.method == "GET" else request.payload
        parts = [__version__, caller, path_of(request.scope), query, request.method, body]
        return sha256(json.encode(parts)).hexdigest()

    # --- what the client is told ------------------------------------------------------------
    def _control(self, request: ApiRequest, entry: Entry | None) -> bytes:
        if entry is None or entry.expires is None or self._cache.auto_purge:
            return b"no-cache"
        who = request.accountability
        reach = "private" if who.user or who.role or who.share else "public"
        shared = "" if self._shared_age is None else f", s-maxage={self._shared_age}"
        return f"{reach}, max-age={entry.remaining}{shared}".encode()

    def _dressed(self, response: Response, status: bytes, control: bytes) -> Response:
        response.raw_headers = [h for h in response.raw_headers if h[0] != b"cache-control"]
        response.raw_headers.append((b"cache-control", control))
        if self._status_header is not None:
            response.raw_headers.append((self._status_header, status))
        return response


_S_MAXAGE = "CACHE_CONTROL_S_MAXAGE"


def _is_graphql(request: ApiRequest) -> bool:
    return _first_part(request) == "graphql"


def _first_part(request: ApiRequest) -> str:
    return path_of(request.scope)[1:].partition("/")[0].lower()


def _is_clean(request: ApiRequest, response: Response) -> bool:
    """False for an answer of GraphQL that reports errors."""
    return not _is_graphql(request) or b'"errors":' not in response.body


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
