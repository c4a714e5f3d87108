"""A process that does one thing to a platform and stops in the middle of it, for a test to kill it there.

``python child.py WORK VERB PLACE WHEN``: stops ``before`` or ``after`` the PLACEth statement that begins with VERB, or
with any word that changes tables when VERB is ``DDL``.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tabulary import Tabulary
from tabulary.access.accountability import Accountability
from tabulary.database.connection import Connection
from tabulary.database.dialects.mysql.driver import MySQLConnection
from tabulary.database.dialects.postgresql.driver import PostgreSQLConnection
from tabulary.database.dialects.sqlite.driver import SQLiteConnection
from tabulary.services.collections import CollectionsService
from tabulary.services.fields import FieldsService
from tabulary.services.import_formats import items
from tabulary.services.importing import ImportService
from tabulary.services.relations import RelationsService
from tabulary.services.schema import SchemaService

Field = dict[str, Any]
ROWS = 700
ADMIN = Accountability(admin=True)


def field(name: str, kind: str = "string", **schema: Any) -> Field:
    return {"field": name, "type": kind, "meta": {"note": name}, "schema": schema}


def collection(name: str, *fields: Field) -> dict[str, Any]:
    key = field("id", "integer", is_primary_key=True, has_auto_increment=True)
    return {"collection": name, "schema": {}, "meta": {"note": name}, "fields": [key, *fields]}


LIBRARY = (
    collection("authors", field("name", is_unique=True)),
    collection("books", field("title", is_indexed=True), field("author", "integer")),
    collection("shelves", field("place")),
)
RELATION = {
    "collection": "books", "field": "author", "related_collection": "authors",
    "schema": {"on_delete": "SET NULL"}, "meta": {"one_field": "books"},
}  # fmt: skip
ALIAS = {"field": "books", "type": "alias", "meta": {"special": ["o2m"]}, "schema": None}


async def install(tabulary: Tabulary) -> None:
    await tabulary.bootstrap()


async def make_collections(tabulary: Tabulary) -> None:
    await CollectionsService(platform=tabulary.platform, schema=await tabulary.schema()).create_many(LIBRARY)


async def _fields(tabulary: Tabulary) -> FieldsService:
    return FieldsService(platform=tabulary.platform, schema=await tabulary.schema())


async def make_field(tabulary: Tabulary) -> None:
    await (await _fields(tabulary)).create_field("books", field("isbn", is_unique=True))


async def change_field(tabulary: Tabulary) -> None:
    await (await _fields(tabulary)).update_field(
        "books", {"field": "title", "schema": {"max_length": 40, "is_indexed": False}, "meta": {"note": "short"}}
    )


async def remove_field(tabulary: Tabulary) -> None:
    await (await _fields(tabulary)).delete_field("books", "author")


async def make_relation(tabulary: Tabulary) -> None:
    await RelationsService(platform=tabulary.platform, schema=await tabulary.schema()).create_one(RELATION)


async def change_relation(tabulary: Tabulary) -> None:
    changed = {**RELATION, "schema": {"on_delete": "CASCADE"}, "meta": {"one_deselect_action": "delete"}}
    service = RelationsService(platform=tabulary.platform, schema=await tabulary.schema())
    await service.update_one("books", "author", changed)


async def remove_relation(tabulary: Tabulary) -> None:
    service = RelationsService(platform=tabulary.platform, schema=await tabulary.schema())
    await service.delete_one("books", "author")


async def remove_collection(tabulary: Tabulary) -> None:
    await CollectionsService(platform=tabulary.platform, schema=await tabulary.schema()).delete_one("books")


async def make_library(tabulary: Tabulary) -> None:
    """Collections with fields, and the relation between them."""
    await make_collections(tabulary)
    await (await _fields(tabulary)).create_field("authors", ALIAS)
    await make_relation(tabulary)


async def apply_snapshot(tabulary: Tabulary) -> None:
    """The whole library in one change."""
    service = SchemaService(platform=tabulary.platform, schema=await tabulary.schema())
    target: dict[str, Any] = {**await service.snapshot()}
    target["collections"] = [{**c, "schema": {"name": c["collection"]}, "fields": None} for c in LIBRARY]
    target["fields"] = [{**f, "collection": c["collection"]} for c in LIBRARY for f in c["fields"]] + [
        {**ALIAS, "collection": "authors"}
    ]
    target["relations"] = [RELATION]
    plan = await service.diff(target)
    assert plan is not None
    await service.apply(plan)


async def import_rows(tabulary: Tabulary) -> None:
    content = "title\n" + "".join(f"T{n}\n" for n in range(ROWS))
    service = ImportService(platform=tabulary.platform, schema=await tabulary.schema(), accountability=ADMIN)
    await service.run("books", lambda: items("csv", io.BytesIO(content.encode())))


Watch = Callable[[Connection, str, str], Awaitable[None]]


@contextmanager
def watching(verb: str, watch: Watch) -> Iterator[None]:
    """Call ``watch(connection, "before" | "after", sql)`` around the statements that begin with a verb."""
    wanted = re.compile(r"CREATE|ALTER|DROP|RENAME" if verb == "DDL" else verb)
    drivers: Any = (SQLiteConnection, PostgreSQLConnection, MySQLConnection)
    originals = [driver.execute for driver in drivers]

    def watched(original: Any) -> Any:
        async def execute(connection: Connection, sql: str, values: Sequence[Any] = ()) -> int:
            met = wanted.match(sql.lstrip()) is not None and "tabulary_schema_journal" not in sql
            if met:
                await watch(connection, "before", sql)
            done: int = await original(connection, sql, values)
            if met:
                await watch(connection, "after", sql)
            return done

        return execute

    for driver, original in zip(drivers, originals, strict=True):
        driver.execute = watched(original)
    try:
        yield
    finally:
        for driver, original in zip(drivers, originals, strict=True):
            driver.execute = original


async def main(work: str, verb: str, place: str, wanted: str) -> None:
    met = 0

    async def stop(connection: Connection, when: str, sql: str) -> None:
        nonlocal met
        met += when == "before"
        if when == wanted and met == int(place):
            print("in the middle", flush=True)
            await asyncio.sleep(3600)

    async with Tabulary(install=False) as tabulary:
        with watching(verb, stop):
            await globals()[work](tabulary)
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
