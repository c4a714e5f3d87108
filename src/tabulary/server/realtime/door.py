"""Where sockets come in: paths, tokens at the upgrade, limits (spec §2.1, §2.2)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast, get_args
from urllib.parse import parse_qsl, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from tabulary.access.accountability import Accountability
from tabulary.access.identities import Identities
from tabulary.core.errors import ConfigurationError, TabularyError
from tabulary.core.settings import Settings
from tabulary.items.platform import Platform
from tabulary.server.context import ClientAddresses
from tabulary.server.cookies import read_cookies
from tabulary.server.graphql.route import GraphQL
from tabulary.server.realtime.authentication import Gate, Mode
from tabulary.server.realtime.client import Client
from tabulary.server.realtime.connection import Connection
from tabulary.server.realtime.json_protocol import JsonSocket
from tabulary.server.realtime.logs import LogSocket, LogStream
from tabulary.server.realtime.sockets import OpenSockets, Socket
from tabulary.services.authentication import AuthenticationService
from tabulary.services.subscriptions import CHANNEL, Subscriptions

logger = logging.getLogger("tabulary.realtime")

Refusal = tuple[int, str]

GRAPHQL_PROTOCOL: Final = "graphql-transport-ws"
_WRONG_PROTOCOL: Final = 4406
_MAX_USER_AGENT: Final = 1024


@dataclass(frozen=True, slots=True)
class Door:
    """One path: who may come in and how many."""

    kind: str
    mode: Mode
    timeout: float
    limit: float

    @classmethod
    def of(cls, settings: Settings, kind: str, fixed: Mode | None = None) -> Door:
        prefix = f"WEBSOCKETS_{kind}"
        mode = fixed or str(settings.get(f"{prefix}_AUTH") or "handshake")
        if mode not in get_args(Mode):
            raise ConfigurationError(f"{prefix}_AUTH has to be one of {', '.join(get_args(Mode))}")
        seconds = float(settings.get(f"{prefix}_AUTH_TIMEOUT") or 10)
        return cls(kind, cast(Mode, mode), seconds, float(settings.get(f"{prefix}_CONN_LIMIT") or "inf"))


class Realtime:
    """Takes sockets and hands everything else on to ``app``."""

    def __init__(self, app: ASGIApp, platform: Platform, subscriptions: Subscriptions, graphql: GraphQL) -> None:
        self._app = app
        self._platform = platform
        self._hub = subscriptions
        self._graphql = graphql
        self._identities = Identities(platform.database, platform.access, platform.settings)
        self._logins = AuthenticationService(platform)
        self._addresses = ClientAddresses(platform.settings)
        self._logs = LogStream()
        self._doors = _doors(platform.settings)
        self._inside: Counter[str] = Counter()
        self._open = OpenSockets(platform.settings)
        if self._doors:
            subscriptions.start()
            platform.bus.listen(CHANNEL, self._open.on_change)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        await receive()
        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/") or "/"
        door = self._doors.get(path)
        if door is None:
            await _refuse(scope, send, (404, "ROUTE_NOT_FOUND"))
        elif self._inside[door.kind] >= door.limit:
            await _refuse(scope, send, (403, "FORBIDDEN"))
        else:
            self._inside[door.kind] += 1
            try:
                await self._admit(door, scope, receive, send)
            finally:
                self._inside[door.kind] -= 1

    async def _admit(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(receive, send)
        gate = Gate(self._platform, self._logins, connection, door.mode, door.timeout)
        client = Client(self._platform, self._identities, self._anonymous(scope), gate.lost)
        token = _token(scope, self._platform.settings)
        try:
            if token is not None:
                await client.login(token)
        except TabularyError:
            await _refuse(scope, send, (401, "INVALID_CREDENTIALS"))
            return
        if (door.mode == "strict" and token is None) or (door.kind == "LOGS" and not client.who.admin):
            client.close()
            await _refuse(scope, send, (401, "INVALID_CREDENTIALS"))
            return
        offered = scope.get("subprotocols") or ()
        protocol = GRAPHQL_PROTOCOL if GRAPHQL_PROTOCOL in offered else None
        await send({"type": "websocket.accept", "subprotocol": protocol})
        if door.kind == "GRAPHQL" and protocol is None:
            client.close()
            await send({"type": "websocket.close", "code": _WRONG_PROTOCOL})
            return
        await self._serve(self._socket(door, connection, client, gate, scope))

    def _socket(self, door: Door, connection: Connection, client: Client, gate: Gate, scope: Scope) -> Socket:
        if door.kind == "REST":
            return JsonSocket(self._platform, self._hub, connection, client, gate)
        if door.kind == "LOGS":
            return LogSocket(self._logs, connection, client, str(self._platform.settings["WEBSOCKETS_LOGS_LEVEL"]))
        # here, because it needs graphql-core, as the engine does
        from tabulary.server.realtime.graphql_protocol import GraphQLSocket

        return GraphQLSocket(self._platform, self._hub, self._graphql.engine, connection, client, gate, dict(scope))

    async def _serve(self, socket: Socket) -> None:
        """Read and write until either ends."""
        reading = asyncio.ensure_future(socket.run())
        writing = asyncio.ensure_future(socket.connection.run())
        with self._open.holding(socket):
            try:
                await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                socket.connection.is_closed = True
                for task in (reading, writing):
                    task.cancel()
        for result in await asyncio.gather(reading, writing, return_exceptions=True):
            if isinstance(result, Exception):
                logger.debug("a socket ended with an error", exc_info=result)

    def _anonymous(self, scope: Scope) -> Accountability:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        agent = headers.get("user-agent", "")[:_MAX_USER_AGENT] or None
        return Accountability(ip=self._addresses.of(scope, headers), user_agent=agent, origin=headers.get("origin"))


def _doors(settings: Settings) -> dict[str, Door]:
    """The doors by path; none without ``WEBSOCKETS_ENABLED``."""
    if not settings["WEBSOCKETS_ENABLED"]:
        return {}
    found: dict[str, Door] = {}
    for kind in ("LOGS", "GRAPHQL", "REST"):
        if settings[f"WEBSOCKETS_{kind}_ENABLED"] is not False:
            path = str(settings[f"WEBSOCKETS_{kind}_PATH"])
            found[path.rstrip("/") or "/"] = Door.of(settings, kind, "strict" if kind == "LOGS" else None)
    return found


def _token(scope: Scope, settings: Settings) -> str | None:
    """The token in the query string, or the session cookie where a page of ours or of a trusted origin sends it."""
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
    if query.get("access_token"):
        return str(query["access_token"])
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    cookies: dict[str, str] = read_cookies(headers.get(b"cookie", ""))
    token = cookies.get(str(settings["SESSION_COOKIE_NAME"]))
    return token if token and _is_trusted(headers.get(b"origin"), headers.get(b"host"), settings) else None


def _is_trusted(origin: str | None, host: str | None, settings: Settings) -> bool:
    """Browsers send cookies with sockets that any page opens, and ask nobody; so the page's origin has to fit."""
    if origin is None:
        return True
    if settings["CORS_ENABLED"]:
        allowed = settings["CORS_ORIGIN"]
        if allowed is True or origin == allowed or (isinstance(allowed, list) and origin in allowed):
            return True
    return urlsplit(origin).netloc in (host, urlsplit(str(settings["PUBLIC_URL"])).netloc)


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """No upgrade: a plain HTTP answer where the server can give one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    status, text = refusal
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    with suppress(OSError):
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": text.encode()})
