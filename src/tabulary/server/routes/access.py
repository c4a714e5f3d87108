"""``/access``: which policies hold for which roles and users (spec users §4.7)."""

from __future__ import annotations

from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server.routes.policies import nothing
from tabulary.server.routes.resource import Resource


def routes(platform: Platform) -> list[Route]:
    return [Route("/access/me", nothing, methods=["GET"]), *Resource("/access", "directus_access").routes()]
