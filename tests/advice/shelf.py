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
