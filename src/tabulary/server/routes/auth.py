"""``/auth``: logging in with address and password, refreshing, logging out, new passwords (spec users §3.4–3.6)."""

from __future__ import annotations

import logging
from typing import Any, cast

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import InvalidPayload, TabularyError
from tabulary.core.json import encode
from tabulary.core.stalling import at_least
from tabulary.core.tokens import is_signed, verify
from tabulary.items.platform import Platform
from tabulary.server import bodies, respond
from tabulary.server.cookies import cookie, read_cookies, token_answer
from tabulary.server.request import ApiRequest
from tabulary.server.routing import not_found
from tabulary.services.authentication import AuthenticationService
from tabulary.services.password_reset import STALL_TIME
from tabulary.services.tokens import Mode

logger = logging.getLogger("tabulary.server")


class Auth:
    """The routes of one application."""

    def __init__(self, platform: Platform) -> None:
        self._settings = platform.settings
        self._authentication = AuthenticationService(platform)
        self._logins = platform.limits.limit("LOGIN")
        self._login_body = (
            {"email": bodies.email(platform.access.addresses), "password": bodies.text},
            {"mode": bodies.one_of("cookie", "json", "session"), "otp": bodies.text},
        )

    def routes(self) -> list[Route]:
        return [
            Route("/auth", self.providers, methods=["GET"]),
            Route("/auth/login", self.login, methods=["POST"]),
            Route("/auth/refresh", self.refresh, methods=["POST"]),
            Route("/auth/logout", self.logout, methods=["POST"]),
            Route("/auth/password/request", self.request_password, methods=["POST"]),
            Route("/auth/password/reset", self.reset_password, methods=["POST"]),
        ]

    async def providers(self, request: ApiRequest) -> Response:
        """The configured login providers besides address and password."""
        providers = []
        for name in self._settings.get("AUTH_PROVIDERS") or ():
            options = self._settings.group(f"AUTH_{name.upper()}_")
            if driver := options.get("driver"):
                shown = {"name": name, "label": options.get("label"), "driver": driver, "icon": options.get("icon")}
                providers.append({key: value for key, value in shown.items() if value is not None})
        disabled = bool(self._settings.get("AUTH_DISABLE_DEFAULT"))
        return Response(encode({"data": providers, "disableDefault": disabled}), 200, media_type=respond.JSON_TYPE)

    async def login(self, request: ApiRequest) -> Response:
        if self._settings.get("AUTH_DISABLE_DEFAULT"):
            raise not_found(request.scope)
        if self._logins is not None and request.accountability.ip is not None:
            await self._logins.consume(request.accountability.ip)
        async with self._authentication.stalled():
            payload = bodies.read_members(request.payload, *self._login_body)
            mode = cast(Mode, payload.get("mode", "json"))
            tokens = await self._authentication.login(payload, request.accountability, request.schema, mode)
        return token_answer(self._settings, tokens, mode)

    async def refresh(self, request: ApiRequest) -> Response:
        mode, token = self._token(request)
        tokens = await self._authentication.refresh(token, request.accountability, request.schema, mode)
        return token_answer(self._settings, tokens, mode)

    async def logout(self, request: ApiRequest) -> Response:
        _, token = self._token(request)
        await self._authentication.logout(token, request.accountability, request.schema)
        response = Response(None, 204)
        sent = read_cookies(request.headers.get("cookie"))
        for kind in ("REFRESH_TOKEN", "SESSION"):
            if sent.get(self._settings[f"{kind}_COOKIE_NAME"]):
                response.headers.append("set-cookie", cookie(self._settings, kind, ""))
        return response

    async def request_password(self, request: ApiRequest) -> Response:
        """Mail a link for a new password. The answer is the same whether or not somebody has the address."""
        body = request.payload if isinstance(request.payload, dict) else {}
        email, url = body.get("email"), body.get("reset_url")
        if not isinstance(email, str):
            raise InvalidPayload('"email" field is required')
        if not isinstance(url, str | None):
            raise InvalidPayload('"reset_url" must be a string')
        async with at_least(STALL_TIME):
            try:
                await request.service("directus_users").request_password_reset(email, url or None)
            except InvalidPayload:
                raise
            except TabularyError as problem:
                logger.info("no mail for a password reset: %s", problem)
            except Exception:
                logger.exception("no mail for a password reset")
        return respond.nothing()

    async def reset_password(self, request: ApiRequest) -> Response:
        """Set a new password with the token of such a mail."""
        body = request.payload if isinstance(request.payload, dict) else {}
        for name in ("token", "password"):
            if not isinstance(body.get(name), str) or (name == "password" and not body[name]):
                raise InvalidPayload(f'"{name}" field is required')
        await request.service("directus_users").reset_password(body["token"], body["password"])
        return respond.nothing()

    def _token(self, request: ApiRequest) -> tuple[Mode, str]:
        """The way a refresh or logout works and its token. Raises :class:`InvalidPayload` when there is none."""
        body = request.payload if isinstance(request.payload, dict) else {}
        cookies = read_cookies(request.headers.get("cookie"))
        given = body.get("refresh_token")
        is_odd = isinstance(given, list | dict)  # sent, even when it is empty: then it is wrong and not missing
        mode = body.get("mode") or ("json" if given or is_odd else "cookie")
        token: Any = None
        if mode == "json":
            token = given
        elif mode == "cookie":
            token = cookies.get(self._settings["REFRESH_TOKEN_COOKIE_NAME"])
        elif mode == "session":
            signed = cookies.get(self._settings["SESSION_COOKIE_NAME"])
            if signed and is_signed(signed):
                token = verify(signed, self._settings["SECRET"]).get("session")
        if not token and not (is_odd and mode == "json"):
            raise InvalidPayload("The refresh token is required in either the payload or cookie")
        return cast(Mode, mode), token if isinstance(token, str) else ""  # which is nobody's


def routes(platform: Platform) -> list[Route]:
    return Auth(platform).routes()
