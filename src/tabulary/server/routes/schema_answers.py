"""What ``/collections``, ``/fields`` and ``/relations`` have in common: unknown names, answers after a change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from tabulary.core.errors import Forbidden
from tabulary.server import respond
from tabulary.server.request import ApiRequest


def known_collection(request: ApiRequest) -> str:
    """The collection of the path. Raises :class:`Forbidden` (with a reason) when the API does not serve it."""
    name: str = request.path_params["collection"]
    if name not in request.schema.collections:
        raise Forbidden(f'Collection "{name}" doesn\'t exist or you may not access it.')
    return name


async def after_change(request: ApiRequest, read: Callable[[], Awaitable[object]]) -> Response:
    """What was changed, read again with the caller's rights; 204 when it cannot be seen (spec §2.1)."""
    try:
        return respond.data(request, await read())
    except Forbidden:
        return respond.nothing()


def wants_concurrent_indexes(request: ApiRequest) -> bool:
    """``?concurrentIndexCreation``, with any value but ``false`` (spec §2.1)."""
    return request.query_params.get("concurrentIndexCreation", "false") != "false"
