"""The heart of the server: one request from its body to its answer, in the order of spec schema-and-platform §4.1.

body → open routes → who asks → schema → route → handler; whatever is raised on the way becomes the error envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tabulary.core.durations import size
from tabulary.core.errors import InvalidQuery, ServiceUnavailable, TabularyError
from tabulary.database.versions import WITNESS, Witness
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.items.reader import RELAXED
from tabulary.server import failures, querystring
from tabulary.server.body import Disconnected, read_json
from tabulary.server.cache import ResponseCache
from tabulary.server.context import Authenticator
from tabulary.server.limits import RequestLimits
from tabulary.server.presence import Presence
from tabulary.server.request import ApiRequest, QueryOf
from tabulary.server.requests import TIMING
from tabulary.server.routes.open import OpenRoute
from tabulary.server.routing import Family, not_found, path_of
from tabulary.server.second_factor import check_second_factor

_KEPT_QUERIES = 2048
_LONGEST_KEPT_QUERY = 4096

_WITNESSED = (
    "/items/", "/users", "/roles", "/policies", "/files", "/folders", "/activity", "/revisions", "/presets",
    "/notifications", "/comments", "/settings", "/dashboards", "/panels", "/translations", "/versions",
)  # fmt: skip
"""Paths whose GETs read items, and may be answered twice."""
_NOT_ONLY_READ = "/users/register"


class Api:
    """The innermost ASGI application.

    Args:
        platform: what handlers work with.
        families: the routes by their first path segment, in lower case.
        open_routes: exact paths that answer before authentication.
    """

    def __init__(
        self, platform: Platform, families: Mapping[str, Family], open_routes: Mapping[str, OpenRoute]
    ) -> None:
        self._platform = platform
        self._families = families
        self._open_routes = open_routes
        self._authenticate = Authenticator(platform)
        limits = RequestLimits(platform)
        self._limits = limits if limits.any else None
        self._kept = None if platform.cache is None else ResponseCache(platform, platform.cache)
        self._versions = platform.database.versions
        self._is_schema_outdated = platform.database.dialect.is_schema_outdated
        # A replica's versions are as old as the rest of it; an answer that is refused would be in the cache already.
        database = platform.database
        has_witness = database.dialect.expressions.has_witness
        self._is_witnessing = has_witness and not database.has_replica and self._kept is None
        self._body_limit = size(platform.settings["MAX_PAYLOAD_SIZE"]) or 1 << 20
        self._query_of = _query_reader(platform)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope, receive)
        except Disconnected:
            return
        except Exception as problem:
            response = await failures.answer(problem, scope.get("tabulary.accountability"), self._platform.hooks)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        if self._limits is not None:
            await self._limits.check(scope)
        payload = await read_json(scope, receive, self._body_limit)
        path, method = path_of(scope), scope["method"]
        open_route = self._open_routes.get(path.lower())
        if open_route is not None and method in ("GET", "HEAD"):
            return open_route(scope)
        if method == "GET":
            async with Presence(receive):
                return await self._read(scope, receive, payload, path)
        await self._versions.check()
        try:
            return await self._respond(scope, receive, payload, path)
        except Exception as problem:
            if self._is_schema_outdated(problem):
                raise ServiceUnavailable("api", "The data model has just been changed; try again") from problem
            raise

    async def _read(self, scope: Scope, receive: Receive, payload: Any, path: str) -> Response:
        """Answer a request that changes nothing; once more when what was remembered turns out to be old.

        Reads of items begin without a look at the versions where their statement brings those along.
        """
        is_checked = not self._is_witnessing or not path.startswith(_WITNESSED) or path.startswith(_NOT_ONLY_READ)
        # who has never looked knows nothing yet: what is read before the first look would be read anew after it
        is_checked = is_checked or self._versions.token is None
        if is_checked:
            await self._versions.check()
        witness = Witness(self._versions)
        before = WITNESS.set(None if is_checked else witness)
        relaxed = RELAXED.set(path.startswith("/items/"))
        try:
            response = await self._respond(scope, receive, payload, path)
            if is_checked or await witness.holds():
                return response
        except Exception as problem:
            # what is no error of ours may come of a column that has gone since the check
            if (is_checked and isinstance(problem, TabularyError)) or (
                await witness.holds() and not (self._is_schema_outdated(problem) and await witness.changes())
            ):
                raise
        finally:
            WITNESS.reset(before)
            RELAXED.reset(relaxed)
        return await self._respond(scope, receive, payload, path)

    async def _respond(self, scope: Scope, receive: Receive, payload: Any, path: str) -> Response:
        method = scope["method"]
        accountability = scope["tabulary.accountability"] = await self._authenticate(scope)
        timing = scope.get(TIMING)
        if timing is not None:
            timing.mark("auth")
        if accountability.lacks_tfa:
            check_second_factor(method, path)
        family = self._families.get(path[1:].partition("/")[0].lower())
        if family is None or path.lower() in self._open_routes:
            raise not_found(scope)
        match = family.match(method, path)
        if match is None:
            if method == "OPTIONS" and (methods := family.methods(path)):
                return Response(",".join(methods), 200, {"Allow": ",".join(methods)}, "text/html; charset=utf-8")
            raise not_found(scope)
        endpoint, scope["path_params"] = match
        schema = await self._platform.schemas.current()
        request = ApiRequest(scope, receive, self._platform, accountability, schema, payload, self._query_of)
        response: Response = await (endpoint(request) if self._kept is None else self._kept.answer(request, endpoint))
        if timing is not None:
            timing.mark("work")
        return response


def _query_reader(platform: Platform) -> QueryOf:
    """Parsing with memory: clients repeat their query strings, and a parsed query is immutable."""
    settings = platform.settings
    depth, limit = int(settings["QUERYSTRING_MAX_PARSE_DEPTH"]), int(settings["QUERYSTRING_ARRAY_LIMIT"])

    def parse(raw: bytes) -> Query:
        try:
            return Query.parse(querystring.parse(raw.decode("latin-1"), depth, limit), settings)
        except RecursionError:
            raise InvalidQuery("The query is nested too deeply") from None

    remembered = lru_cache(_KEPT_QUERIES)(parse)
    return lambda raw: remembered(raw) if len(raw) <= _LONGEST_KEPT_QUERY else parse(raw)
