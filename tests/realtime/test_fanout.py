"""Many subscribers, several processes, slow readers, hostile frames, and subscriptions in Python."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary import Accountability
from tabulary.core import json
from tabulary.core.bus import LocalBus, RedisBus, bus_of
from tabulary.core.errors import Forbidden
from tabulary.core.settings import Settings
from tabulary.server.realtime import connection as connections
from tabulary.server.realtime.connection import MAX_MESSAGES, Connection

from ..graphql.shelf import ADMIN, post
from ..waiting import PATIENCE, until
from .conftest import Serve, Served

pytestmark = pytest.mark.anyio

REDIS = os.environ.get("TABULARY_TEST_REDIS", "redis://127.0.0.1:6379/9")


async def test_every_subscriber_hears_everything_once_and_in_order(served: Served) -> None:
    """Forty clients in four groups; twenty changes, five for each group."""
    async with served.http() as http, asyncio.TaskGroup() as listening:

        async def listen(group: int) -> None:
            async with served.talk() as talk:
                query = {"fields": ["text"], "filter": {"text": {"_eq": f"group {group}"}}}
                await talk.ask(type="subscribe", collection="headings", event="create", query=query, uid="u")
                ready.release()
                heard = [await talk.hear() for _ in range(5)]
                assert [frame["data"] for frame in heard] == [[{"text": f"group {group}"}]] * 5
                await talk.silence(0.2)

        ready = asyncio.Semaphore(0)
        for number in range(40):
            listening.create_task(listen(number % 4))
        for _ in range(40):
            await ready.acquire()
        for number in range(20):
            await post(http, "/items/headings", {"text": f"group {number % 4}"})


class Meeting:
    """A Redis that answers, and the buses of one test in it, which are known by the name of their connections."""

    def __init__(self, client: Any) -> None:
        self.name = f"test-{uuid.uuid4().hex}"
        self.client = client
        self.settings = {
            "REDIS": f"{REDIS}{'&' if '?' in REDIS else '?'}client_name={self.name}",
            "REDIS_BUS_NAMESPACE": self.name,
        }

    async def listeners(self) -> set[str]:
        """The connections that hear what is published."""
        found = await self.client.client_list()
        return {row["id"] for row in found if row["name"] == self.name and int(row["psub"])}

    async def complete(self, count: int) -> None:
        """Wait until so many listen: what is published before is heard by nobody. Servers listen from the first request."""

        async def present() -> bool:
            return len(await self.listeners()) >= count

        await until(present)


@pytest.fixture
async def redis() -> AsyncIterator[Meeting]:
    client = pytest.importorskip("redis.asyncio").from_url(REDIS, decode_responses=True)
    try:
        await client.ping()
    except Exception as problem:
        await client.aclose()
        if os.environ.get("CI") == "true":
            pytest.fail(f"Redis was not reached: {problem}")
        pytest.skip(f"Redis was not reached: {problem}")
    yield Meeting(client)
    await client.aclose()


async def test_processes_hear_each_other_through_redis(serving: Serve, redis: Meeting) -> None:
    shared = redis.settings
    async with serving(**shared) as one, serving(**shared) as other, other.talk() as talk, one.http() as http:
        await redis.complete(1)
        await talk.ask(type="subscribe", collection="headings", event="create", query={"fields": ["text"]})
        for number in range(5):
            await post(http, "/items/headings", {"text": f"from afar {number}"})
        heard = [(await talk.hear())["data"] for _ in range(5)]
        assert heard == [[{"text": f"from afar {number}"}] for number in range(5)]
        await talk.silence()


async def test_rights_hold_across_processes(serving: Serve, redis: Meeting) -> None:
    shared = redis.settings
    async with (
        serving(**shared) as one,
        serving(**shared) as other,
        other.talk(token="reader-token") as reader,
        one.http() as http,
    ):
        await redis.complete(1)
        await reader.ask(type="subscribe", collection="books", query={"fields": ["title"]})
        await post(http, "/items/books", {"title": "Printed", "in_print": True})
        assert (await reader.hear())["data"] == [{"title": "Printed"}]
        rows = (await http.get("/permissions?filter[collection][_eq]=books&fields=id", headers=ADMIN)).json()["data"]
        key = next(row["id"] for row in rows if row["id"] is not None)
        await http.patch(f"/permissions/{key}", json={"permissions": {"title": {"_eq": "Quiet"}}}, headers=ADMIN)
        await post(http, "/items/books", {"title": "Secret", "in_print": True})
        await post(http, "/items/books", {"title": "Quiet"})
        assert (await reader.hear())["data"] == [{"title": "Quiet"}]


async def test_the_bus_survives_strangers_and_losses(redis: Meeting) -> None:
    settings_ = Settings.of(secret="x" * 32, **redis.settings)
    one, other = bus_of(settings_), bus_of(settings_)
    assert isinstance(one, RedisBus) and isinstance(other, RedisBus)
    heard: list[Any] = []
    everything: list[Any] = []
    stop = other.listen("news", heard.append)
    other.listen("news", _broken)
    other.listen("news", everything.append)
    try:
        await other.ready()
        await redis.complete(1)
        await redis.client.publish(f"{redis.name}:news", b"\x1f\x8b not ours")
        await one.publish("news", {"n": 1})
        await other.publish("news", {"n": 2})
        await until(lambda: len(everything) == 2)
        (lost,) = await redis.listeners()
        await redis.client.client_kill_filter(_id=lost)

        async def listens_again() -> set[str]:
            return await redis.listeners() - {lost}

        await until(listens_again)
        await one.publish("news", {"n": 3})
        await until(lambda: len(everything) == 3)
        assert sorted(message["n"] for message in heard) == [1, 2, 3]
        stop()
        await one.publish("news", {"n": 4})
        await until(lambda: len(everything) == 4)
        assert len(heard) == 3
    finally:
        await one.close()
        await other.close()


async def test_messages_keep_their_order(redis: Meeting) -> None:
    settings_ = Settings.of(secret="x" * 32, **redis.settings)
    one, other = bus_of(settings_), bus_of(settings_)
    heard: list[Any] = []
    complete = asyncio.Event()

    def hear(message: Any) -> None:
        heard.append(message)
        if len(heard) == 200:
            complete.set()

    other.listen("news", hear)
    try:
        await redis.complete(1)
        await asyncio.gather(*(one.publish("news", number) for number in range(200)))
        await asyncio.wait_for(complete.wait(), PATIENCE)
        assert heard == list(range(200))
    finally:
        await one.close()
        await other.close()


def _broken(message: Any) -> None:
    raise RuntimeError("a listener that fails")


def test_without_redis_the_bus_is_local() -> None:
    assert isinstance(bus_of(Settings.of(secret="x" * 32)), LocalBus)
    assert isinstance(bus_of(Settings.of(secret="x" * 32, redis=REDIS, redis_enabled=False)), LocalBus)


async def test_who_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's own rule, with a network that takes nothing."""
    monkeypatch.setattr(connections, "_LAST_WORD", PATIENCE)
    sent: list[Any] = []
    open_ = asyncio.Event()

    async def send(message: Any) -> None:
        await open_.wait()
        sent.append(message)

    async def receive() -> Any:
        await asyncio.sleep(3600)

    connection = Connection(receive, send)
    writing = asyncio.ensure_future(connection.run())
    for number in range(MAX_MESSAGES + 10):
        connection.send(f"{number}")
        await asyncio.sleep(0)
    assert len(connection._waiting) == 0
    open_.set()
    await asyncio.wait_for(writing, PATIENCE)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_who_never_reads_again_is_not_waited_for() -> None:
    async def send(message: Any) -> None:
        await asyncio.Event().wait()

    connection = Connection(send, send)
    writing = asyncio.ensure_future(connection.run())
    for number in range(MAX_MESSAGES + 10):
        connection.send(f"{number}")
        await asyncio.sleep(0)
    await asyncio.wait_for(writing, PATIENCE)
    assert connection.is_closed


async def test_a_slow_client_holds_nobody_up(served: Served) -> None:
    """One never reads; the other hears all, and the server's memory stays bounded."""
    text = "x" * 100_000
    async with served.http() as http, served.talk(max_queue=1) as slow, served.talk(max_queue=None) as quick:
        for talk in (slow, quick):
            await talk.ask(type="subscribe", collection="authors", event="update", uid="s", query={"fields": ["name"]})
        service = served.tabulary.items("authors")
        served.tabulary.hooks.filter("authors.items.read", _long(text))
        tracemalloc.start()
        try:
            for number in range(300):
                await service.update_one(1, {"name": f"{number}"})
                await quick.hear()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 60_000_000
        assert (await http.get("/server/ping")).text == "pong"


def _long(text: str) -> Any:
    async def read(items: Any, *_: Any) -> Any:
        return [{**item, "name": item["name"] + text} for item in items]

    return read


FRAMES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.sampled_from(
        ["auth", "items", "subscribe", "unsubscribe", "ping", "books", "read", "create", "update", "delete", "type", "uid", "", "\x00"]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "uid", "collection", "action", "query", "data", "id", "ids", "item", "event", "filter", "fields"]),
        inner, max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


async def test_any_frame_gets_an_answer_or_silence(served: Served) -> None:
    frames: list[Any] = []

    @settings(max_examples=400, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(FRAMES)
    def gather(frame: Any) -> None:
        frames.append(frame)

    gather()
    frames = [frame for frame in frames if not (isinstance(frame, dict) and frame.get("type") == "auth")]
    async with served.talk(token="reader-token") as talk:
        for frame in frames:
            await talk.connection.send(json.encode(frame).decode())
        await talk.say(type="ping", uid="the end")
        while (heard := await talk.hear()) != {"type": "pong", "uid": "the end"}:
            assert heard["type"] != "auth", heard


# --- in Python ----------------------------------------------------------------------------------
async def test_subscribing_in_python(served: Served) -> None:
    books = served.tabulary.items("books")
    heard: list[Any] = []

    async def listen() -> None:
        async for change in books.subscribe({"fields": ["title"], "filter": {"in_print": {"_eq": True}}}):
            heard.append(change)
            if len(heard) == 3:
                return

    listening = asyncio.ensure_future(listen())
    await until(lambda: heard or listening.done())
    key = await books.create_one({"title": "Printed", "in_print": True})
    await books.create_one({"title": "Not", "in_print": False})
    await books.delete_one(key)
    await asyncio.wait_for(listening, PATIENCE)
    assert heard[0] == {"event": "init", "data": [{"title": "Emma"}], "keys": []}
    assert heard[1] == {"event": "create", "data": [{"title": "Printed"}], "keys": [key]}
    assert heard[2]["event"] == "delete"


async def test_subscribing_on_behalf_of_somebody(served: Served) -> None:
    reviews = served.tabulary.items("reviews", Accountability())
    with pytest.raises(Forbidden):
        await anext(aiter(reviews.subscribe()))


async def test_nothing_is_left_behind(served: Served) -> None:
    hub = served.tabulary.subscriptions
    for _ in range(3):
        async with served.talk() as talk:
            await talk.ask(type="subscribe", collection="headings", uid="1")
            assert hub._watched
    await until(lambda: not hub._watched)
    async with served.http() as http:
        assert (await http.post("/items/headings", json={"text": "x"}, headers=ADMIN)).status_code == 200
