"""A collection with texts, numbers and a key of either kind, and searches in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulary import Tabulary
from tabulary.database.connection import Connection
from tabulary.database.versions import SCHEMA


async def make_notes(tabulary: Tabulary, name: str = "notes") -> None:
    """``notes``: an automatic number as key, two texts, a number and a uuid."""
    await (await tabulary.collections()).create_one(
        {
            "collection": name,
            "meta": {},
            "schema": {},
            "fields": [
                {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
                {"field": "title", "type": "string", "schema": {}},
                {"field": "body", "type": "text", "schema": {}},
                {"field": "stars", "type": "integer", "schema": {}},
                {"field": "ref", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {}},
            ],
        }
    )


async def index_texts(tabulary: Tabulary, columns: Sequence[str], name: str = "notes") -> list[str]:
    """Give a collection its search index; the statements."""

    async def make(connection: Connection) -> list[str]:
        ddl = connection.dialect.ddl
        statements = await ddl.search_index_texts(connection, name, "id", columns)
        for statement in statements:
            await connection.execute(statement)
        connection.outdates({SCHEMA})
        return statements

    return await tabulary.platform.database.run_in_transaction(make)


async def found(tabulary: Tabulary, term: str, name: str = "notes", **more: Any) -> list[int]:
    """Keys of the items that a search finds, in order."""
    query: Mapping[str, Any] = {"search": term, "fields": ["id"], "limit": -1, **more}
    return [item["id"] for item in await tabulary.items(name).read_by_query(query)]


ROWS = 2_000
PEOPLE = 40


async def make_orders(tabulary: Tabulary) -> None:
    """``people`` and ``orders`` (2,000) with a foreign key, a rule, a bookmark, a sort field and an archive.

    ``state`` says ``open`` in every twentieth row and ``done`` in the others; ``kind`` is the same in all rows.
    """
    collections, relations = await tabulary.collections(), None
    key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
    name = {"field": "name", "type": "string", "schema": {}}
    await collections.create_one({"collection": "people", "meta": {}, "schema": {}, "fields": [key, name]})
    await collections.create_one(
        {
            "collection": "orders",
            "meta": {"sort_field": "sort", "archive_field": "kind", "archive_value": "same"},
            "schema": {},
            "fields": [
                key,
                {"field": "person", "type": "integer", "schema": {}},
                {"field": "state", "type": "string", "schema": {}},
                {"field": "kind", "type": "string", "schema": {}},
                {"field": "placed", "type": "integer", "schema": {}},
                {"field": "sort", "type": "integer", "schema": {}},
                {"field": "note", "type": "text", "schema": {}},
            ],
        }
    )
    alias = {"field": "orders", "type": "alias", "meta": {"special": ["o2m"]}}
    await (await tabulary.fields()).create_field("people", alias)
    relations = await tabulary.relations()
    await relations.create_one(
        {"collection": "orders", "field": "person", "related_collection": "people", "meta": {"one_field": "orders"}}
    )
    await tabulary.items("people").create_many([{"name": f"person {n}"} for n in range(PEOPLE)])
    words = ["paper", "pencil", "cardboard", "envelope", "stapler", "notebook", "ruler"]
    await tabulary.items("orders").create_many(
        [
            {
                "person": n // 20 % PEOPLE + 1,
                "state": "done" if n % 20 else "open",
                "kind": "same",
                "placed": n * 7919 % 104_729,
                "sort": n * 31 % ROWS,
                "note": f"{words[n % 7]} {words[n % 5]} number{n}x " + "and a remark of some length " * 30,
            }
            for n in range(ROWS)
        ]
    )
    policy = await tabulary.items("directus_policies").create_one({"name": "Clerks"})
    rule = {"person": {"_eq": "$CURRENT_USER"}, "state": {"_eq": "open"}}
    await tabulary.items("directus_permissions").create_one(
        {"policy": policy, "collection": "orders", "action": "read", "permissions": rule, "fields": ["*"]}
    )
    await tabulary.items("directus_presets").create_one(
        {
            "collection": "orders",
            "bookmark": "Latest",
            "layout": "tabular",
            "layout_query": {"tabular": {"sort": ["-placed"]}},
        }
    )
