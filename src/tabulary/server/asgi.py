"""The ASGI application, on one page: its layers and its route families in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from tabulary.database.versions import CHANNEL
from tabulary.items.platform import Platform
from tabulary.server.api import Api
from tabulary.server.compression import Compression
from tabulary.server.graphql.route import GraphQL
from tabulary.server.layers import CommonHeaders, Cors
from tabulary.server.pressure import PressureLimiter
from tabulary.server.realtime.door import Realtime
from tabulary.server.requests import Observe, Requests
from tabulary.server.routes import (
    access,
    assets,
    auth,
    collections,
    fields,
    files,
    flows,
    folders,
    items,
    open,
    permissions,
    policies,
    relations,
    roles,
    schema,
    server,
    sessions,
    shares,
    system,
    transfer,
    users,
    utilities,
    versions,
)
from tabulary.server.routing import Family
from tabulary.server.studio import Studio
from tabulary.server.tracing import Traced
from tabulary.services.file_tus import ResumableUploads, schedule_clean_up
from tabulary.services.flows.engine import Flows
from tabulary.services.retention import schedule_retention
from tabulary.services.schedules import Schedules
from tabulary.services.subscriptions import Subscriptions

logger = logging.getLogger("tabulary.server")

_PRESSURE = "PRESSURE_LIMITER_ENABLED"

Lifecycle = Callable[[], Awaitable[None]]


def build(
    platform: Platform,
    subscriptions: Subscriptions,
    own_flows: Flows,
    is_server: bool = False,
    uploads: ResumableUploads | None = None,
) -> ASGIApp:
    """The application of an opened platform, outermost layer last. ``uploads`` are those that it shares, if any.

    ``is_server``: the event loop is ours. In somebody else's the pressure limiter would answer for things that we have
    no part in; there it is in place only when the settings ask for it.
    """
    families = {
        "items": items.routes(platform),
        "auth": auth.routes(platform),
        "users": users.routes(platform),
        "roles": roles.routes(platform),
        "policies": policies.routes(platform),
        "permissions": permissions.routes(platform),
        "access": access.routes(platform),
        "shares": shares.routes(platform),
        "sessions": sessions.routes(platform),
        "collections": collections.routes(platform),
        "fields": fields.routes(platform),
        "relations": relations.routes(platform),
        "schema": schema.routes(platform),
        "utils": [*utilities.routes(platform), *transfer.routes(platform)],
        "versions": versions.routes(platform),
        "files": files.routes(platform, uploads or ResumableUploads(platform)),
        "assets": assets.routes(platform),
        "flows": flows.routes(own_flows),
        "folders": folders.routes(platform),
        **system.families(),
    }
    served = {name: Family(routes) for name, routes in families.items()}
    graphql = GraphQL(platform, served)
    served["graphql"] = Family(graphql.routes())
    served["server"] = Family(server.routes(platform, graphql.sdl))
    observe = _measure(platform, served)
    app: ASGIApp = Api(platform, served, open.routes(platform.settings))
    if platform.settings["CORS_ENABLED"]:
        app = Cors(app, platform.settings)
    app = Studio(CommonHeaders(app, platform.settings), platform.settings)
    app = Realtime(app, platform, subscriptions, graphql)
    if platform.settings["COMPRESSION_ENABLED"]:
        app = Compression(app, platform.settings)
    if platform.settings[_PRESSURE] and (is_server or platform.settings.is_given(_PRESSURE)):
        app = PressureLimiter(app, platform.settings)
    app = Requests(app, platform.settings, observe, lambda: platform.stopping)
    return app if platform.tracing is None else Traced(app, platform.tracing, (*served, "admin", "docs"))


def _measure(platform: Platform, served: dict[str, Family]) -> Observe | None:
    """Add ``/metrics`` where the settings want it; what counts the requests."""
    if not platform.settings["METRICS_ENABLED"]:
        return None
    from tabulary.server.metrics import Metrics  # here, because few servers want it and it is slow to load

    metrics = Metrics(platform, frozenset({*served, "metrics", "admin", "docs"}))
    served["metrics"] = Family(metrics.routes())
    return metrics.observe


class Application:
    """The application with its life: opens with the server's lifespan, or at the first request where there is none.

    A mounted sub-application gets no lifespan events; then nobody closes it either, and its owner should.

    Args:
        platform: of the Tabulary object that this serves.
        subscriptions: of the same object.
        flows: of the same object.
        open: opens that object, once; safe to await again.
        close: closes it.
    """

    def __init__(
        self, platform: Platform, subscriptions: Subscriptions, flows: Flows, open: Lifecycle, close: Lifecycle
    ) -> None:
        self._platform = platform
        self._subscriptions = subscriptions
        self._flows = flows
        self._open = open
        self._close = close
        self._app: ASGIApp | None = None
        self._opening = asyncio.Lock()
        self._uploads = ResumableUploads(platform)
        self._schedules = Schedules()
        self._keeping: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await (self._app or await self._opened())(scope, receive, send)

    async def _opened(self, is_server: bool = False) -> ASGIApp:
        async with self._opening:
            if self._app is None:
                await self._open()
                self._app = build(self._platform, self._subscriptions, self._flows, is_server, self._uploads)
                await self._platform.bus.ready()  # or the first changes of other processes would be missed
            return self._app

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._opened(is_server=True)
            self._begin()
        except Exception as problem:
            await send({"type": "lifespan.startup.failed", "message": str(problem)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._platform.stopping = True
        self._app = None
        await self._schedules.stop()
        await self._flows.stop()
        if self._keeping is not None:
            self._keeping.cancel()
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})

    def _begin(self) -> None:
        """What a server does besides answering: hearing of changes, timed jobs, sweeping up, trying the mail."""
        settings = self._platform.settings
        versions, bus = self._platform.database.versions, self._platform.bus
        self._keeping = asyncio.ensure_future(versions.keep_checking())
        if bus.is_shared:
            bus.listen(CHANNEL, lambda _: versions.check_soon())
        schedule_retention(self._schedules, self._platform, settings)
        schedule_clean_up(self._schedules, self._uploads)
        self._schedules.start()
        self._flows.start()
        self._platform.storage.start(self._platform.storage.sweep())
        if settings["EMAIL_VERIFY_SETUP"] and settings.is_given("EMAIL_TRANSPORT"):
            self._platform.jobs.start(_check_mail(self._platform))


async def _check_mail(platform: Platform) -> None:
    try:
        await platform.mail.verify()
    except Exception as problem:
        logger.warning("mail cannot be sent as things are: %s", problem)
