"""Figures for Prometheus at ``/metrics``, with ``METRICS_ENABLED`` only (spec schema-and-platform §4.6).

Admins may read them, and whoever sends ``Authorization: Metrics <token>`` with a token of ``METRICS_TOKENS``. The
registry belongs to one application, so that two of them in a process do not mix.
"""

from __future__ import annotations

from hmac import compare_digest

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from tabulary.core.errors import Forbidden
from tabulary.items.platform import Platform
from tabulary.server.request import ApiRequest
from tabulary.server.requests import TIMING, Timing
from tabulary.services.health import Health

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "SEARCH", "OPTIONS"})
_SERVICES = {"datastore": "database", "cache": "cache", "objectstore": "storage", "ratelimiter": "redis"}


class Metrics:
    """The figures of one application.

    Args:
        platform: whose parts are asked when the figures are read.
        families: the first path segments there are; all others count as ``other``, so that nobody can add series.
    """

    def __init__(self, platform: Platform, families: frozenset[str]) -> None:
        self._platform = platform
        self._families = families
        self._health = Health(platform)
        self._wanted = frozenset(platform.settings["METRICS_SERVICES"] or ())
        self._tokens = [str(token).encode() for token in platform.settings["METRICS_TOKENS"] or ()]
        self._registry = registry = CollectorRegistry()
        prefix = str(platform.settings["METRICS_NAME_PREFIX"])
        labels = ("method", "family", "status")
        self._requests = Counter(f"{prefix}http_requests", "Finished requests", labels, registry=registry)
        self._durations = Histogram(
            f"{prefix}http_request_duration_seconds", "How long requests took", labels[:2], registry=registry,
            buckets=_BUCKETS,
        )  # fmt: skip
        self._stages = Histogram(
            f"{prefix}http_request_stage_duration_seconds", "How long stages of requests took", ("family", "stage"),
            registry=registry, buckets=_BUCKETS,
        )  # fmt: skip
        self._looks = Gauge(
            f"{prefix}version_looks", "How often the database was asked whether what is remembered holds",
            registry=registry,
        )  # fmt: skip
        self._used = Gauge(f"{prefix}db_connections_used", "Connections in use", registry=registry)
        self._free = Gauge(f"{prefix}db_connections_available", "Connections that are free", registry=registry)
        self._up = Gauge(f"{prefix}service_up", "Whether a part answers", ("check",), registry=registry)
        self._response = Gauge(
            f"{prefix}service_response_time_ms", "How long a part takes to answer", ("check",), registry=registry
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def observe(self, scope: Scope, status: int, took: float) -> None:
        """Count a finished request."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        first = scope["path"].removeprefix(scope.get("root_path", "")).strip("/").partition("/")[0].lower()
        family = first if first in self._families else "other"
        self._requests.labels(method, family, str(status)).inc()
        self._durations.labels(method, family).observe(took)
        timing: Timing | None = scope.get(TIMING)
        for stage, seconds in timing.stages if timing else ():
            self._stages.labels(family, stage).observe(seconds)

    def routes(self) -> list[Route]:
        return [Route("/metrics", self.read, methods=["GET"])]

    async def read(self, request: ApiRequest) -> Response:
        """The figures as text. Raises :class:`Forbidden`."""
        if not (request.accountability.admin or self._is_token(request.headers.get("authorization", ""))):
            raise Forbidden
        self._looks.set(self._platform.database.versions.looks)
        self._used.set(self._platform.database.usage[0])
        self._free.set(self._platform.database.usage[1])
        report = await self._health.report()
        for name, (check,) in report.checks.items():
            if name.endswith(":responseTime") and _SERVICES.get(check["componentType"]) in self._wanted:
                part = name.removesuffix(":responseTime")
                self._up.labels(part).set(check["status"] != "error")
                self._response.labels(part).set(check["observedValue"])
        headers = {"Cache-Control": "no-cache"}
        return Response(generate_latest(self._registry), 200, headers, media_type=CONTENT_TYPE_LATEST)

    def _is_token(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        given = token.strip().encode()
        return scheme.lower() == "metrics" and any(compare_digest(given, known) for known in self._tokens)
