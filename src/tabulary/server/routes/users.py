"""``/users``: accounts, and what a user may do with the own one (spec users §2).

How somebody becomes a user (invitations, registration) is in :mod:`tabulary.server.routes.joining`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from tabulary.items.options import MutationOptions
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.batch import read_batch
from tabulary.server.request import ApiRequest
from tabulary.server.respond import JsonText
from tabulary.server.routes import joining
from tabulary.server.routes.resource import Resource


class Users(Resource):
    """The users, and ``me``."""

    def routes(self) -> list[Route]:
        return [
            Route(f"{self.path}/me", self.read_me, methods=["GET"]),
            Route(f"{self.path}/me", self.update_me, methods=["PATCH"]),
            Route(f"{self.path}/me/track/page", self.track_page, methods=["PATCH"]),
            Route(f"{self.path}/me/tfa/generate", self.generate_tfa, methods=["POST"]),
            Route(f"{self.path}/me/tfa/enable", self.enable_tfa, methods=["POST"]),
            Route(f"{self.path}/me/tfa/disable", self.disable_tfa, methods=["POST"]),
            Route(f"{self.path}/{{key}}/tfa/disable", self.remove_tfa, methods=["POST"]),
            *super().routes(),
        ]

    async def search(self, request: ApiRequest) -> Response:
        """As everywhere, except that ``keys`` are allowed but select nothing: the query alone counts here."""
        batch = read_batch(request.payload, "read")
        if batch.query is not None:
            request.query = request.parsed(batch.query)
        return await self.read_many(request)

    async def read_me(self, request: ApiRequest) -> Response:
        """The own account; at least its id when nothing of it may be read."""
        if share := request.accountability.share:
            return respond.plain({"share": share})
        user = _own_id(request)
        try:
            text = await self.service(request).read_json_one(user, request.query)
        except Forbidden:
            return respond.data(request, {"id": user})
        return respond.data(request, JsonText(text))

    async def update_me(self, request: ApiRequest) -> Response:
        """Change the own account. Answers 403 when the result may not be read, although it is saved (spec §2)."""
        user, query = _own_id(request), request.query
        service = self.service(request)
        await service.update_one(user, self.object_of(request))
        return respond.data(request, JsonText(await service.read_json_one(user, query)))

    async def track_page(self, request: ApiRequest) -> Response:
        """Remember where in the Studio the user was. Needs no permission and leaves no trace."""
        user = _own_id(request)
        page = self.object_of(request).get("last_page")
        if not page:
            raise InvalidPayload('"last_page" key is required')
        trusted = request.platform.service(self.collection, schema=request.schema)
        await trusted.update_one(user, {"last_page": page}, MutationOptions(auto_purge_cache=False))
        return respond.nothing()

    # --- the second factor ------------------------------------------------------------------
    async def generate_tfa(self, request: ApiRequest) -> Response:
        """A secret to show to an authenticator app; nothing is kept yet."""
        user = _own_id(request)
        password = _text_of(self.object_of(request), "password")
        return respond.plain(await self.service(request).two_factor.generate(user, password))

    async def enable_tfa(self, request: ApiRequest) -> Response:
        """Keep the secret, now that its owner has shown a code of it."""
        user, body = _own_id(request), self.object_of(request)
        secret, code = _needed(body, "secret"), _needed(body, "otp")
        await self.service(request).two_factor.enable(user, secret, code)
        return respond.nothing()

    async def disable_tfa(self, request: ApiRequest) -> Response:
        user = _own_id(request)
        await self.service(request).two_factor.disable(user, _needed(self.object_of(request), "otp"))
        return respond.nothing()

    async def remove_tfa(self, request: ApiRequest) -> Response:
        """Forget somebody's secret; for admins."""
        _own_id(request)
        if not request.accountability.admin:
            raise Forbidden
        await self.service(request).two_factor.remove(request.path_params["key"])
        return respond.nothing()


def _text_of(body: Mapping[str, Any], name: str) -> str | None:
    """A member as text, as clients also send codes as numbers; None for an empty or missing one."""
    value = body.get(name)
    return str(value) if isinstance(value, str | int) and value else None


def _needed(body: Mapping[str, Any], name: str) -> str:
    if (value := _text_of(body, name)) is None:
        raise InvalidPayload(f'"{name}" is required')
    return value


def _own_id(request: ApiRequest) -> str:
    if request.accountability.user is None:
        raise InvalidCredentials
    return request.accountability.user


def routes(platform: Platform) -> list[Route]:
    return [*joining.routes(platform), *Users("/users", "directus_users").routes()]
