"""Documents: limits, conflicts, introspection, and what a hostile client may try."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from graphql import GraphQLSchema, build_client_schema, get_introspection_query
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary import Tabulary

from ..conftest import Servers
from .shelf import ADMIN, READER, SETTINGS, ask, client_of, codes, shelf_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tabulary(servers: Servers) -> AsyncIterator[Tabulary]:
    """One database is enough here."""
    async with Tabulary(await shelf_of(servers, "sqlite"), **SETTINGS) as tabulary:
        yield tabulary


async def test_conflicting_fields_are_refused(client: httpx2.AsyncClient) -> None:
    for query in (
        "{ books { x: id x: title } }",
        "{ books { author { name } author(limit: 1) { name } } }",
        "{ books { ...A ...B } } fragment A on books { x: id } fragment B on books { x: title }",
        "{ a: books { id } a: authors { id } }",
        "{ pages { blocks { item { ... on headings { x: id } ... on books { x: title } } } } }",
    ):
        answer = await ask(client, query)
        assert (answer["status"], codes(answer)) == (400, ["GRAPHQL_VALIDATION"]), query
    merged = await ask(client, "{ books(limit: 1) { author { name } author { id } } }")
    assert merged == {"data": {"books": [{"author": {"name": "Jane Austen", "id": "1"}}]}}


async def test_directives_choose_with_variables(client: httpx2.AsyncClient) -> None:
    query = "query ($a: Boolean!) { books(limit: 1) { id title @include(if: $a) author @skip(if: $a) { name } } }"
    with_, without = [await ask(client, query, {"a": flag}) for flag in (True, False)]
    assert with_ == {"data": {"books": [{"id": "1", "title": "Emma"}]}}
    assert without == {"data": {"books": [{"id": "1", "author": {"name": "Jane Austen"}}]}}


async def test_variables_that_do_not_fit(client: httpx2.AsyncClient) -> None:
    query = "query ($n: Int!) { books(limit: $n) { id } }"
    for variables in ({"n": "two"}, {}, {"n": 2**40}):
        answer = await ask(client, query, variables)
        assert (codes(answer), "data" in answer) == (["INTERNAL_SERVER_ERROR"], False)
    assert codes(await ask(client, query, [1])) == ["INVALID_PAYLOAD"]
    several = "query A { site { title } } query B { site { title } }"
    assert codes(await ask(client, several)) == ["INTERNAL_SERVER_ERROR"]


async def test_introspection_is_whole_and_can_be_switched_off(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    for scope in ("", "/system"):
        for who in (ADMIN, READER, {}):
            answer = await ask(client, get_introspection_query(), who=who, scope=scope)
            schema = build_client_schema(answer["data"])
            assert schema.query_type is not None
    assert await ask(client, '{ __typename __type(name: "secrets") { name } }') == {
        "data": {"__typename": "Query", "__type": None}
    }
    sdl = await ask(client, "{ server_specs_graphql(scope: items) }", who=READER, scope="/system")
    assert "type books {" in sdl["data"]["server_specs_graphql"]
    assert "price" not in sdl["data"]["server_specs_graphql"]
    closed = Tabulary(tabulary.settings, graphql_introspection=False)
    async with closed, client_of(closed) as other:
        assert codes(await ask(other, "{ __schema { queryType { name } } }")) == ["GRAPHQL_VALIDATION"]
        assert await ask(other, "{ __typename }") == {"data": {"__typename": "Query"}}
        assert codes(await ask(other, "{ server_specs_graphql }", scope="/system")) == ["GRAPHQL_VALIDATION"]


HOSTILE = {
    "deep braces": "{" * 3_000,
    "deep selection": "{ books " + "{ author { books " * 400 + "{ id }" + " } }" * 400 + " }",
    "tokens": "{ " + " ".join(f"a{i}: books {{ id }}" for i in range(2_000)) + " }",
    "relations a thousand times": "{ books { " + " ".join(f"a{i}: author {{ id }}" for i in range(1_001)) + "} }",
    "circular fragments": "{ books { ...A } } fragment A on books { ...B } fragment B on books { ...A }",
    "fragments that double": "{ books { ...F0 } } "
    + " ".join(
        f"fragment F{i} on books {{ a: author {{ books {{ ...F{i + 1} }} }} b: author {{ books {{ ...F{i + 1} }} }} }}"
        for i in range(40)
    )
    + " fragment F40 on books { id }",
    "deep list": "{ books(filter: " + "{_and: [" * 300 + "]}" * 300 + ") { id } }",
    "introspection that multiplies": "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    "nul": '{ books(search: "\\u0000") { id } }',
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_documents_are_refused(client: httpx2.AsyncClient, name: str) -> None:
    answer = await ask(client, HOSTILE[name])
    assert codes(answer)[0] in ("GRAPHQL_VALIDATION", "INVALID_QUERY"), answer
    assert await ask(client, "{ __typename }") == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("selection", "most"), [("id ", 4_000), ("author { id } ", 1_200), ("... on books { id } ", 600)]
)
async def test_repeated_fields_are_merged_in_linear_time(client: httpx2.AsyncClient, selection: str, most: int) -> None:
    """Twice the fields, about twice the calls of functions: comparing pairs would make it four times."""
    work = []
    for times in (most // 4, most // 2, most):
        calls = 0

        def count(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            answer = await ask(client, f"{{ books(limit: 1) {{ {selection * times} }} }}")
        finally:
            sys.setprofile(None)
        assert len(answer["data"]["books"]) == 1
        work.append(calls)
    assert work[2] < 2.5 * work[1], work


async def test_deep_variables_are_refused(client: httpx2.AsyncClient) -> None:
    filter_: Any = {"id": {"_eq": 1}}
    for _ in range(400):
        filter_ = {"_and": [filter_]}
    answer = await ask(client, "query ($f: books_filter) { books(filter: $f) { id } }", {"f": filter_})
    assert codes(answer)[0] in ("INVALID_QUERY", "INTERNAL_SERVER_ERROR")


NAMES = st.sampled_from(
    ["books", "id", "title", "author", "reviews", "a:", "...F", "... on books", "__typename", "(", ")", "{", "}", "[", "]",
     "limit:", "filter:", "1", "-1", '"x"', "$v", "query", "mutation", "fragment F on books", "@skip(if: true)", "null"]
)  # fmt: skip


async def test_any_text_gets_an_answer(client: httpx2.AsyncClient) -> None:

    documents: list[str] = []

    @settings(max_examples=300, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(NAMES, max_size=30).map(" ".join) | st.text(max_size=60))
    def gather(text: str) -> None:
        documents.append(text)

    gather()
    for text in documents:
        answer = await client.post("/graphql", json={"query": text}, headers=READER)
        assert answer.status_code in (200, 400), text
        assert "errors" in answer.json() or "data" in answer.json()


async def test_a_schema_is_made_once(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask for all of it at once; other callers with the same rights get the same."""
    made = []

    def counted(*parts: Any, **options: Any) -> GraphQLSchema:
        made.append(parts)
        return GraphQLSchema(*parts, **options)

    monkeypatch.setattr("tabulary.server.graphql.whole.GraphQLSchema", counted)
    queries = [f"{{ a{number}: __schema {{ types {{ name }} }} }}" for number in range(6)]
    answers = await asyncio.gather(*(ask(client, query, who=READER) for query in queries))
    assert len({str(next(iter(answer["data"].values()))) for answer in answers}) == 1
    assert len(made) == 1
