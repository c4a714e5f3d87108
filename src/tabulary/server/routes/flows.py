"""``/flows``: flows as items, and running those that wait for a request (spec files-graphql-realtime-flows §4.3)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core import json
from tabulary.server import querystring
from tabulary.server.request import ApiRequest
from tabulary.server.respond import JSON_TYPE
from tabulary.server.routes.resource import Resource
from tabulary.services.flows.engine import Flows


class FlowsResource(Resource):
    """The items of ``/flows``, and ``/flows/trigger/:id``."""

    def __init__(self, flows: Flows) -> None:
        super().__init__("/flows", "directus_flows")
        self._flows = flows

    def routes(self) -> list[Route]:
        return [
            Route(f"{self.path}/trigger/{{key:uuid}}", self.trigger, methods=["GET", "POST"]),
            *super().routes(),
        ]

    async def trigger(self, request: ApiRequest) -> Response:
        """Run a webhook or manual flow; its result as it is, or 204 for nothing."""
        key = str(request.path_params["key"])
        trigger = {
            "path": f"/trigger/{key}",
            "query": querystring.parse(request.scope["query_string"].decode("latin-1")),
            "body": request.payload,
            "method": request.method,
            "headers": dict(request.headers),
        }
        found: Any = await self._flows.run_web(key, request.method, trigger, request.accountability, request.schema)
        if not found and not isinstance(found, dict | list):
            return Response(None, 204)
        return Response(json.encode(found), 200, media_type=JSON_TYPE)


def routes(flows: Flows) -> list[Route]:
    return FlowsResource(flows).routes()
