"""``/sessions``: where somebody is logged in. Ours; the reference shows no sessions to anybody.

``GET`` lists the own sessions, ``DELETE /sessions/:id`` ends one, ``DELETE /sessions`` all but the one at work. Admins
name somebody else by ``?user=``.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.services.sessions import SessionsService


async def read(request: ApiRequest) -> Response:
    return respond.plain(await _service(request).read(request.query_params.get("user")))


async def end_one(request: ApiRequest) -> Response:
    await _service(request).end(request.path_params["key"])
    return respond.nothing()


async def end_all(request: ApiRequest) -> Response:
    await _service(request).end_all(request.query_params.get("user"))
    return respond.nothing()


def _service(request: ApiRequest) -> SessionsService:
    return SessionsService(request.platform, request.accountability)


def routes(platform: Platform) -> list[Route]:
    return [
        Route("/sessions", read, methods=["GET"]),
        Route("/sessions", end_all, methods=["DELETE"]),
        Route("/sessions/{key}", end_one, methods=["DELETE"]),
    ]
