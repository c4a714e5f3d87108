"""Who sends a request: token and client address out of the headers, accountability out of the token (spec users §3.2).

One look into a dictionary answers for callers seen before; everything else happens once per caller.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, MutableMapping
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl

from tabulary.access.accountability import Accountability
from tabulary.access.identities import Identities
from tabulary.access.networks import parse_address
from tabulary.core.errors import InvalidCredentials, InvalidPayload, InvalidToken
from tabulary.core.events import EventContext
from tabulary.core.settings import Settings
from tabulary.items.platform import Platform
from tabulary.server.cookies import cookie, read_cookies

logger = logging.getLogger("tabulary.server")

Scope = MutableMapping[str, Any]

_HEADERS = (b"authorization", b"cookie", b"user-agent", b"origin", b"x-forwarded-for")
_CAPACITY = 10_000
_MAX_USER_AGENT = 1024
_MAX_ORIGIN = 255
_NAMED_NETWORKS = {
    "loopback": ("127.0.0.1/8", "::1/128"),
    "linklocal": ("169.254.0.0/16", "fe80::/10"),
    "uniquelocal": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
}


class Authenticator:
    """Makes the accountability of each request of one application."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._identities = Identities(platform.database, platform.access, platform.settings)
        self._clients = ClientAddresses(platform.settings)
        self._cookie = str(platform.settings["SESSION_COOKIE_NAME"])
        custom = self._clients.custom_header
        self._headers = (*_HEADERS, custom) if custom else _HEADERS
        self._known: dict[tuple[Any, ...], tuple[Accountability, float, int]] = {}
        self._version = platform.access.identity_version

    async def __call__(self, scope: Scope) -> Accountability:
        """The accountability of the request.

        Raises :class:`InvalidPayload` for a token in two places, and what :meth:`Identities.resolve` raises; a session
        cookie that failed is dropped by the error's headers.
        """
        found = self._pick(scope["headers"])
        query = scope["query_string"]
        client = scope["client"]
        key = (*map(found.get, self._headers), client and client[0], query if b"access_token" in query else None)
        version, sessions = self._platform.access.identity_version, self._platform.access.session_version
        if version != self._version:
            self._known, self._version = {}, version
        known = self._known.get(key)
        if known is not None and not self._platform.hooks.listens("authenticate"):
            accountability, expires, seen = known
            if (accountability.session is None or seen == sessions) and expires > time.time():
                return accountability
        accountability, expires = await self._authenticate(scope, _Request.of(found, query, self._cookie))
        if version == self._platform.access.identity_version:
            if len(self._known) >= _CAPACITY:
                self._known = {}
            self._known[key] = accountability, expires, sessions
        return accountability

    def _pick(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """The headers that matter. Of equal names the first counts, but forwarded addresses add up."""
        found: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in self._headers:
                if name not in found:
                    found[name] = value
                elif name == b"x-forwarded-for":
                    found[name] += b", " + value
        return found

    async def _authenticate(self, scope: Scope, request: _Request) -> tuple[Accountability, float]:
        ip = self._clients.of(scope, request.headers)
        default = Accountability(
            ip=ip,
            user_agent=(request.headers.get("user-agent") or "")[:_MAX_USER_AGENT] or None,
            origin=(request.headers.get("origin") or "")[:_MAX_ORIGIN] or None,
        )
        token = request.token
        if self._platform.hooks.listens("authenticate"):
            context = EventContext(self._platform.database)
            replaced = await self._platform.hooks.emit_filter("authenticate", default, {"req": scope}, context)
            if replaced != default:
                return replaced, 0.0
        if token is None:
            return default, float("inf")
        try:
            identity = await self._identities.resolve(token, ip)
        except (InvalidCredentials, InvalidToken) as problem:
            if token == request.cookie:
                problem.headers = (("set-cookie", cookie(self._platform.settings, "SESSION", "")),)
            raise
        accountability = Accountability(
            identity.user,
            identity.role,
            identity.roles,
            identity.admin,
            identity.app,
            ip,
            default.user_agent,
            default.origin,
            identity.share,
            identity.session,
            identity.lacks_tfa,
        )
        return accountability, identity.expires


class _Request:
    """What of a request matters here."""

    def __init__(self, headers: Mapping[str, str], cookie: str | None, query_token: str | None) -> None:
        self.headers = headers
        self.cookie = cookie
        self._query_token = query_token

    @classmethod
    def of(cls, raw: Mapping[bytes, bytes], query: bytes, cookie_name: str) -> _Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw.items()}
        pairs = parse_qsl(query.decode("latin-1")) if b"access_token" in query else ()
        query_token = next((value for name, value in pairs if name == "access_token" and value), None)
        return cls(headers, read_cookies(headers.get("cookie")).get(cookie_name) or None, query_token)

    @property
    def token(self) -> str | None:
        """The one token of the request: from the query, the Authorization header, or else the session cookie."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        bearer = value if scheme.lower() == "bearer" and value and " " not in value else None
        if bearer and self._query_token:
            raise InvalidPayload("The request uses more than one method for including an access token")
        return self._query_token or bearer or self.cookie


class ClientAddresses:
    """The address of the client behind trusted proxies (``IP_TRUST_PROXY``, ``IP_CUSTOM_HEADER``)."""

    def __init__(self, settings: Settings) -> None:
        self._trust = settings.get("IP_TRUST_PROXY", True)
        custom = settings.get("IP_CUSTOM_HEADER")
        self.custom_header = str(custom).lower().encode() if custom else None
        names = self._trust if isinstance(self._trust, list) else [self._trust] if isinstance(self._trust, str) else []
        blocks = [block for name in names for block in _NAMED_NETWORKS.get(str(name), (str(name),))]
        self._networks = [ip_network(block, strict=False) for block in blocks]

    def of(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """The client's ip, or None when nobody tells (a Unix socket). Texts that are no ip are passed over."""
        if self.custom_header:
            given = headers.get(self.custom_header.decode())
            if address := parse_address(given):
                return str(address)
            logger.warning("The header of IP_CUSTOM_HEADER holds no ip address")
        socket = scope["client"][0] if scope.get("client") else None
        forwarded = [part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]
        for hop in self._hops([socket, *reversed(forwarded)]):
            if address := parse_address(hop):
                return str(address)
        return None

    def of_scope(self, scope: Scope) -> str | None:
        """As :meth:`of`, straight from an ASGI scope: for layers before authentication."""
        wanted = (b"x-forwarded-for", self.custom_header)
        found: dict[str, str] = {}
        for name, value in scope["headers"]:
            if name in wanted:
                text, before = value.decode("latin-1"), found.get(name.decode())
                found[name.decode()] = f"{before}, {text}" if before else text
        return self.of(scope, found)

    def _hops(self, hops: list[str | None]) -> Iterable[str | None]:
        """Candidates, the farthest that may be believed first. ``hops`` begin at the socket."""
        if self._trust is True:
            believed = len(hops)
        elif isinstance(self._trust, int | float) and not isinstance(self._trust, bool):
            believed = int(self._trust) + 1
        else:
            believed = 1
            while believed < len(hops) and self._is_proxy(hops[believed - 1]):
                believed += 1
        return reversed(hops[:believed])

    def _is_proxy(self, hop: str | None) -> bool:
        address = parse_address(hop)
        return address is not None and any(address in network for network in self._networks)
