"""``GET /permissions/explain``: why somebody may or may not do something. Ours, and for admins only.

``collection`` is required; ``action`` (read), ``user`` (key or address) or ``role`` (key; the public without both),
``key`` and ``ip`` are not.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.services.explain import Explanation, Question


async def explain(request: ApiRequest) -> Response:
    if not request.accountability.admin:
        raise Forbidden
    asked = request.query_params
    if not asked.get("collection"):
        raise InvalidPayload('"collection" is required')
    question = Question(
        asked["collection"],
        asked.get("action") or "read",
        asked.get("user") or None,
        asked.get("key") or None,
        asked.get("ip") or None,
        asked.get("role") or None,
    )
    return respond.plain(await Explanation(request.platform, request.schema).explain(question))


def routes(platform: Platform) -> list[Route]:
    return [Route("/permissions/explain", explain, methods=["GET"])]
