"""Authenticating over a socket: the three modes and the ``auth`` message (spec §2.2)."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from tabulary.core.errors import TabularyError
from tabulary.items.platform import Platform
from tabulary.server.realtime.client import Client
from tabulary.server.realtime.connection import Connection
from tabulary.server.realtime.frames import SocketError, Uid, error_frame, frame
from tabulary.services.authentication import AuthenticationService

Mode = Literal["public", "handshake", "strict"]

EXPIRED = SocketError("TOKEN_EXPIRED", "The token has ended. Authenticate again.")
TIMEOUT = SocketError("AUTH_TIMEOUT", "Nobody authenticated in time.")
FAILED = SocketError("AUTH_FAILED", "Authentication failed. Check the credentials or the token.")


class Gate:
    """The authentication of one connection.

    Args:
        mode: ``public`` asks for nothing, ``handshake`` for an ``auth`` message in time, ``strict`` for a token before.
        timeout: seconds until an ``auth`` message has to be there.
    """

    def __init__(
        self, platform: Platform, logins: AuthenticationService, connection: Connection, mode: Mode, timeout: float
    ) -> None:
        self.mode = mode
        self._platform = platform
        self._logins = logins
        self._connection = connection
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, code: int = 1005) -> None:
        """Close the connection, with a code, unless somebody authenticates in time."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._expire, code)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def lost(self) -> None:
        """The client's token has ended: say so, and wait for another one where one is needed."""
        self._connection.send_json(error_frame("auth", EXPIRED))
        if self.mode != "public":
            self.wait()

    def _expire(self, code: int) -> None:
        self._timer = None
        if code == 1005:  # GraphQL's protocol tells by the code alone
            self._connection.send_json(error_frame("auth", TIMEOUT))
        self._connection.close(code)

    async def authenticate(self, client: Client, message: dict[str, Any], uid: Uid) -> bool:
        """Answer an ``auth`` message; False when it failed and the connection ends."""
        try:
            refresh_token = await self._login(client, message)
        except TabularyError:
            client.forget()
            self._connection.send_json(error_frame("auth", FAILED, uid))
            if self.mode == "public":
                return True
            self._connection.close()
            return False
        self.stop()
        extra = {} if refresh_token is None else {"refresh_token": refresh_token}
        self._connection.send_json(frame("auth", uid, status="ok", **extra))
        return True

    async def _login(self, client: Client, message: dict[str, Any]) -> str | None:
        """Become who the message says; the new refresh token, where there is one."""
        schema = await self._platform.schemas.current()
        if isinstance(message.get("email"), str) and isinstance(message.get("password"), str):
            await self._check_login(client)
            given = {name: message[name] for name in ("email", "password", "otp") if isinstance(message.get(name), str)}
            tokens = await self._logins.login(given, client.who, schema, "json")
        elif isinstance(message.get("refresh_token"), str):
            tokens = await self._logins.refresh(message["refresh_token"], client.who, schema, "json")
        elif isinstance(message.get("access_token"), str):
            await client.login(message["access_token"])
            return None
        else:
            raise FAILED
        await client.login(tokens.access_token)
        return tokens.refresh_token

    async def _check_login(self, client: Client) -> None:
        """Passwords are tried here no more often, and no longer, than over HTTP."""
        if self._platform.settings["AUTH_DISABLE_DEFAULT"]:
            raise FAILED
        limit, ip = self._platform.limits.limit("LOGIN"), client.who.ip
        if limit is not None and ip is not None:
            await limit.consume(ip)
