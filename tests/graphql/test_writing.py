"""Mutations: what they write, what they show, what they refuse."""

from __future__ import annotations

import httpx2
import pytest

from .shelf import ADMIN, READER, ask, codes

pytestmark = pytest.mark.anyio


async def test_create_update_delete(client: httpx2.AsyncClient) -> None:
    created = await ask(
        client,
        'mutation { create_authors_item(data: {name: "Woolf", books: [{title: "Orlando"}]}) { id name books { title } } }',
    )
    key = created["data"]["create_authors_item"].pop("id")
    assert created == {"data": {"create_authors_item": {"name": "Woolf", "books": [{"title": "Orlando"}]}}}
    change = 'mutation ($k: ID!) { update_authors_item(id: $k, data: {name: "V. Woolf"}) { name } }'
    assert await ask(client, change, {"k": key}) == {"data": {"update_authors_item": {"name": "V. Woolf"}}}
    gone = await ask(client, "mutation ($k: ID!) { delete_authors_item(id: $k) { id } }", {"k": key})
    assert gone == {"data": {"delete_authors_item": {"id": key}}}
    assert codes(await ask(client, "query ($k: ID!) { authors_by_id(id: $k) { id } }", {"k": key})) == ["FORBIDDEN"]


async def test_many_at_once(client: httpx2.AsyncClient) -> None:
    created = await ask(
        client, 'mutation { create_headings_items(data: [{text: "a"}, {text: "b"}], sort: ["-text"]) { id text } }'
    )
    rows = created["data"]["create_headings_items"]
    assert [row["text"] for row in rows] == ["b", "a"]
    batch = 'mutation ($d: [update_headings_input!]) { update_headings_batch(data: $d, sort: ["text"]) { text } }'
    data = [{"id": row["id"], "text": row["text"] * 2} for row in rows]
    assert await ask(client, batch, {"d": data}) == {
        "data": {"update_headings_batch": [{"text": "aa"}, {"text": "bb"}]}
    }
    only = 'mutation ($ids: [ID]!) { update_headings_items(ids: $ids, data: {text: "z"}) { __typename } }'
    assert await ask(client, only, {"ids": [row["id"] for row in rows]}) == {
        "data": {"update_headings_items": [{"__typename": "headings"}] * 2}
    }


async def test_mutations_run_one_after_the_other_and_each_stands_alone(client: httpx2.AsyncClient) -> None:
    query = """mutation {
      a: create_headings_item(data: {text: "first"}) { text }
      b: update_books_item(id: 1, data: {author: {id: 999, name: 5}}) { id }
    }"""
    assert codes(await ask(client, query)) == ["GRAPHQL_VALIDATION"]
    query = """mutation {
      a: create_headings_item(data: {text: "first"}) { text }
      b: update_site(data: {id: 7}) { title }
      c: create_reviews_item(data: {book: {id: 1, author: {id: "abc"}}}) { stars }
    }"""
    answer = await ask(client, query)
    assert answer["data"]["a"] == {"text": "first"}
    assert answer["data"]["c"] is None
    assert answer["errors"][0]["path"] == ["c"]
    assert len((await ask(client, '{ headings(filter: {text: {_eq: "first"}}) { id } }'))["data"]["headings"]) == 1


async def test_who_may_not_read_gets_true(client: httpx2.AsyncClient) -> None:
    written = await ask(client, "mutation { create_reviews_item(data: {stars: 4}) }", who=READER)
    assert written == {"data": {"create_reviews_item": True}}
    assert codes(await ask(client, "mutation { create_reviews_item(data: {stars: 4}) { stars } }", who=READER)) == [
        "GRAPHQL_VALIDATION"
    ]
    assert codes(await ask(client, "mutation { delete_books_item(id: 1) { id } }", who=READER)) == [
        "GRAPHQL_VALIDATION"
    ]


async def test_writes_only_by_post(client: httpx2.AsyncClient) -> None:
    query = 'mutation { create_headings_item(data: {text: "by get"}) { text } }'
    answer = await client.get("/graphql", params={"query": query}, headers=ADMIN)
    assert (answer.status_code, codes(answer.json())) == (405, ["METHOD_NOT_ALLOWED"])
    found = await ask(client, '{ headings(filter: {text: {_eq: "by get"}}) { id } }')
    assert found == {"data": {"headings": []}}


async def test_the_data_model_by_mutations(client: httpx2.AsyncClient) -> None:
    data = (
        '{collection: "notes", meta: {note: "Notes"}, schema: {}, fields: [{field: "body", type: "text", schema: {}}]}'
    )
    created = await ask(
        client,
        f"mutation {{ create_collections_item(data: {data}) {{ collection meta {{ note }} }} }}",
        scope="/system",
    )
    assert created == {"data": {"create_collections_item": {"collection": "notes", "meta": {"note": "Notes"}}}}
    assert await ask(client, 'mutation { create_notes_item(data: {body: "x"}) { body } }') == {
        "data": {"create_notes_item": {"body": "x"}}
    }
    gone = await ask(
        client, 'mutation { delete_collections_item(collection: "notes") { collection } }', scope="/system"
    )
    assert gone == {"data": {"delete_collections_item": {"collection": "notes"}}}
    assert (await ask(client, "{ notes { body } }"))["status"] == 400


async def test_logging_in(client: httpx2.AsyncClient) -> None:
    query = 'mutation ($m: auth_mode) { auth_login(email: "reader@example.com", password: "reader-password", mode: $m) { access_token refresh_token expires } }'
    tokens = (await ask(client, query, {"m": "json"}, who={}, scope="/system"))["data"]["auth_login"]
    assert tokens["expires"] == "900000"
    who = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert await ask(client, "{ books { title } }", who=who) == {"data": {"books": [{"title": "Emma"}]}}
    answer = await client.post("/graphql/system", json={"query": query, "variables": {"m": "session"}})
    assert "directus_session_token=" in answer.headers["set-cookie"]
    assert answer.json()["data"]["auth_login"]["access_token"] is None
    wrong = query.replace("reader-password", "wrong")
    assert codes(await ask(client, wrong, {"m": "json"}, who={}, scope="/system")) == ["INVALID_CREDENTIALS"]
