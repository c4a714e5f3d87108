"""How long the GraphQL schema of 200 collections with 30 fields takes: ``python benchmarks/graphql_schema.py``.

Three figures, in milliseconds of CPU: making the schema and validating the first document against it (what the first
query of a new set of permissions waits for), making all its types (the first introspection), and printing it as SDL.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from typing import Any

from tabulary import Tabulary
from tabulary.access.permissions import UNRESTRICTED
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec, TableSpec
from tabulary.server.graphql.documents import Documents
from tabulary.server.graphql.schema import Schemas

TYPES = ("string", "text", "integer", "bigInteger", "float", "decimal", "boolean", "date", "dateTime", "timestamp")


def table(number: int, fields: int, count: int) -> TableSpec:
    """A table whose last column points at the next table."""
    name, other = f"table_{number}", f"table_{(number + 1) % count}"
    columns = [ColumnSpec("id", "integer", nullable=False, primary_key=True, auto_increment=True)]
    columns += [ColumnSpec(f"field_{n}", TYPES[n % len(TYPES)]) for n in range(fields - 2)]
    columns.append(ColumnSpec("next", "integer"))
    return TableSpec(name, columns, [ForeignKeySpec(name, "next", other, "id")])


async def fill(tabulary: Tabulary, count: int, fields: int) -> None:
    """The tables, known to the platform as collections with relations in both directions."""
    tables = [table(number, fields, count) for number in range(count)]
    async with tabulary.platform.database.schema_transaction() as connection:
        await connection.dialect.ddl.create_tables(connection, tables)
        for made in tables:
            await connection.execute("INSERT INTO directus_collections (collection) VALUES (?)", [made.name])
            key = made.foreign_keys[0]
            await connection.execute(
                "INSERT INTO directus_relations (many_collection, many_field, one_collection, one_field)"
                " VALUES (?, ?, ?, 'previous')",
                [made.name, key.column, key.related_table],
            )
            await connection.execute(
                "INSERT INTO directus_fields (collection, field, special) VALUES (?, 'previous', 'o2m')", [made.name]
            )
    tabulary.platform.schemas.invalidate()


def measured(work: Callable[[], Any], rounds: int) -> float:
    """The least CPU time of several rounds, in milliseconds."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found) * 1000


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split(":")[0])
    options.add_argument("--collections", type=int, default=200)
    options.add_argument("--fields", type=int, default=30)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with Tabulary(f"sqlite:///{folder}/bench.db", secret="bench") as tabulary:
            await fill(tabulary, given.collections, given.fields)
            schema, settings = await tabulary.schema(), tabulary.settings
            query = '{ table_0(filter: {next: {field_0: {_eq: "x"}}}) { id field_0 next { field_1 previous { id } } } }'

            def made() -> Any:
                return Schemas(settings).of(schema, UNRESTRICTED, "items", None)

            def first() -> Any:
                return Documents(settings).get(made(), query)

            print(f"{given.collections} collections with {given.fields} fields, CPU ms")
            print(f"  the first query of a set of permissions  {measured(first, given.rounds):8.1f}")
            print(f"  all types (the first introspection)      {measured(lambda: made().whole, given.rounds):8.1f}")
            print(f"  SDL                                      {measured(lambda: made().sdl, given.rounds):8.1f}")


if __name__ == "__main__":
    asyncio.run(main())
