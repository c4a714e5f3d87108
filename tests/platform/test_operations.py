"""What operators rely on: health, info, set-up, request ids, logs without secrets, timing, metrics, pressure."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tabulary import Tabulary
from tabulary.core import logs
from tabulary.core.settings import Settings
from tabulary.server import pressure
from tabulary.server.pressure import PressureLimiter, resident_memory

from ..waiting import until
from .conftest import SETTINGS, Client, Make, Outbox, collection, person

pytestmark = pytest.mark.anyio


# --- health, info, set-up -----------------------------------------------------------------------
async def test_health_says_little_to_guests_and_all_to_admins(admin: Client, outbox: Outbox) -> None:
    guest = await admin.as_(None).get("/server/health")
    assert (guest.status_code, guest.json()) == (200, {"status": "ok"})
    assert guest.headers["content-type"].startswith("application/health+json")
    found = (await admin.get("/server/health")).json()
    kinds = {name.partition(":")[2] for name in found["checks"]}
    assert kinds == {"responseTime", "connectionsAvailable", "connectionsUsed", "local:responseTime", "connection"}
    assert found["releaseId"] == "11.17.4" and found["serviceId"] == "/"
    assert all(len(checks) == 1 for checks in found["checks"].values())


async def test_health_is_503_when_a_part_is_away(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    tabulary = await make(STORAGE_LOCAL_ROOT=str(tmp_path / "file"), EMAIL_TRANSPORT="console")
    async with Client(tabulary.asgi, "admin-static-token") as client:
        answer = await client.get("/server/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "error")
    check = answer.json()["checks"]["storage:local:responseTime"][0]
    assert check["status"] == "error" and str(tmp_path) not in check["output"]


async def test_a_server_that_ends_says_so(admin: Client, tabulary: Tabulary, outbox: Outbox) -> None:
    tabulary.platform.stopping = True
    assert (await admin.get("/server/health")).status_code == 503


async def test_health_is_asked_once_a_second(admin: Client, tabulary: Tabulary, outbox: Outbox) -> None:
    asked = 0

    async def verify() -> None:
        nonlocal asked
        asked += 1

    outbox.verify = verify  # type: ignore[method-assign]
    await asyncio.gather(*(admin.get("/server/health") for _ in range(8)))
    assert asked == 1


async def test_info_by_who_asks(admin: Client) -> None:
    guest = await admin.as_(None).data("GET", "/server/info")
    assert set(guest) == {"project", "setupCompleted"}
    ada = await person(admin, "ada")
    assert {"version", "queryLimit", "rateLimit", "websocket"} <= set(await ada.data("GET", "/server/info"))


async def test_setup_works_once_even_for_two_at_once(admin: Client, tabulary: Tabulary) -> None:
    body = {"project_owner": "new@example.com", "password": "secret", "org_name": "Org"}
    assert await admin.as_(None).code("POST", "/server/setup", body) == (403, "FORBIDDEN")
    async with tabulary.platform.database.transaction() as connection:
        for table in ("directus_access", "directus_users", "directus_roles", "directus_policies"):
            await connection.execute(f"DELETE FROM {table}")
    tabulary.platform.access.invalidate()
    guest = admin.as_(None)
    body["token"] = str(await tabulary.setup_link()).partition("?token=")[2]
    assert (await guest.data("GET", "/server/info"))["setupCompleted"] is False
    assert (await guest.post("/server/setup", json={**body, "project_owner": "no address"})).status_code == 400
    assert await tabulary.items("directus_roles").get_keys_by_query() == [], "nothing half done"
    answers = await asyncio.gather(*(guest.post("/server/setup", json=body) for _ in range(4)))
    assert sorted(a.status_code for a in answers) == [204, 403, 403, 403]
    login = await guest.post("/auth/login", json={"email": "new@example.com", "password": "secret"})
    assert login.status_code == 200


# --- request ids, logs, timing ------------------------------------------------------------------
@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What a process with JSON logs writes."""
    root, loggers = logging.getLogger(), [logging.getLogger(n) for n in ("tabulary", logs.ACCESS)]
    before = root.handlers, root.level, [(x.handlers, x.level, x.propagate) for x in loggers]
    stream = io.StringIO()
    logs.configure(Settings.of(LOG_STYLE="raw"), stream)
    yield stream
    root.handlers, root.level = before[0], before[1]
    for logger, (handlers, level, propagate) in zip(loggers, before[2], strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_every_answer_has_an_id_and_every_line_too(admin: Client, lines: io.StringIO) -> None:
    own = await admin.get("/server/ping", headers={"X-Request-Id": "mine-1"})
    assert own.headers["x-request-id"] == "mine-1"
    bad = await admin.get("/nowhere", headers={"X-Request-Id": 'x"\t injected'})
    assert bad.headers["x-request-id"] != 'x"\t injected' and len(bad.headers["x-request-id"]) == 16
    first, second = written(lines)
    assert (first["request"], first["path"], first["status"]) == ("mine-1", "/server/ping", 200)
    assert (second["request"], second["status"]) == (bad.headers["x-request-id"], 404)


async def test_an_unexpected_error_is_logged_with_the_id(admin: Client, tabulary: Tabulary, lines: io.StringIO) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("boom with password=hunter2")

    tabulary.hooks.filter("users.query", fail)
    answer = await admin.as_(None).get("/server/info")
    answer = await admin.get("/users")
    assert answer.status_code == 500
    found = [line for line in written(lines) if line["level"] == "error"]
    assert found[0]["request"] == answer.headers["x-request-id"] and "boom" in found[0]["exception"]


async def test_secrets_stay_out_of_the_log(admin: Client, lines: io.StringIO) -> None:
    await admin.as_(None).get("/users/me?access_token=admin-static-token")
    log = logging.getLogger("tabulary.test")
    log.warning(
        "at https://user:hunter2@db/x?access_token=abcdef with Bearer abcdefghij", extra={"password": "hunter2"}
    )
    log.warning("sent", extra={"headers": {"Authorization": "Bearer hunter2hunter2", "Cookie": "a=hunter2"}})
    log.warning("token eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2lnbmF0dXJl")
    text = lines.getvalue()
    for secret in ("admin-static-token", "hunter2", "abcdef", "c2lnbmF0dXJl"):
        assert secret not in text
    assert len(written(lines)) == 4


async def test_a_path_cannot_forge_a_line(admin: Client) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.AccessFormatter(as_json=False))
    access = logging.getLogger(logs.ACCESS)
    before, access.level = access.level, logging.INFO
    access.addHandler(handler)
    try:
        await admin.get("/items/x%0A2026 GET /forged 200")
    finally:
        access.removeHandler(handler)
        access.level = before
    assert len(stream.getvalue().splitlines()) == 1


async def test_server_timing_only_where_wanted(make: Make) -> None:
    for wanted in (True, False):
        tabulary = await make(SERVER_TIMING=wanted)
        async with Client(tabulary.asgi, "admin-static-token") as client:
            header = (await client.get("/users/me")).headers.get("server-timing", "")
        assert ("auth;dur=" in header and "work;dur=" in header and "total;dur=" in header) is wanted


# --- metrics ------------------------------------------------------------------------------------
async def test_metrics_for_admins_and_tokens(make: Make) -> None:
    tabulary = await make(METRICS_ENABLED=True, METRICS_TOKENS="first,second", EMAIL_TRANSPORT="console")
    async with Client(tabulary.asgi, "admin-static-token") as admin:
        await admin.get("/users/me")
        await admin.get("/made/up/by/somebody")
        ada = await person(admin, "ada")
        text = (await admin.get("/metrics")).text
        assert 'directus_http_requests_total{family="users",method="GET",status="200"} 1.0' in text
        assert 'family="other"' in text and "made" not in text
        assert "directus_db_connections_used" in text and "directus_service_up" in text
        guest = admin.as_(None)
        for header, status in (("Metrics second", 200), ("Metrics third", 403), ("Metrics", 403), ("", 403)):
            assert (await guest.get("/metrics", headers={"Authorization": header})).status_code == status, header
        assert (await ada.get("/metrics")).status_code == 403


async def test_no_metrics_unless_asked_for(admin: Client) -> None:
    assert await admin.code("GET", "/metrics") == (404, "ROUTE_NOT_FOUND")


# --- pressure -----------------------------------------------------------------------------------
async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(b"fine")(scope, receive, send)


class Machine:
    """A clock and an event loop for the gauge; they go on when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed = self._used = 0.0
        self._due: list[Any] = []
        monkeypatch.setattr(pressure, "asyncio", self)
        monkeypatch.setattr(pressure, "time", self)

    def get_running_loop(self) -> Machine:
        return self

    def call_later(self, seconds: float, call: Any) -> None:
        self._due.append((seconds, call))

    def perf_counter(self) -> float:
        return self._passed

    def thread_time(self) -> float:
        return self._used

    def go_on(self, late: float = 0, busy: float = 0) -> None:
        """Until the next measurement, which comes so many seconds late; a share of the time the loop was busy."""
        ((seconds, call),) = self._due
        self._due.clear()
        self._passed += seconds + late
        self._used += (seconds + late) * busy
        call()


async def test_a_loop_that_stays_late_turns_requests_away_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    settings = Settings.of(
        PRESSURE_LIMITER_SAMPLE_INTERVAL=20, PRESSURE_LIMITER_MAX_EVENT_LOOP_DELAY=60, PRESSURE_LIMITER_RETRY_AFTER=5
    )
    client = Client(PressureLimiter(plain, settings))
    assert (await client.get("/")).status_code == 200
    machine.go_on(late=0.13)
    assert (await client.get("/")).status_code == 200, "once is a hiccup"
    machine.go_on(late=0.13)
    refused = await client.get("/")
    assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
    assert refused.json()["errors"][0]["extensions"] == {
        "code": "SERVICE_UNAVAILABLE", "service": "api", "reason": "Under pressure",
    }  # fmt: skip
    machine.go_on(late=0.05)
    assert (await client.get("/")).status_code == 200


async def test_a_busy_loop_counts_only_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, status in (({"PRESSURE_LIMITER_MAX_EVENT_LOOP_UTILIZATION": 0.3}, 503), ({}, 200)):
        machine = Machine(monkeypatch)
        client = Client(PressureLimiter(plain, Settings.of(PRESSURE_LIMITER_SAMPLE_INTERVAL=20, **given)))
        for _ in range(2):
            assert (await client.get("/")).status_code == 200
            machine.go_on(busy=0.9)
        assert (await client.get("/")).status_code == status


async def refused(client: Client) -> bool:
    return (await client.get("/server/ping")).status_code == 503


async def test_memory_counts() -> None:
    assert resident_memory() > 1 << 20
    settings = Settings.of(PRESSURE_LIMITER_SAMPLE_INTERVAL=10, PRESSURE_LIMITER_MAX_MEMORY_RSS=1000)
    client = Client(PressureLimiter(plain, settings))
    await until(partial(refused, client))


async def test_an_embedded_application_leaves_the_loop_to_its_owner(tmp_path: Path) -> None:
    for given, status in (({}, 200), ({"PRESSURE_LIMITER_ENABLED": True}, 503)):
        options = {**given, "PRESSURE_LIMITER_SAMPLE_INTERVAL": 10, "PRESSURE_LIMITER_MAX_MEMORY_RSS": 1000}
        async with Tabulary(f"sqlite:///{tmp_path}/{status}.db", **(SETTINGS | options)) as tabulary:
            client = Client(tabulary.asgi)
            if status == 503:
                await until(partial(refused, client))
            else:
                assert not await refused(client)
                await asyncio.sleep(0.1)
                assert not await refused(client)


async def test_many_requests_of_the_lifespan_end_cleanly(make: Make) -> None:
    tabulary = await make(RETENTION_ENABLED=True, RETENTION_SCHEDULE="* * * * * *", EMAIL_TRANSPORT="console")
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    life = asyncio.ensure_future(tabulary.asgi({"type": "lifespan"}, inbox.get, send))
    await inbox.put({"type": "lifespan.startup"})
    await until(lambda: sent)
    await collection(Client(tabulary.asgi, "admin-static-token"), "books", "title")
    await asyncio.sleep(1.1)
    await inbox.put({"type": "lifespan.shutdown"})
    await life
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
