"""Queries: names, formats, relations, functions, aggregates, unions, on real databases."""

from __future__ import annotations

import httpx2
import pytest

from tabulary import Tabulary

from .shelf import ADMIN, READER, ask, codes

pytestmark = pytest.mark.anyio


async def test_formats_are_those_of_graphql(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, '{ books(sort: ["id"], limit: 1) { id price views tags data in_print at } }')
    assert answer == {
        "data": {
            "books": [
                {
                    "id": "1",
                    "price": 9.5,
                    "views": "9007199254740993",
                    "tags": ["a", "b"],
                    "data": [1, 2],
                    "in_print": True,
                    "at": "2020-02-03T04:05:06.000Z",
                }
            ]
        }
    }


async def test_members_come_in_the_order_of_the_selection(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/graphql",
        json={"query": '{ books(limit: 1, sort: ["id"]) { title author { name } id reviews_func { count } } }'},
        headers={"Authorization": "Bearer admin-static-token"},
    )
    expected = '{"title":"Emma","author":{"name":"Jane Austen"},"id":"1","reviews_func":{"count":2}}'
    assert answer.text.replace(" ", "") == f'{{"data":{{"books":[{expected}]}}}}'.replace(" ", "")


async def test_aliases_and_arguments_at_every_depth(client: httpx2.AsyncClient) -> None:
    query = """
      query ($least: GraphQLStringOrFloat) {
        writers: authors {
          called: name
          good: books(filter: {reviews: {stars: {_gte: $least}}}) { name: title best: reviews(sort: ["-stars"], limit: 1) { stars } }
          cheap: books(filter: {price: {_lt: 8}}) { title }
        }
      }
    """
    answer = await ask(client, query, {"least": 4})
    good, cheap = [{"name": "Emma", "best": [{"stars": 5}]}], [{"title": "Persuasion"}]
    assert answer == {"data": {"writers": [{"called": "Jane Austen", "good": good, "cheap": cheap}]}}


async def test_functions_are_objects_and_filters(client: httpx2.AsyncClient) -> None:
    query = "{ authors(filter: {born_func: {year: {_eq: 1775}, month: {_eq: 12}}}) { f: born_func { __typename y: year month day } } }"
    born = {"__typename": "date_functions", "y": 1775, "month": 12, "day": 16}
    assert await ask(client, query) == {"data": {"authors": [{"f": born}]}}
    none = "{ authors(filter: {born_func: {year: {_eq: 1775}, month: {_eq: 1}}}) { id } }"
    assert await ask(client, none) == {"data": {"authors": []}}


async def test_items_of_any_collection(client: httpx2.AsyncClient) -> None:
    query = '{ pages { blocks(sort: ["id"]) { thing: item { __typename ... on headings { text } ... on books { title author { name } } } } } }'
    heading = {"__typename": "headings", "text": "Hello"}
    book = {"__typename": "books", "title": "Persuasion", "author": {"name": "Jane Austen"}}
    assert await ask(client, query) == {"data": {"pages": [{"blocks": [{"thing": heading}, {"thing": book}]}]}}


async def test_aggregates(client: httpx2.AsyncClient) -> None:
    query = "{ books_aggregated { countAll n: count { id author } avg { price } max { price } } }"
    assert await ask(client, query) == {
        "data": {
            "books_aggregated": [
                {"countAll": 2, "n": {"id": 2, "author": 2}, "avg": {"price": 8.375}, "max": {"price": 9.5}}
            ]
        }
    }
    grouped = await ask(
        client, '{ books_aggregated(groupBy: ["in_print"], sort: ["in_print"]) { group sum { price } } }'
    )
    rows = grouped["data"]["books_aggregated"]
    assert [(bool(row["group"]["in_print"]), row["sum"]["price"]) for row in rows] == [(False, 7.25), (True, 9.5)]


async def test_a_singleton_shows_its_defaults(client: httpx2.AsyncClient) -> None:
    assert await ask(client, "{ site { language: lang title } }") == {
        "data": {"site": {"language": "en", "title": None}}
    }
    await ask(client, 'mutation { update_site(data: {title: "Shelf"}) { title } }')
    assert await ask(client, "{ site { language: lang title } }") == {
        "data": {"site": {"language": "en", "title": "Shelf"}}
    }


async def test_a_role_has_a_schema_of_its_own(client: httpx2.AsyncClient) -> None:
    assert await ask(client, "{ books { id title } }", who=READER) == {
        "data": {"books": [{"id": "1", "title": "Emma"}]}
    }
    hidden = await ask(client, "{ books { price } }", who=READER)
    assert (hidden["status"], codes(hidden)) == (400, ["GRAPHQL_VALIDATION"])
    filtered = await ask(client, "{ books(filter: {price: {_gt: 1}}) { id } }", who=READER)
    assert codes(filtered) == ["GRAPHQL_VALIDATION"]
    sorted_ = await ask(client, '{ books(sort: ["price"]) { id } }', who=READER)
    assert (codes(sorted_), "data" in sorted_) == (["FORBIDDEN"], False)
    # authors.books is not allowed, so that the relation is a plain key
    fields = await ask(client, '{ __type(name: "books") { fields { name type { name } } } }', who=READER)
    assert {"name": "author", "type": {"name": "Int"}} in fields["data"]["__type"]["fields"]


async def test_a_change_of_permissions_changes_the_schema(client: httpx2.AsyncClient) -> None:
    admin = {"Authorization": "Bearer admin-static-token"}
    rows = (await client.get("/permissions?filter[collection][_eq]=books&fields=id", headers=admin)).json()["data"]
    key = next(row["id"] for row in rows if row["id"] is not None)
    assert "status" in await ask(client, "{ books { price } }", who=READER)
    await client.patch(f"/permissions/{key}", json={"fields": ["id", "price"]}, headers=admin)
    assert await ask(client, "{ books { price } }", who=READER) == {"data": {"books": [{"price": 9.5}]}}
    assert "status" in await ask(client, "{ books { title } }", who=READER)


async def test_one_statement_for_a_whole_selection(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    query = "{ authors { name books { title reviews { stars } author { name } } } }"
    await ask(client, query)
    statements = 0
    connection = type(await _one_connection(tabulary))
    originals = {name: getattr(connection, name) for name in ("fetch_value", "fetch_rows", "execute")}

    def counting(name: str):  # type: ignore[no-untyped-def]
        async def run(self, sql, *args, **options):  # type: ignore[no-untyped-def]
            nonlocal statements
            statements += "tabulary_state" not in sql  # a look at the versions, shared by all requests of the moment
            return await originals[name](self, sql, *args, **options)

        return run

    try:
        for name in originals:
            setattr(connection, name, counting(name))
        assert (await ask(client, query))["data"]["authors"][0]["name"] == "Jane Austen"
    finally:
        for name, original in originals.items():
            setattr(connection, name, original)
    assert statements == 1


async def _one_connection(tabulary: Tabulary):  # type: ignore[no-untyped-def]
    async with tabulary.platform.database.connection() as connection:
        return connection


async def test_hooks_see_items_and_change_them(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    async def shout(items, meta, context):  # type: ignore[no-untyped-def]
        return [{**item, "title": item["title"].upper()} for item in items]

    tabulary.hooks.filter("books.items.read", shout)
    query = '{ books(sort: ["id"], limit: 1) { id t: title price author { n: name } reviews_func { c: count } at_func { year } } }'
    book = {
        "id": "1",
        "t": "EMMA",
        "price": 9.5,
        "author": {"n": "Jane Austen"},
        "reviews_func": {"c": 2},
        "at_func": {"year": 2020},
    }
    assert await ask(client, query) == {"data": {"books": [book]}}


async def test_no_name_means_something_to_our_sql(client: httpx2.AsyncClient) -> None:
    for name in ("x", "v", "t", "row", "json"):
        nested = f"pages {{ {name}: blocks {{ {name}: id }} }}"
        answer = await ask(
            client, f"{{ {name}: books(limit: 1) {{ {name}: id by: author {{ {name}: name }} }} {nested} }}"
        )
        assert answer["data"][name] == [{name: "1", "by": {name: "Jane Austen"}}]
        assert answer["data"]["pages"] == [{name: [{name: "1"}, {name: "2"}]}]
        query = {f"alias[{name}]": "author", "fields": f"{name}.name", "limit": 1}
        rest = await client.get("/items/books", params=query, headers=ADMIN)
        assert rest.json() == {"data": [{name: {"name": "Jane Austen"}}]}
