"""``/utils``: random texts, hashes, caches, the manual order, reverting, making translations (spec items §9.4)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.access.links import has_origin, is_allowed, is_path
from tabulary.core.errors import Forbidden, InvalidPayload, InvalidQuery
from tabulary.core.tokens import random_token
from tabulary.database.versions import TOPICS
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.services.sorting import SortService
from tabulary.services.translation_setup import generate_translations


def routes(platform: Platform) -> list[Route]:
    return [
        Route("/utils/random/string", random_string, methods=["GET"]),
        Route("/utils/hash/generate", generate_hash, methods=["POST"]),
        Route("/utils/hash/verify", verify_hash, methods=["POST"]),
        Route("/utils/cache/clear", clear_caches, methods=["POST"]),
        Route("/utils/sort/{collection}", sort, methods=["POST"]),
        Route("/utils/revert/{revision}", revert, methods=["POST"]),
        Route("/utils/translations/generate", generate, methods=["POST"]),
        Route("/utils/resolve-redirect", resolve_redirect, methods=["POST"]),
    ]


async def random_string(request: ApiRequest) -> Response:
    """Random url-safe text of ``length`` characters."""
    length = request.query_params.get("length", "32")
    if not length.isascii() or not length.isdigit() or not 1 <= int(length[:4]) <= 500 or len(length) > 3:
        raise InvalidQuery('"length" has to be a whole number from 1 to 500')
    return respond.plain(random_token(int(length)), cached=False)


async def generate_hash(request: ApiRequest) -> Response:
    return respond.plain(await request.platform.passwords.hash(_text(request, "string")), cached=False)


async def verify_hash(request: ApiRequest) -> Response:
    text, hashed = _text(request, "string"), _text(request, "hash")
    if not request.platform.passwords.is_hash(hashed):
        raise InvalidPayload('Invalid "hash" or "string"')
    return respond.plain(await request.platform.passwords.verify(hashed, text), cached=False)


async def clear_caches(request: ApiRequest) -> Response:
    """Admins clear the response cache, and make the server read data model and permissions again (``?system``)."""
    if not request.accountability.admin:
        raise Forbidden
    if request.platform.cache is not None:
        await request.platform.cache.purge()
    if "system" in request.query_params:
        await request.platform.database.outdate(TOPICS)
    return Response(b"", 200)


async def revert(request: ApiRequest) -> Response:
    """Write a revision's data back with the caller's rights."""
    key = request.path_params["revision"]
    query = Query.parse({"fields": ["collection", "item", "data"]}, request.platform.settings)
    revision = await request.service("directus_revisions").read_one(key, query)
    if not revision["data"]:
        raise InvalidPayload("The revision doesn't hold data to go back to")
    await request.service(revision["collection"]).update_one(revision["item"], revision["data"])
    return respond.nothing()


async def sort(request: ApiRequest) -> Response:
    """Move an item to the place of another in the manual order."""
    body = request.payload if isinstance(request.payload, dict) else {}
    for name in ("item", "to"):
        if body.get(name) is None:
            raise InvalidPayload(f'"{name}" is required')
        if isinstance(body[name], bool) or not isinstance(body[name], str | int | float):
            raise InvalidPayload(f'"{name}" must be one of [string, number]')
    service = SortService(
        request.path_params["collection"],
        platform=request.platform,
        schema=request.schema,
        accountability=request.accountability,
    )
    await service.move(body["item"], body["to"])
    return Response(b"", 200)


async def generate(request: ApiRequest) -> Response:
    """Make a collection translatable."""
    made = await generate_translations(request.platform, request.schema, request.accountability, request.payload)
    return respond.plain(made, cached=False)


async def resolve_redirect(request: ApiRequest) -> Response:
    """Where a login may lead back to: a path of ours, or an address that the settings allow."""
    target, provider = _text(request, "redirect"), request.payload.get("provider")
    settings = request.platform.settings
    if provider is not None and not isinstance(provider, str):
        raise InvalidPayload('"provider" must be a string')
    allowed = settings.get(f"AUTH_{provider.upper()}_REDIRECT_ALLOW_LIST") if provider else None
    if not (is_path(target) or has_origin(target, str(settings["PUBLIC_URL"])) or is_allowed(target, allowed)):
        raise InvalidPayload('"redirect" leads to an address that is not allowed; add it to the list of its provider')
    return respond.plain(target, cached=False)


def _text(request: ApiRequest, name: str) -> str:
    value: Any = request.payload.get(name) if isinstance(request.payload, dict) else None
    if value is None:
        raise InvalidPayload(f'"{name}" is required')
    if not isinstance(value, str):
        raise InvalidPayload(f'"{name}" must be a string')
    if not value:
        raise InvalidPayload(f'"{name}" is not allowed to be empty')
    return value
