"""Finding the handler of a path: a dictionary look-up for the family, then the family's own few patterns.

Routes are Starlette ``Route`` objects; their patterns are matched here without regard to case and to a trailing slash,
as clients of the reference expect, and on the percent-encoded path, so that a key may contain an encoded slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

from starlette.routing import Route
from starlette.types import Scope

from tabulary.core.errors import RouteNotFound

Match = tuple[Any, dict[str, Any]]
"""The endpoint and the parameters of the path."""


class Family:
    """The routes below one first path segment, by method, in order."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_method: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            pattern = re.compile(route.path_regex.pattern.removesuffix("$"), re.IGNORECASE)
            for method in sorted(route.methods or {"GET", "HEAD"}):
                self._by_method.setdefault(method, []).append((pattern, route))

    def match(self, method: str, path: str) -> Match | None:
        for pattern, route in self._by_method.get(method, ()):
            if found := pattern.fullmatch(path):
                convertors = route.param_convertors
                return route.endpoint, {k: convertors[k].convert(unquote(v)) for k, v in found.groupdict().items()}
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that some route of the path takes."""
        found = [m for m, routes in self._by_method.items() if any(p.fullmatch(path) for p, _ in routes)]
        return sorted(found, key="POST SEARCH GET HEAD PATCH DELETE".find)


def path_of(scope: Scope) -> str:
    """The path below the mount point, percent-encoded where it was and without a trailing slash."""
    raw: bytes = scope.get("raw_path") or b""
    encoded = b"%" in raw
    path: str = raw.partition(b"?")[0].decode("latin-1") if encoded else scope["path"]
    if root := scope.get("root_path"):
        path = path.removeprefix(quote(root) if encoded else root)
    return path.rstrip("/") or "/"


def shown_path(scope: Scope) -> str:
    """The path as the client wrote it, for ``ROUTE_NOT_FOUND``."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def not_found(scope: Scope) -> RouteNotFound:
    return RouteNotFound(shown_path(scope))
