"""Calling a REST endpoint from inside: the same handler, the same caller, without a second request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from tabulary.core import json
from tabulary.core.errors import RouteNotFound
from tabulary.server.graphql.system import Rest
from tabulary.server.request import ApiRequest
from tabulary.server.routing import Family

_ARGUMENT: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Endpoints:
    """The REST routes by their first path segment."""

    families: Mapping[str, Family]

    async def call(self, request: ApiRequest, rest: Rest, arguments: Mapping[str, Any]) -> tuple[Any, Response]:
        """What the endpoint answers, decoded, and the answer itself (for its cookies).

        Raises what the endpoint raises, and :class:`RouteNotFound` where it does not exist.
        """
        given = dict(rest.defaults) | {name: value for name, value in arguments.items() if value is not None}
        path = _ARGUMENT.sub(lambda match: quote(str(given.get(match[1], "")), safe=""), rest.path)
        family = self.families.get(path[1:].partition("/")[0])
        match = family.match(rest.method, path) if family else None
        if match is None:
            raise RouteNotFound(path)
        endpoint, parameters = match
        query = urlencode({name: _text(given[name]) for name in rest.query if name in given})
        scope = {
            **request.scope,
            "method": rest.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "path_params": parameters,
        }
        response: Response = await endpoint(request.inner(scope, _body(rest, given)))
        return _decoded(response), response


def _body(rest: Rest, given: Mapping[str, Any]) -> Any:
    if rest.body == ("data",):
        return given.get("data", {})
    return {name: given[name] for name in rest.body if name in given}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decoded(response: Response) -> Any:
    body = bytes(response.body) if isinstance(response.body, bytes | memoryview) else b""
    return json.decode(body) if body and b"json" in _content_type(response) else None


def _content_type(response: Response) -> bytes:
    return next((value for name, value in response.raw_headers if name == b"content-type"), b"")
