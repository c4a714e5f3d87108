"""Frames that no honest client sends: every one gets a clear answer, a close, or silence, and the server lives on."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tabulary.core import json

from .conftest import Served, Talk
from .test_fanout import FRAMES
from .test_graphql_protocol import begun

pytestmark = pytest.mark.anyio

CLOSINGS = {4400, 4403, 4409, 4429}
BROKEN = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"{",
    b'{"type":',
    b'{"type":"ping"',
    b"[" * 20_000,
    b'{"type":"ping"}{}',
    b"nul",
    b"1e999",
)

OPERATIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "complete", "ping", "pong", "connection_init", "next", "auth"])},
    optional={
        "id": FRAMES,
        "payload": FRAMES
        | st.fixed_dictionaries(
            {"query": st.sampled_from(["{ books { id } }", "subscription { books_mutated { key } }", "{", "query A { __typename }", "mutation { x }"]) | FRAMES},
            optional={"variables": FRAMES, "operationName": FRAMES},
        ),
    },
)  # fmt: skip


def examples(strategy: st.SearchStrategy[Any], number: int) -> list[Any]:
    """So many values of a strategy; hypothesis itself calls no coroutines."""
    found: list[Any] = []

    @settings(max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def gather(value: Any) -> None:
        found.append(value)

    gather()
    return found


async def lives(talk: Talk, *more: int) -> bool:
    """True when the connection answers a ``ping``, False when the server has closed it; what comes before is dropped."""
    try:
        await talk.say(type="ping")
        while (await talk.hear()).get("type") != "pong":
            pass
    except ConnectionClosed:
        assert talk.connection.close_code in {*CLOSINGS, *more}, talk.connection.close_code
        return False
    return True


async def test_any_operation_over_graphql(served: Served) -> None:
    for message in examples(OPERATIONS | FRAMES, 150):
        async with begun(served, "reader-token") as talk:
            await talk.connection.send(json.encode(message).decode())
            is_login = isinstance(message, dict) and message.get("type") == "auth"
            await lives(talk, *([1000] if is_login else []))
    async with begun(served) as talk:
        assert await lives(talk)


async def test_broken_frames(served: Served) -> None:
    """As text and as bytes, before and after authentication."""
    for raw in BROKEN:
        frames: list[Any] = [raw]
        if raw.isascii():
            frames.append(raw.decode())
        for frame in frames:
            async with served.talk() as talk:
                await talk.connection.send(frame)
                assert (await talk.hear())["error"]["code"] == "INVALID_PAYLOAD", frame
                assert await lives(talk)
            async with served.talk(token=None) as talk:
                await talk.connection.send(frame)
                assert (await talk.hear())["error"]["code"] == "AUTH_FAILED", frame
                await talk.closed()
            async with begun(served) as talk:
                await talk.connection.send(frame)
                assert await talk.closed() == 4400, frame


async def test_bytes_that_are_json_are_messages(served: Served) -> None:
    async with served.talk() as talk:
        await talk.connection.send(b'{"type":"ping","uid":"b"}')
        assert await talk.hear() == {"type": "pong", "uid": "b"}


@pytest.mark.parametrize("depth", [50, 400, 5_000])
async def test_deep_messages(served: Served, depth: int) -> None:
    deep = '{"_and":[' * depth + '{"id":{"_eq":1}}' + "]}" * depth
    query = "query ($f: books_filter) { books(filter: $f) { id } }"
    async with served.talk() as talk, begun(served) as graphql:
        for kind in ("subscribe", "items"):
            await talk.connection.send(
                f'{{"type":"{kind}","collection":"books","action":"read","uid":"d","query":{{"filter":{deep}}}}}'
            )
            answer = await talk.hear()
            assert answer["type"] in ("subscription", "items") or answer["error"]["code"].startswith("INVALID_"), answer
        payload = f'{{"query":{stdlib_json.dumps(query)},"variables":{{"f":{deep}}}}}'
        await graphql.connection.send(f'{{"type":"subscribe","id":"d","payload":{payload}}}')
        await lives(graphql)
        assert await lives(talk)


async def test_floods_of_subscriptions_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabulary.server.realtime.json_protocol.MAX_SUBSCRIPTIONS", 20)
    monkeypatch.setattr("tabulary.server.realtime.graphql_protocol.MAX_OPERATIONS", 20)
    async with served.talk() as talk:
        answers = [
            await talk.ask(type="subscribe", collection="books", event="create", uid=number) for number in range(22)
        ]
        assert [answer["type"] for answer in answers] == ["subscription"] * 20 + ["subscribe"] * 2
        assert await lives(talk)
    async with begun(served) as talk:
        for number in range(21):
            payload = {"query": "subscription { books_mutated { key } }"}
            await talk.say(type="subscribe", id=f"{number}", payload=payload)
        assert await talk.closed() == 4429
