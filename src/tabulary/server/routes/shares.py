"""``/shares``: sharing single items, and coming in with a share (spec users §5.1)."""

from __future__ import annotations

import re
from typing import cast

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import InvalidPayload
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.server import bodies, respond
from tabulary.server.cookies import token_answer
from tabulary.server.request import ApiRequest
from tabulary.server.routes.resource import Resource
from tabulary.server.routing import not_found
from tabulary.services.shares import SharesService
from tabulary.services.tokens import Mode

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Shares(Resource):
    """The shares. Keys that are no UUIDs are no routes, and lists carry no counts."""

    def routes(self) -> list[Route]:
        return [
            Route(f"{self.path}/auth", self.login, methods=["POST"]),
            Route(f"{self.path}/invite", self.invite, methods=["POST"]),
            Route(f"{self.path}/info/{{key}}", self.info, methods=["GET"]),
            *super().routes(),
        ]

    def service(self, request: ApiRequest) -> SharesService:
        key = request.path_params.get("key")
        if key is not None and not _UUID.fullmatch(key):
            raise not_found(request.scope)
        service: SharesService = super().service(request)
        return service

    async def counts(self, request: ApiRequest, query: Query) -> None:
        """Lists of shares have no ``meta``."""

    async def login(self, request: ApiRequest) -> Response:
        body = bodies.read_members(
            request.payload,
            {"share": bodies.text},
            {"password": bodies.any_text, "mode": bodies.one_of("cookie", "json", "session")},
        )
        mode = cast(Mode, body.get("mode", "json"))
        tokens = await self.service(request).login(body["share"], body.get("password"), mode)
        return token_answer(request.platform.settings, tokens, mode)

    async def invite(self, request: ApiRequest) -> Response:
        body = bodies.read_members(request.payload, {"share": bodies.text})
        emails = body.get("emails", [])
        if not isinstance(emails, list):
            raise InvalidPayload('"emails" must be an array')
        await self.service(request).invite(body["share"], emails)
        return respond.nothing()

    async def info(self, request: ApiRequest) -> Response:
        """What anybody may know of a share."""
        return respond.plain(await self.service(request).info(request.path_params["key"]))


def routes(platform: Platform) -> list[Route]:
    return Shares("/shares", "directus_shares").routes()
