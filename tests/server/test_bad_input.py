"""Hostile and broken requests: a clear 4xx, nothing half written, and the server goes on (issue: bad input).

The table is data; every row runs against a fresh set of tables on every database, and afterwards the same count of rows
must be there and an ordinary request must work.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary import Tabulary

from .hostile import Request, requests
from .test_app import SETTINGS, client_of

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}

FIELDS = [
    {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}, "meta": {}},
    {"field": "title", "type": "string", "schema": {"max_length": 50, "is_nullable": False}, "meta": {}},
    {"field": "pages", "type": "integer", "schema": {}, "meta": {}},
    {"field": "born", "type": "timestamp", "schema": {}, "meta": {}},
    {"field": "facts", "type": "json", "schema": {}, "meta": {}},
    {"field": "parent", "type": "integer", "schema": {}, "meta": {"special": ["m2o"]}},
    {"field": "children", "type": "alias", "schema": None, "meta": {"special": ["o2m"]}},
]
RELATION = {"collection": "books", "field": "parent", "related_collection": "books", "meta": {"one_field": "children"}}


@pytest.fixture
async def client(installed_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with Tabulary(installed_url, **SETTINGS) as tabulary, client_of(tabulary.asgi) as client:
        client.headers.update(ADMIN)
        made = await client.post(
            "/collections", json={"collection": "books", "schema": {}, "meta": {}, "fields": FIELDS}
        )
        assert made.status_code == 200, made.text
        assert (await client.post("/relations", json=RELATION)).status_code == 200
        assert (await client.post("/items/books", json={"title": "Emma"})).status_code == 200
        yield client


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


BODIES: list[Any] = [
    "{",
    "[1,",
    "5",
    '"text"',
    '{"title": "a\\u0000b"}',
    '{"title": null}',
    '{"pages": "many", "title": "x"}',
    '{"pages": 99999999999999999999999999, "title": "x"}',
    '{"pages": 1e400, "title": "x"}',
    '{"born": "the day before", "title": "x"}',
    json.dumps({"title": "x" * 51}),
    '{"parent": 4711, "title": "x"}',
    '{"parent": {"title": "y", "parent": {"title": null}}, "title": "x"}',
    '{"children": [{"title": "a"}, {"title": null}], "title": "x"}',
    '{"children": {"create": 5}, "title": "x"}',
    '{"children": {"update": [{"title": "no key"}]}, "title": "x"}',
    '{"children": {"nope": []}, "title": "x"}',
    '{"children": "abc", "title": "x"}',
    '[{"title": "a"}, {"title": null}]',
    "[1, 2]",
    '{"title": "x", "facts": ' + nested(100_000) + "}",
    json.dumps({"title": "x" * 2_000_000}),
    b"\xff\xfe",
    b'{"title": "\xff"}',
]


@pytest.mark.parametrize("number", range(len(BODIES)))
async def test_a_bad_body_is_refused_and_leaves_nothing(client: httpx2.AsyncClient, number: int) -> None:
    raw = BODIES[number]
    content = raw if isinstance(raw, bytes) else raw.encode()
    answer = await client.post("/items/books", content=content, headers={"content-type": "application/json"})
    stores_any_length = answer.status_code == 200 and number == 10
    assert 400 <= answer.status_code < 500 or stores_any_length, (raw[:80], answer.status_code, answer.text[:300])
    left = await client.get("/items/books?aggregate[count]=*")
    assert int(left.json()["data"][0]["count"]) == (2 if stores_any_length else 1)


PATHS = [
    "/items/books?filter[title][_eq]=%00",
    "/items/books?filter={",
    "/items/books?filter[_and]=x",
    "/items/books?filter=" + json.dumps({"pages": {"_eq": 10**30}}),
    "/items/books?filter[pages][_in]=" + ",".join(["x"] * 10),
    "/items/books?fields=" + ".".join(["children"] * 30),
    "/items/books?fields=" + ".".join(["*"] * 10),
    '/items/books?fields=id";drop table books;--',
    "/items/books?sort=id;select",
    "/items/books?alias[x]=title') from books--&fields=x",
    '/items/books?fields=json(facts, a"b)',
    "/items/books?aggregate[count]=id);drop table books",
    "/items/books?groupBy=id) from books",
    "/items/books?aggregate[countAll]=id",
    "/items/books?aggregate[countAll]=id,*&groupBy=title",
    "/items/books?limit=-5",
    "/items/books?limit=99999999999999999999999999x",
    "/items/books?deep=[1]",
    "/items/books?export=exe",
    "/items/books/abc",
    "/items/books/1.5",
    "/items/books/%00",
    "/items/books/99999999999999999999999",
    "/items/nope",
    "/items/books%22",
    "/items/directus_users",
    "/items/books?" + "&".join(f"filter[_and][{n}][title][_eq]=x" for n in range(3)) + "&filter" + "[a]" * 200 + "=1",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_bad_query_is_refused(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert answer.json()["errors"][0]["extensions"]["code"] != "INTERNAL_SERVER_ERROR"
    assert (await client.get("/items/books/1?fields=title")).json() == {"data": {"title": "Emma"}}


async def test_a_circle_is_written_or_refused_whole(client: httpx2.AsyncClient) -> None:
    answer = await client.patch("/items/books/1", json={"children": [{"id": 1, "children": [{"id": 1}]}]})
    assert answer.status_code in (200, 400)
    assert (await client.get("/items/books/1?fields=id")).status_code == 200


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_payloads = st.dictionaries(
    st.sampled_from(["id", "title", "pages", "born", "facts", "parent", "children", "zz"]), _values, max_size=5
)


async def test_no_payload_is_a_server_error(client: httpx2.AsyncClient) -> None:
    """Two hundred random payloads, each of them written or refused."""
    examples: list[dict[str, Any]] = []

    @settings(max_examples=200, database=None, suppress_health_check=list(HealthCheck))
    @given(_payloads)
    def collect(payload: dict[str, Any]) -> None:
        examples.append(payload)

    collect()
    for payload in examples:
        try:
            content = json.dumps(payload).encode("utf-8", "surrogatepass")
        except ValueError:
            continue
        answer = await client.post("/items/books", content=content, headers={"content-type": "application/json"})
        assert answer.status_code < 500, (payload, answer.text[:300])


FAMILIES = (
    "items/books",
    "comments",
    "files",
    "translations",
    "presets",
    "users",
    "roles",
    "access",
    "shares",
    "versions",
)


async def test_a_list_of_what_are_no_items_is_refused(client: httpx2.AsyncClient) -> None:
    for family in FAMILIES:
        for body in (["x"], [1, {}], [None], [[]], [True], [1.5]):
            for method in ("POST", "PATCH"):
                answer = await client.request(method, f"/{family}", json=body)
                assert 400 <= answer.status_code < 500, (family, method, body, answer.text)


async def test_items_of_nothing_but_defaults(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/presets?fields=id", json=[{}, {}, {}])
    assert len({row["id"] for row in answer.json()["data"]}) == 3


BEYOND: list[Any] = [2**63, -(2**63) - 1, 10**30, str(2**64), "9" * 5000, 1e300]


async def test_keys_beyond_all_numbers_are_missing_items(client: httpx2.AsyncClient) -> None:
    for key in BEYOND:
        calls: list[tuple[str, str, Any]] = [
            ("DELETE", "/items/books", [key]),
            ("PATCH", "/items/books", {"keys": [key], "data": {"pages": 1}}),
            ("PATCH", "/items/books", [{"id": key, "pages": 1}]),
            ("POST", "/items/books", {"id": key, "title": "x"}),
            ("DELETE", "/permissions", [key]),
            ("GET", f"/items/books/{key}", None),
            ("PATCH", f"/items/books/{key}", {"pages": 1}),
            ("DELETE", f"/items/books/{key}", None),
        ]
        for method, path, body in calls:
            answer = await client.request(method, path, json=body)
            assert 400 <= answer.status_code < 500, (method, path[:40], answer.text)
    assert len((await client.get("/items/books")).json()["data"]) == 1


async def test_what_others_refer_to_stays(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/items/books", json={"title": "Emma 2", "parent": 1})).status_code == 200
    for path, body in (
        ("/items/books/1", None),
        ("/items/books", [1]),
        ("/items/books", {"query": {"sort": "id", "limit": 1}}),
    ):
        answer = await client.request("DELETE", path, json=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_FOREIGN_KEY"
    assert len((await client.get("/items/books")).json()["data"]) == 2


async def test_invitations_of_nobody(client: httpx2.AsyncClient) -> None:
    for key in ("x", "%00", "1", "f1f1f1f1-dead-4000-8000-000000000000"):
        assert (await client.delete(f"/users/invitations/{key}")).status_code in (400, 403)
        assert (await client.post(f"/users/invitations/{key}/send")).status_code in (400, 403)


async def test_no_request_is_a_server_error(client: httpx2.AsyncClient) -> None:
    """Some hundred generated requests, each of them answered or refused."""
    examples: list[Request] = []

    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
    @given(requests)
    def collect(request: Request) -> None:
        examples.append(request)

    collect()
    for request in examples:
        answer = await client.request(request.method, request.path, json=request.body)
        assert answer.status_code < 500, (request, answer.text[:300])


async def test_keys_that_only_some_columns_hold(client: httpx2.AsyncClient) -> None:
    for key in (2**31, "-0.0", "12.0"):
        assert (await client.request("DELETE", "/items/books", json=[key])).status_code in (204, 400, 403)
        assert (await client.patch(f"/items/books/{key}", json={"pages": 1})).status_code in (200, 204, 400, 403)
        assert (await client.get(f"/items/books/{key}")).status_code in (400, 403)


async def test_json_that_no_reader_takes_back(client: httpx2.AsyncClient) -> None:
    """Some databases would store it, and every read of the row would fail; of a field's options, every request."""
    field = {"field": "extra", "type": "json", "schema": {}, "meta": {"options": "1e400"}}
    assert (await client.post("/fields/books", json=field)).status_code == 400
    for text in ("1e400", "[-1e999]", '{"a": 1E+400}', "1e", "{"):
        answer = await client.post("/items/books", json={"title": "x", "facts": text})
        assert answer.status_code == 400, answer.text
    stays = '{"a": 1e300, "b": "1e400"}'
    assert (await client.post("/items/books", json={"title": "x", "facts": stays})).status_code == 200
    assert (await client.get("/items/books?fields=facts&sort=-id&limit=1")).json()["data"][0]["facts"]["b"] == "1e400"


NAMES = ["", "\0", "a\0b", "a\nb", "x" * 64, "ä" * 32]
COLUMNS: list[Any] = [
    {"field": "n", "type": "string", "meta": "text"},
    {"field": "n", "type": "string", "meta": [1]},
    {"field": "n", "type": "string", "schema": 5},
    {"field": "n", "type": "integer", "schema": {"is_primary_key": True}},
    *({"field": name, "type": "string", "schema": {}} for name in NAMES),
]


async def test_a_bad_field_is_refused(client: httpx2.AsyncClient) -> None:
    before = (await client.get("/fields/books")).json()
    for body in COLUMNS:
        answer = await client.post("/fields/books", json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert (await client.get("/fields/books")).json() == before


async def test_a_field_that_must_have_a_value_needs_one_for_the_rows_there_are(client: httpx2.AsyncClient) -> None:
    body = {"field": "n", "type": "string", "schema": {"is_nullable": False}, "meta": None}
    answer = await client.post("/fields/books", json=body)
    assert answer.status_code in (200, 400), answer.text  # MariaDB gives them an empty text
    assert (await client.get("/items/books?fields=title")).json() == {"data": [{"title": "Emma"}]}


async def test_a_bad_table_is_refused(client: httpx2.AsyncClient) -> None:
    twice = [{"field": "n", "type": "string"}, {"field": "n", "type": "integer"}]
    bodies: list[dict[str, Any]] = [
        {"collection": "new", "schema": {}, "fields": twice},
        *({"collection": "new", "schema": {}, "fields": [field]} for field in COLUMNS[:3]),
        *({"collection": name, "schema": {}} for name in NAMES),
    ]
    for body in bodies:
        answer = await client.post("/collections", json=body)
        assert answer.status_code == 400, (body, answer.text)
    assert (await client.get("/collections/new")).status_code == 403
