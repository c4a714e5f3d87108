"""``graphql-transport-ws``: the protocol's own rules, operations, subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ..graphql.shelf import ADMIN, post
from .conftest import Serve, Served, Talk

pytestmark = pytest.mark.anyio

PROTOCOL: Any = {"subprotocols": ["graphql-transport-ws"]}


@asynccontextmanager
async def begun(served: Served, token: str = "admin-static-token") -> AsyncIterator[Talk]:
    """A connection that is acknowledged."""
    async with served.talk("/graphql", None, **PROTOCOL) as talk:
        assert await talk.ask(type="connection_init", payload={"access_token": token}) == {"type": "connection_ack"}
        yield talk


async def subscribe(talk: Talk, name: str, query: str, variables: Any = None) -> None:
    await talk.say(id=name, type="subscribe", payload={"query": query, "variables": variables})
    # answers come in order: what is heard now is heard after the subscription was made
    assert await talk.ask(type="ping") == {"type": "pong"}


async def test_subscriptions(served: Served) -> None:
    query = """subscription ($e: EventEnum) {
      change: headings_mutated(event: $e) { what: event key data { __typename words: text } }
    }"""
    async with served.http() as http, begun(served) as talk:
        await subscribe(talk, "all", query)
        key = (await post(http, "/items/headings", {"text": "new"}))["id"]
        shown = {"what": "create", "key": str(key), "data": {"__typename": "headings", "words": "new"}}
        assert await talk.hear() == {"id": "all", "type": "next", "payload": {"data": {"change": shown}}}
        await talk.say(id="all", type="complete")
        await subscribe(talk, "gone", query, {"e": "delete"})
        await http.patch(f"/items/headings/{key}", json={"text": "newer"}, headers=ADMIN)
        await http.delete(f"/items/headings/{key}", headers=ADMIN)
        heard = await talk.hear()
        assert heard["payload"]["data"]["change"] == {"what": "delete", "key": str(key), "data": None}
        await talk.silence()


async def test_one_message_a_key_with_nested_arguments(served: Served) -> None:
    query = 'subscription { books_mutated { data { title best: reviews(sort: ["-stars"], limit: 1) { stars } by: author { name } } } }'
    async with served.http() as http, begun(served) as talk:
        await subscribe(talk, "1", query)
        await http.patch("/items/books", json={"keys": [1, 2], "data": {"in_print": True}}, headers=ADMIN)
        heard = [(await talk.hear())["payload"]["data"]["books_mutated"]["data"] for _ in range(2)]
        by = {"name": "Jane Austen"}
        assert heard == [
            {"title": "Emma", "best": [{"stars": 5}], "by": by},
            {"title": "Persuasion", "best": [], "by": by},
        ]


async def test_rights(served: Served) -> None:
    async with served.http() as http, begun(served, "reader-token") as talk:
        await talk.say(id="no", type="subscribe", payload={"query": "subscription { reviews_mutated { key } }"})
        refused = await talk.hear()
        assert (refused["type"], refused["id"]) == ("error", "no")
        await subscribe(talk, "yes", "subscription { books_mutated { key event data { title } } }")
        hidden = (await post(http, "/items/books", {"title": "Hidden", "in_print": False}))["id"]
        shown = (await post(http, "/items/books", {"title": "Shown", "in_print": True}))["id"]
        assert (await talk.hear())["payload"]["data"]["books_mutated"]["data"] == {"title": "Shown"}
        for key in (hidden, shown):
            await http.delete(f"/items/books/{key}", headers=ADMIN)
        assert (await talk.hear())["payload"]["data"]["books_mutated"]["key"] == str(shown)
        await talk.silence()


async def test_queries_and_mutations(served: Served) -> None:
    async with begun(served) as talk:
        await talk.say(id="q", type="subscribe", payload={"query": "{ authors { name } }"})
        assert await talk.hear() == {
            "id": "q",
            "type": "next",
            "payload": {"data": {"authors": [{"name": "Jane Austen"}]}},
        }
        assert await talk.hear() == {"id": "q", "type": "complete"}
        mutation = 'mutation { create_headings_item(data: {text: "w"}) { text } }'
        await talk.say(id="q", type="subscribe", payload={"query": mutation})
        assert (await talk.hear())["payload"] == {"data": {"create_headings_item": {"text": "w"}}}
        assert (await talk.hear())["type"] == "complete"
        for query in ("{ nope }", "{", "subscription { nope { key } }"):
            await talk.say(id="e", type="subscribe", payload={"query": query})
            failed = await talk.hear()
            assert (failed["type"], failed["payload"][0]["extensions"]["code"]) == ("error", "GRAPHQL_VALIDATION")


async def test_the_protocols_own_closings(served: Served) -> None:
    async with served.talk("/graphql") as talk:
        assert await talk.closed() == 4406
    for first in ({"type": "ping"}, {"type": "connection_init"}, {"type": "subscribe", "id": "1"}, {}):
        async with served.talk("/graphql", **PROTOCOL) as talk:
            await talk.say(**first)
            assert await talk.closed() == 4403, first
    async with served.talk("/graphql", None, **PROTOCOL) as talk:
        answer = await talk.ask(type="connection_init", payload={"access_token": "wrong"})
        assert answer["error"]["code"] == "AUTH_FAILED"
        again = await talk.ask(type="connection_init", payload={"access_token": "reader-token"})
        assert again == {"type": "connection_ack"}
    async with begun(served) as talk:
        await subscribe(talk, "a", "subscription { headings_mutated { key } }")
        await talk.say(id="a", type="subscribe", payload={"query": "{ __typename }"})
        assert await talk.closed() == 4409
    for message in ({"type": "nonsense"}, {"type": "subscribe"}, {"type": "subscribe", "id": "x", "payload": "y"}):
        async with begun(served) as talk:
            await talk.say(**message)
            assert await talk.closed() == 4400, message


async def test_nobody_waits_for_ever(serving: Serve) -> None:
    async with (
        serving(WEBSOCKETS_GRAPHQL_AUTH_TIMEOUT=0.2) as served,
        served.talk("/graphql", None, **PROTOCOL) as talk,
    ):
        assert await talk.closed() == 4403


async def test_strict_and_public(serving: Serve) -> None:
    async with serving(WEBSOCKETS_GRAPHQL_AUTH="strict") as served, served.talk("/graphql", **PROTOCOL) as talk:
        assert await talk.ask(type="connection_init") == {"type": "connection_ack"}
        await talk.say(id="q", type="subscribe", payload={"query": "{ __typename }"})
        assert (await talk.hear())["payload"] == {"data": {"__typename": "Query"}}
    async with serving(WEBSOCKETS_GRAPHQL_AUTH="public") as served, served.talk("/graphql", None, **PROTOCOL) as talk:
        assert await talk.ask(type="connection_init") == {"type": "connection_ack"}
        await talk.say(id="q", type="subscribe", payload={"query": "{ _empty }"})
        assert (await talk.hear())["payload"] == {"data": {"_empty": None}}
