"""``/folders``: a tree of names for files to lie in (spec files §3.5)."""

from __future__ import annotations

from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server.routes.resource import Resource


def routes(platform: Platform) -> list[Route]:
    return Resource("/folders", "directus_folders").routes()
