"""How somebody becomes a user: invitations and public registration (spec users §2), below ``/users``.

``/users/invitations`` is ours: the reference offers no way to see, repeat or take back what it has sent.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tabulary.core.errors import InvalidToken
from tabulary.items.platform import Platform
from tabulary.server import bodies, respond
from tabulary.server.request import ApiRequest
from tabulary.services.users import UsersService

USERS = "directus_users"


class Joining:
    """The routes of one application."""

    def __init__(self, platform: Platform) -> None:
        self._registrations = platform.limits.limit("REGISTRATION")
        self._root = urlsplit(str(platform.settings["PUBLIC_URL"])).path.rstrip("/")
        self._email = bodies.email(platform.access.addresses)
        self._emails = bodies.emails(platform.access.addresses)

    def routes(self) -> list[Route]:
        return [
            Route("/users/invite", self.invite, methods=["POST"]),
            Route("/users/invite/accept", self.accept, methods=["POST"]),
            Route("/users/invitations", self.read_invitations, methods=["GET"]),
            Route("/users/invitations/{key}/send", self.send_again, methods=["POST"]),
            Route("/users/invitations/{key}", self.revoke, methods=["DELETE"]),
            Route("/users/register", self.register, methods=["POST"]),
            Route("/users/register/verify-email", self.verify_email, methods=["GET"]),
        ]

    # --- invitations ------------------------------------------------------------------------
    async def invite(self, request: ApiRequest) -> Response:
        body = bodies.read_body(
            request.payload, {"email": self._emails, "role": bodies.guid}, {"invite_url": bodies.uri}
        )
        await _users(request).invite_user(body["email"], _plain_guid(body["role"]), body.get("invite_url"))
        return respond.nothing()

    async def accept(self, request: ApiRequest) -> Response:
        body = bodies.read_body(request.payload, {"token": bodies.text, "password": bodies.text})
        await _users(request).accept_invite(body["token"], body["password"])
        return respond.nothing()

    async def read_invitations(self, request: ApiRequest) -> Response:
        """Who has been invited and not yet come."""
        return respond.data(request, await _users(request).invitations.pending(request.query))

    async def send_again(self, request: ApiRequest) -> Response:
        body = bodies.read_body(request.payload, {}, {"invite_url": bodies.uri})
        await _users(request).invitations.send_again(request.path_params["key"], body.get("invite_url"))
        return respond.nothing()

    async def revoke(self, request: ApiRequest) -> Response:
        await _users(request).invitations.revoke(request.path_params["key"])
        return respond.nothing()

    # --- registration -----------------------------------------------------------------------
    async def register(self, request: ApiRequest) -> Response:
        if self._registrations is not None and request.accountability.ip is not None:
            await self._registrations.consume(request.accountability.ip)
        body = bodies.read_body(
            request.payload,
            {"email": self._email, "password": bodies.text},
            {"verification_url": bodies.uri, "first_name": bodies.text, "last_name": bodies.text},
        )
        await _users(request).register_user(body)
        return respond.nothing()

    async def verify_email(self, request: ApiRequest) -> Response:
        """The link in the mail: on to the own account, or to the login when it carries no token."""
        token = request.query_params.get("token")
        if token is None:
            raise InvalidToken
        if not token:
            return RedirectResponse(f"{self._root}/admin/login", 302)
        user = await _users(request).verify_registration(token)
        return RedirectResponse(f"{self._root}/admin/users/{user}", 302)


def _users(request: ApiRequest) -> UsersService:
    users: UsersService = request.service(USERS)
    return users


def _plain_guid(guid: str) -> str:
    return guid.strip("{}").lower()


def routes(platform: Platform) -> list[Route]:
    return Joining(platform).routes()
