"""Rate limits of requests: of the whole server and of one client address (spec users §6.3).

They run before anything else is done for a request, also before ``/server/ping``. Routes with a limit of their own
(registration, login, password reset) ask ``platform.limits`` themselves, so that every door to them counts.
"""

from __future__ import annotations

from starlette.types import Scope

from tabulary.core.errors import ConfigurationError
from tabulary.core.limits import Limit
from tabulary.items.platform import Platform
from tabulary.server.context import ClientAddresses


class RequestLimits:
    """The limiters that are switched on."""

    def __init__(self, platform: Platform) -> None:
        """Raises :class:`ConfigurationError` for a global limit that the limit by address could never reach."""
        self._by_server = platform.limits.limit("GLOBAL")
        self._by_client = platform.limits.limit("")
        self._clients = ClientAddresses(platform.settings)
        _check(self._by_server, self._by_client)

    @property
    def any(self) -> bool:
        return self._by_server is not None or self._by_client is not None

    async def check(self, scope: Scope) -> None:
        """Count the request. Raises :class:`RequestsExceeded`; a client without an address has no limit of its own."""
        if self._by_server is not None:
            await self._by_server.consume("all")
        if self._by_client is not None and (ip := self._clients.of_scope(scope)) is not None:
            await self._by_client.consume(ip)


def _check(by_server: Limit | None, by_client: Limit | None) -> None:
    if by_server is None:
        return
    if by_client is None:
        raise ConfigurationError("RATE_LIMITER_GLOBAL_ENABLED needs RATE_LIMITER_ENABLED=true as well")
    if by_server.points / by_server.seconds <= by_client.points / by_client.seconds:
        raise ConfigurationError("RATE_LIMITER_GLOBAL_POINTS has to allow more a second than RATE_LIMITER_POINTS")
