"""Spans and figures for OpenTelemetry, where the standard ``OTEL_*`` variables ask for them.

Off by default, and then nothing of OpenTelemetry is imported. A span tells what was done and how long it took, never
with what: statements come without the literals in them, errors as the name of their class, requests without path and
query, mails without people.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from tabulary.core.errors import ConfigurationError
from tabulary.version import __version__

_SWITCHES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_LONGEST = 4096
"""Characters of a statement that a span holds."""
_SERVER_ERROR = 500

Attributes = Mapping[str, str | int]


class Tracing:
    """What makes spans.

    Args:
        provider: OpenTelemetry's ``TracerProvider``.
        meters: its ``MeterProvider``, for the durations of requests.
        close: sends what is left; None when the providers are somebody else's to close.
    """

    def __init__(self, provider: Any, meters: Any = None, close: Callable[[], None] | None = None) -> None:
        from opentelemetry import propagate, trace

        self._trace, self._propagate, self._close = trace, propagate, close
        self._tracer = provider.get_tracer("tabulary", __version__)
        self._durations = None
        if meters is not None:
            self._durations = meters.get_meter("tabulary", __version__).create_histogram(
                "http.server.request.duration", "s", "Duration of HTTP server requests"
            )

    @contextmanager
    def request(
        self, method: str, route: str, headers: Mapping[str, str]
    ) -> Iterator[Callable[[int, str | None], None]]:
        """The span of one request, below the caller's (``traceparent``). What it yields wants status and request id."""
        began = time.perf_counter()
        described = {"http.request.method": method, "http.route": route}
        context = self._propagate.extract(headers)
        kind = self._trace.SpanKind.SERVER
        with self._around(f"{method} {route}", described, kind, context) as span:

            def answered(status: int, request: str | None) -> None:
                span.set_attribute("http.response.status_code", status)
                span.set_attribute("tabulary.request", request or "")
                if status >= _SERVER_ERROR:
                    span.set_status(self._trace.StatusCode.ERROR)
                if self._durations is not None:
                    figures = {**described, "http.response.status_code": status}
                    self._durations.record(time.perf_counter() - began, figures)

            yield answered

    def statement(self, system: str, sql: str) -> AbstractContextManager[Any]:
        """The span of one call of a database; literals in the text are left out."""
        text = _LITERAL.sub("'?'", sql.strip())
        operation = text.partition(" ")[0].partition("\n")[0].upper()
        attributes = {"db.system.name": system, "db.operation.name": operation, "db.query.text": text[:_LONGEST]}
        return self._around(operation, attributes, self._trace.SpanKind.CLIENT)

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[Any]:
        """The span of work of our own."""
        return self._around(name, attributes, self._trace.SpanKind.INTERNAL)

    @contextmanager
    def _around(self, name: str, attributes: Attributes, kind: Any, context: Any = None) -> Iterator[Any]:
        # messages of exceptions may hold values: only their class is told
        with self._tracer.start_as_current_span(
            name, context, kind, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as problem:
                span.set_attribute("error.type", type(problem).__qualname__)
                span.set_status(self._trace.StatusCode.ERROR)
                raise

    def close(self) -> None:
        """Send what is left. May take as long as the collector does: not for the event loop's thread."""
        if self._close is not None:
            self._close()


def span(tracing: Tracing | None, name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """A span where there is tracing; names of attributes get ``tabulary.`` in front."""
    if tracing is None:
        return nullcontext()
    return tracing.span(name, {f"tabulary.{key}": value for key, value in attributes.items()})


def tracing_of(settings: Mapping[str, Any]) -> Tracing | None:
    """What the standard variables ask for; None when they do not.

    Raises :class:`ConfigurationError` when OpenTelemetry is not installed, or cannot do what is asked for.
    """
    given = {name: _text(value) for name, value in settings.items() if name.startswith("OTEL_") and value is not None}
    exporter = given.get("OTEL_TRACES_EXPORTER", "otlp")
    asked = any(given.get(name) for name in _SWITCHES) and given.get("OTEL_SDK_DISABLED", "").lower() != "true"
    if not asked or exporter == "none":
        return None
    if exporter not in ("otlp", "console"):
        raise ConfigurationError(f"OTEL_TRACES_EXPORTER={exporter} is not supported; choose otlp, console or none")
    for name in _PROTOCOLS:
        if given.get(name, "http/protobuf") != "http/protobuf":
            raise ConfigurationError(f"{name}={given[name]} is not supported; spans are sent by http/protobuf")
    for name, value in given.items():  # the SDK reads the environment itself; ours may come from a file
        os.environ.setdefault(name, value)
    try:
        return _provided(exporter, given)
    except ModuleNotFoundError as problem:
        if not (problem.name or "").startswith("opentelemetry"):
            raise
        raise ConfigurationError(
            "OTEL_* variables ask for OpenTelemetry, which is not installed: pip install 'tabulary[otel]'"
        ) from problem


def _provided(exporter: str, given: Mapping[str, str]) -> Tracing:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    theirs = trace.get_tracer_provider()
    if isinstance(theirs, TracerProvider):  # the application around has set it up
        return Tracing(theirs)
    named = "OTEL_SERVICE_NAME" in given or "service.name=" in given.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": "tabulary"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if exporter == "console":
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
        return Tracing(provider, close=provider.shutdown)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if given.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
        return Tracing(provider, close=provider.shutdown)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())]
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)

    def close() -> None:
        provider.shutdown()
        meters.shutdown()

    return Tracing(provider, meters, close)


def _text(value: Any) -> str:
    """A setting as the variable had it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)
