"""The JSON protocol: messages, items, subscriptions, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tabulary.core import json
from tabulary.server.realtime import sockets

from ..graphql.shelf import ADMIN, post
from .conftest import Serve, Served

pytestmark = pytest.mark.anyio


async def test_ping_and_bad_messages(served: Served) -> None:
    async with served.talk() as talk:
        assert await talk.ask(type="ping", uid=7) == {"type": "pong", "uid": 7}
        for raw in ("{", "[]", '"x"', "{}", '{"type": 5}', "nul", "\x00", "[" * 5_000):
            await talk.connection.send(raw)
            answer = await talk.hear()
            assert (answer["type"], answer["error"]["code"]) == ("server", "INVALID_PAYLOAD"), raw
        await talk.say(type="unheard of")
        assert await talk.ask(type="ping") == {"type": "pong"}


async def test_items(served: Served) -> None:
    async with served.talk() as talk:
        created = await talk.ask(type="items", collection="headings", action="create", data={"text": "a"}, uid="1")
        key = created["data"]["id"]
        assert created == {"type": "items", "data": {"id": key, "text": "a"}, "uid": "1"}
        several = await talk.ask(
            type="items", collection="headings", action="create", data=[{"text": "b"}, {"text": "c"}],
            query={"fields": ["text"], "sort": ["-text"]},
        )  # fmt: skip
        assert several == {"type": "items", "data": [{"text": "c"}, {"text": "b"}]}
        read = await talk.ask(
            type="items", collection="headings", action="read",
            query={"filter": {"text": {"_in": ["a", "b"]}}, "fields": ["text"], "sort": ["text"], "meta": "filter_count"},
        )  # fmt: skip
        assert read == {"type": "items", "data": [{"text": "a"}, {"text": "b"}], "meta": {"filter_count": 2}}
        one = await talk.ask(type="items", collection="headings", action="update", id=key, data={"text": "z"})
        assert one == {"type": "items", "data": {"id": key, "text": "z"}}
        gone = await talk.ask(
            type="items", collection="headings", action="delete", query={"filter": {"text": {"_eq": "c"}}}
        )
        assert len(gone["data"]) == 1
        assert await talk.ask(type="items", collection="headings", action="delete", id=key) == {
            "type": "items",
            "data": key,
        }
        site = await talk.ask(
            type="items", collection="site", action="update", data={"title": "S"}, query={"fields": ["title"]}
        )
        assert site == {"type": "items", "data": {"title": "S"}}


async def test_errors_carry_the_uid(served: Served) -> None:
    async def fails(code: str, **message: Any) -> None:
        answer = await talk.ask(**message, uid="x")
        assert (answer["type"], answer["status"], answer["uid"]) == (message["type"], "error", "x")
        assert answer["error"]["code"] == code

    async with served.talk(token="reader-token") as talk:
        await fails("INVALID_COLLECTION", type="items", collection="nope", action="read")
        await fails("INVALID_COLLECTION", type="items", collection="directus_users", action="read")
        await fails("FORBIDDEN", type="items", collection="reviews", action="read")
        await fails("FORBIDDEN", type="items", collection="books", action="update", id=1, data={"title": "x"})
        await fails("INVALID_PAYLOAD", type="items", collection="books", action="fly")
        await fails("INVALID_PAYLOAD", type="items", collection="books", action="delete")
        await fails("INVALID_QUERY", type="items", collection="books", action="read", query={"limit": -5})
        await fails("INVALID_COLLECTION", type="subscribe", collection="nope")
        await fails("FORBIDDEN", type="subscribe", collection="reviews")
        await fails("FORBIDDEN", type="subscribe", collection="reviews", event="delete")
        await fails("FORBIDDEN", type="subscribe", collection="books", query={"fields": ["price"]})
        await fails("INVALID_PAYLOAD", type="subscribe", collection="books", event="read")
        assert await talk.ask(type="ping") == {"type": "pong"}


async def test_a_subscription_from_init_to_unsubscribe(served: Served) -> None:
    async with served.http() as http, served.talk() as talk:
        query = {"fields": ["id", "text"], "filter": {"text": {"_starts_with": "s"}}, "meta": "total_count"}
        init = await talk.ask(type="subscribe", collection="headings", query=query, uid=1)
        assert init == {"type": "subscription", "event": "init", "data": [], "meta": {"total_count": 1}, "uid": "1"}
        key = (await post(http, "/items/headings", {"text": "sea"}))["id"]
        row = {"id": key, "text": "sea"}
        assert await talk.hear() == {
            "type": "subscription",
            "event": "create",
            "data": [row],
            "meta": {"total_count": 2},
            "uid": "1",
        }
        await post(http, "/items/headings", {"text": "land"})
        await http.patch(f"/items/headings/{key}", json={"text": "sky"}, headers=ADMIN)
        assert (await talk.hear())["data"] == [{"id": key, "text": "sky"}]
        await http.delete(f"/items/headings/{key}", headers=ADMIN)
        gone = await talk.hear()
        assert (gone["event"], [str(k) for k in gone["data"]]) == ("delete", [str(key)])
        assert await talk.ask(type="unsubscribe", uid=1) == {"type": "subscription", "event": "unsubscribe", "uid": 1}
        await post(http, "/items/headings", {"text": "sun"})
        await talk.silence()


async def test_one_event_one_item(served: Served) -> None:
    async with served.http() as http, served.talk() as events, served.talk() as item:
        only = await events.ask(type="subscribe", collection="headings", event="update", uid="e")
        assert only == {"type": "subscription", "event": "init", "uid": "e"}
        shown = await item.ask(type="subscribe", collection="headings", item=1, query={"fields": ["text"]})
        assert shown == {"type": "subscription", "event": "init", "data": {"text": "Hello"}}
        await post(http, "/items/headings", {"text": "other"})
        await http.patch("/items/headings", json={"keys": [1, 2], "data": {"text": "both"}}, headers=ADMIN)
        heard = await events.hear()
        assert (heard["event"], len(heard["data"])) == ("update", 2)
        assert await item.hear() == {"type": "subscription", "event": "update", "data": {"text": "both"}}
        await events.silence()


async def test_the_same_uid_replaces(served: Served) -> None:
    async with served.http() as http, served.talk() as talk:
        await talk.ask(type="subscribe", collection="headings", uid="a", query={"fields": ["id"]})
        await talk.ask(type="subscribe", collection="headings", uid="a", query={"fields": ["text"]})
        await post(http, "/items/headings", {"text": "once"})
        assert (await talk.hear())["data"] == [{"text": "once"}]
        await talk.silence()


async def test_the_data_model_can_be_watched(served: Served) -> None:
    async with served.http() as http, served.talk() as collections, served.talk() as fields:
        await collections.ask(type="subscribe", collection="directus_collections", event="create", uid="c")
        await post(http, "/collections", {"collection": "extra", "schema": {}, "meta": {}})
        assert (await collections.hear())["data"][0]["collection"] == "extra"
        await fields.ask(type="subscribe", collection="directus_fields", event="create", uid="f")
        await post(http, "/fields/extra", {"field": "more", "type": "string"})
        assert (await fields.hear())["data"][0]["field"] == "more"


class Beats:
    """``asyncio`` for a module whose pauses of ``PERIOD`` end when the test says so."""

    PERIOD = 1234.5

    def __init__(self) -> None:
        self.due = asyncio.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await (self.due.acquire() if seconds == self.PERIOD else asyncio.sleep(seconds))


async def test_heartbeat(serving: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Beats()
    monkeypatch.setattr(sockets, "asyncio", beats)
    async with (
        serving(WEBSOCKETS_HEARTBEAT_PERIOD=Beats.PERIOD) as served,
        served.talk() as silent,
        served.talk() as lively,
    ):
        for _ in range(3):
            beats.due.release()
            assert await lively.hear() == {"type": "ping"}
            await lively.say(type="pong")
            # messages are taken in turn: when this is answered, the one before has been heard
            assert await lively.ask(type="ping") == {"type": "pong"}
        await silent.closed()
        assert await lively.ask(type="ping") == {"type": "pong"}


async def test_messages_are_limited(serving: Serve) -> None:
    limits = {"RATE_LIMITER_ENABLED": True, "RATE_LIMITER_POINTS": 3, "RATE_LIMITER_DURATION": 60}
    async with serving(**limits) as served, served.talk() as talk:
        answers = [await talk.ask(type="ping") for _ in range(5)]
        assert [answer["type"] for answer in answers] == ["pong"] * 3 + ["server"] * 2
        assert answers[-1]["error"]["code"] == "REQUESTS_EXCEEDED"


async def test_frames_are_json_of_one_line(served: Served) -> None:
    async with served.talk() as talk:
        await talk.say(type="items", collection="books", action="read", query={"fields": ["*", "author.*"]})
        raw = await talk.connection.recv()
        assert json.decode(raw)["data"][0]["author"]["name"] == "Jane Austen"
