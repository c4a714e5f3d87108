"""Spans of OpenTelemetry: of requests, plans, statements and mails; never of values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings, is_secret
from tabulary.core.tracing import tracing_of

from ..conftest import SETTINGS

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry was not reached: not installed")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ADMIN = {"Authorization": "Bearer admin-static-token"}
PRIVATE = "a-very-private-word"


class Traces:
    """A Tabulary object with spans in memory, and a client of it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.client: httpx2.AsyncClient
        self.tabulary: Tabulary

    def spans(self, kind: SpanKind | None = None) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if kind in (None, span.kind)]

    def text(self) -> str:
        return "\n".join(span.to_json() for span in self.spans())


@pytest.fixture
async def traces(installed_url: str) -> AsyncIterator[Traces]:
    made = Traces()
    meters = MeterProvider([made.reader], shutdown_on_exit=False)
    made.tabulary = Tabulary(SETTINGS.with_values(DATABASE_URL=installed_url, SECRET="x" * 32))
    made.tabulary.trace(made.provider, meters)
    async with made.tabulary:
        transport = httpx2.ASGITransport(app=made.tabulary.asgi)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=ADMIN) as made.client:
            await made.client.get("/users/me?fields=id")  # what happens once, such as reading the schema
            made.exporter.clear()
            yield made
    made.provider.shutdown()
    meters.shutdown()


async def test_a_request_is_the_parent_of_its_statements(traces: Traces) -> None:
    answer = await traces.client.get("/folders?fields=name", headers={"traceparent": PARENT, "X-Request-Id": "r1"})
    assert answer.status_code == 200
    (request,) = traces.spans(SpanKind.SERVER)
    assert request.name == "GET /folders"
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET", "http.route": "/folders",
        "http.response.status_code": 200, "tabulary.request": "r1",
    }  # fmt: skip
    assert request.parent is not None and f"{request.parent.trace_id:032x}" in PARENT
    statements = traces.spans(SpanKind.CLIENT)
    assert statements
    system = traces.tabulary.platform.database.dialect.name
    for statement in statements:
        assert statement.context.trace_id == request.context.trace_id
        assert (statement.attributes or {})["db.system.name"] == system
    assert any("directus_folders" in str((s.attributes or {})["db.query.text"]) for s in statements)
    (plan,) = [span for span in traces.spans(SpanKind.INTERNAL) if span.name == "plan"]
    assert dict(plan.attributes or {}) == {"tabulary.collection": "directus_folders"}


async def test_a_kept_plan_is_not_made_again(traces: Traces) -> None:
    await traces.client.get("/folders?fields=name")
    traces.exporter.clear()
    await traces.client.get("/folders?fields=name")
    assert [span.name for span in traces.spans(SpanKind.INTERNAL)] == []
    assert len(traces.spans(SpanKind.CLIENT)) >= 1


async def test_values_are_in_no_span(traces: Traces) -> None:
    made = await traces.client.post("/folders", json={"name": PRIVATE})
    key = made.json()["data"]["id"]
    await traces.client.patch(f"/folders/{key}", json={"name": f"{PRIVATE} too"})
    await traces.client.get("/folders", params={"filter[name][_eq]": PRIVATE, "search": PRIVATE})
    await traces.client.get(f"/{PRIVATE}/{PRIVATE}")
    await traces.client.post("/auth/login", json={"email": "admin@example.com", "password": PRIVATE})
    field = {"field": "note", "type": "string", "schema": {"default_value": PRIVATE}}
    collection = {"collection": "plants", "schema": {}, "meta": {"note": PRIVATE}, "fields": [field]}
    assert (await traces.client.post("/collections", json=collection)).status_code == 200
    text = traces.text()
    assert "INSERT INTO" in text and "CREATE TABLE" in text
    for private in (PRIVATE, key, "admin-static-token", "admin@example.com"):
        assert private not in text
    assert {"POST /folders", "PATCH /folders", "GET /other"} <= {span.name for span in traces.spans(SpanKind.SERVER)}


async def test_errors_are_told_by_their_class(traces: Traces) -> None:
    database = traces.tabulary.platform.database
    with pytest.raises(Exception) as failed:
        async with database.connection() as connection:
            await connection.fetch_value(f"SELECT missing FROM nowhere WHERE a = '{PRIVATE}'")
    (span,) = traces.spans()
    assert span.status.status_code is StatusCode.ERROR and span.status.description is None
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == type(failed.value).__qualname__
    assert attributes["db.query.text"] == "SELECT missing FROM nowhere WHERE a = '?'"
    assert not span.events


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_a_mail_is_a_span_without_people(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        async def send(self, *_: Any) -> None: ...

        async def close(self) -> None: ...

    mail = traces.tabulary.platform.mail
    monkeypatch.setattr(mail, "_transport", Taken())
    await mail.send(to="ann@example.com, bob@example.com", subject=PRIVATE, html="x")
    await mail.drain()
    (span,) = [span for span in traces.spans(SpanKind.INTERNAL) if span.name == "mail"]
    assert dict(span.attributes or {}) == {"tabulary.recipients": 2}


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_durations_are_figures(traces: Traces) -> None:
    await traces.client.get("/folders")
    data = traces.reader.get_metrics_data()
    (metric,) = [
        metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]
    assert metric.name == "http.server.request.duration"
    assert any(dict(point.attributes)["http.route"] == "/folders" for point in metric.data.data_points)


def test_off_unless_a_variable_asks_for_it() -> None:
    assert tracing_of(Settings.of()) is None
    assert tracing_of(Settings.of(OTEL_SERVICE_NAME="x")) is None
    assert tracing_of(Settings.of(OTEL_TRACES_EXPORTER="none")) is None
    assert tracing_of(Settings.of(OTEL_TRACES_EXPORTER="console", OTEL_SDK_DISABLED="true")) is None


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(ConfigurationError, match="OTEL_TRACES_EXPORTER=zipkin"):
        tracing_of(Settings.of(OTEL_TRACES_EXPORTER="zipkin"))
    with pytest.raises(ConfigurationError, match="http/protobuf"):
        tracing_of(Settings.of(OTEL_EXPORTER_OTLP_ENDPOINT="http://x", OTEL_EXPORTER_OTLP_PROTOCOL="grpc"))
    assert is_secret("OTEL_EXPORTER_OTLP_HEADERS")


@pytest.mark.parametrize("endpoint", ["console", "otlp"])
def test_the_variables_make_a_provider(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"PATH": "/bin"})
    given = {"OTEL_TRACES_EXPORTER": endpoint, "OTEL_METRICS_EXPORTER": "none"}
    tracing = tracing_of(Settings.of(**given, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"))
    assert tracing is not None
    tracing.close()
