"""What grows in ``growth.py``: for each axis, databases of its sizes and the requests whose cost is of interest."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tabulary import Tabulary
from tabulary.access.permissions import UNRESTRICTED
from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec, TableSpec
from tabulary.database.versions import ACCESS, SCHEMA
from tabulary.server.graphql.documents import Documents
from tabulary.server.graphql.schema import Schemas

ADMIN, PERSON = "growth-admin-token", "growth-person-token"
TYPES = ("string", "integer", "text", "boolean", "float", "dateTime", "bigInteger", "date")
_VALUES = {
    "string": "'a value of ' || n", "text": "'a text of ' || n", "integer": "n % 1000", "bigInteger": "n * 1000",
    "boolean": "n % 2 = 0", "float": "n / 7.0", "dateTime": "now()", "date": "now()",
}  # fmt: skip
Work = Callable[[], Awaitable[Any]]
_KEY = ColumnSpec("id", "integer", nullable=False, primary_key=True, auto_increment=True)


@dataclass(frozen=True)
class Workload:
    """Something that costs. ``before`` and ``after`` are done each time and not counted; ``heavy`` is done rarely."""

    name: str
    do: Work
    before: Work | None = None
    heavy: bool = False
    after: Work | None = None


class Api:
    """Requests to a Tabulary in this process, without sockets: what they cost is its own work and the database's."""

    def __init__(self, tabulary: Tabulary) -> None:
        self.tabulary = tabulary
        self._fresh = itertools.count(1)

    async def ask(self, method: str, path: str, body: Any = None, token: str = ADMIN) -> bytes:
        """The body of the answer. Raises ``RuntimeError`` when it is refused."""
        where, _, query = path.partition("?")
        sent = b"" if body is None else msgspec.json.encode(body)
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": where, "raw_path": where.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [*headers, (b"content-length", str(len(sent)).encode())],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        incoming = iter([{"type": "http.request", "body": sent, "more_body": False}])
        status, parts = 0, []

        async def receive() -> dict[str, Any]:
            for message in incoming:
                return message
            return await asyncio.Future()  # who asks waits for the client to go away

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))

        await self.tabulary.asgi(scope, receive, send)
        answer = b"".join(parts)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer.decode()[:500]}")
        return answer

    def get(self, path: str, token: str = ADMIN) -> Work:
        """A request that is the same each time."""
        return lambda: self.ask("GET", path, token=token)

    def unplanned(self, path: str, token: str = ADMIN) -> Work:
        """One whose plan is always a new one: its limit is another each time, and always beyond what there is."""
        return lambda: self.ask("GET", f"{path}&limit={100_000 + next(self._fresh)}", token=token)

    def post(self, path: str, body: Any, token: str = ADMIN) -> Work:
        return lambda: self.ask("POST", path, body, token)

    async def forget(self) -> None:
        """Somebody has changed the data model: everything that depends on it is forgotten."""
        await self.tabulary.platform.database.outdate([SCHEMA])

    async def forget_access(self) -> None:
        await self.tabulary.platform.database.outdate([ACCESS])


@dataclass(frozen=True)
class Axis:
    """``make`` fills a fresh database of one size and yields the requests to measure there."""

    name: str
    title: str
    sizes: Sequence[int]
    make: Callable[[Api, int], AsyncIterator[Workload]]


# --- filling ------------------------------------------------------------------------------------
def columns(count: int) -> list[ColumnSpec]:
    """The key and fields ``field_0`` … of mixed types, ``count`` in all."""
    return [_KEY, *(ColumnSpec(f"field_{n}", TYPES[n % len(TYPES)]) for n in range(count - 1))]


async def make_tables(
    api: Api, tables: Sequence[TableSpec], rows: int, relations: Sequence[tuple[str, str]] = ()
) -> None:
    """Tables with rows, as collections; ``relations``: tables with a column ``next``, and those that it points at."""
    platform = api.tabulary.platform
    async with platform.database.schema_transaction() as connection:
        await connection.dialect.ddl.create_tables(connection, tables)
        for table in tables:
            await connection.execute("INSERT INTO directus_collections (collection) VALUES ($1)", [table.name])
            await fill(connection, table, rows)
        await connection.execute_many(
            "INSERT INTO directus_relations (many_collection, many_field, one_collection, one_field)"
            " VALUES ($1, 'next', $2, 'previous')",
            relations,
        )
        await connection.execute_many(
            "INSERT INTO directus_fields (collection, field, special) VALUES ($1, 'previous', 'o2m')",
            [[one] for _, one in relations],
        )
        connection.outdates((SCHEMA,))
    async with platform.database.connection() as connection:
        await connection.execute("VACUUM ANALYZE")


async def fill(connection: Connection, table: TableSpec, rows: int) -> None:
    """Rows 1 … of a table; ``next`` points at every second one, so that each parent has two children."""
    given = [column for column in table.columns if column.name != "id"]
    values = ["(n + 1) / 2" if column.name == "next" else _VALUES[column.type] for column in given]
    names = ", ".join(column.name for column in given)
    await connection.execute(
        f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values)} FROM generate_series(1, {rows}) n"  # noqa: S608
    )


# --- axes ---------------------------------------------------------------------------------------
async def rows(api: Api, size: int) -> AsyncIterator[Workload]:
    """A table of three fields with more and more rows."""
    table = TableSpec("things", [_KEY, ColumnSpec("title", "string"), ColumnSpec("number", "integer", indexed=True)])
    await make_tables(api, [table], 0)
    async with api.tabulary.platform.database.transaction() as connection:
        values = f"SELECT 'the title of ' || n, n::bigint * 7919 % {size} FROM generate_series(1, {size}) n"  # noqa: S608
        await connection.execute(f"INSERT INTO things (title, number) {values}")
    async with api.tabulary.platform.database.connection() as connection:
        await connection.execute("VACUUM ANALYZE things")
    keys = itertools.cycle(range(1, size, max(1, size // 97)))

    yield Workload("one", lambda: api.ask("GET", f"/items/things/{next(keys)}"))
    yield Workload("list25", api.get("/items/things?limit=25&sort=id"))
    yield Workload("filter, index", lambda: api.ask("GET", f"/items/things?filter[number][_eq]={next(keys)}"))
    yield Workload("filter, no index", api.get("/items/things?filter[title][_contains]=nowhere"), heavy=size > 50_000)
    yield Workload("filter_count", api.get("/items/things?limit=1&meta=filter_count"), heavy=size > 50_000)
    yield Workload("create", api.post("/items/things", {"title": "new", "number": 1}))


async def fields(api: Api, size: int) -> AsyncIterator[Workload]:
    """A table with more and more fields."""
    table = TableSpec("things", columns(size))
    await make_tables(api, [table], 1000)
    item = msgspec.json.decode(await api.ask("GET", "/items/things/1"))["data"]
    item.pop("id")

    yield Workload("one", api.get("/items/things/500"))
    yield Workload("list25", api.get("/items/things?limit=25&sort=id"))
    yield Workload("one field of many", api.get("/items/things?limit=25&fields=field_0"))
    yield Workload("new plan", api.unplanned("/items/things?filter[id][_lt]=2"))
    yield Workload("create", api.post("/items/things", item))


async def collections(api: Api, size: int) -> AsyncIterator[Workload]:
    """More and more collections of eight fields, each related to the next one."""
    tables = []
    for number in range(size):
        name, other = f"table_{number:04}", f"table_{(number + 1) % size:04}"
        key = ForeignKeySpec(name, "next", other, "id")
        tables.append(TableSpec(name, [*columns(7), ColumnSpec("next", "integer")], [key]))
    related = [(t.name, t.foreign_keys[0].related_table) for t in tables]
    await make_tables(api, tables, 0, related)
    settings, schema = api.tabulary.settings, await api.tabulary.schema()
    query = '{ table_0000(filter: {next: {field_0: {_eq: "x"}}}) { id field_0 next { field_1 } } }'

    started: list[Tabulary] = []

    async def start() -> None:
        started.append(Tabulary(settings))
        await started[-1].open()
        await Api(started[-1]).ask("GET", "/items/table_0000?limit=25&sort=id")

    async def stop() -> None:
        await started.pop().close()

    async def graphql() -> None:
        Documents(settings).get(Schemas(settings).of(schema, UNRESTRICTED, "items", None), query)

    yield Workload("list25", api.get("/items/table_0000?limit=25&sort=id"))
    yield Workload("new plan", api.unplanned("/items/table_0000?fields=*,next.*"))
    yield Workload("new schema", api.get("/items/table_0000?limit=25&sort=id"), api.forget, heavy=True)
    yield Workload("start", start, heavy=True, after=stop)
    yield Workload("GraphQL schema", graphql, heavy=True)
    yield Workload("/collections", api.get("/collections"), heavy=True)
    yield Workload("one of /fields", api.get("/fields/table_0000/field_1"))


async def policies(api: Api, size: int) -> AsyncIterator[Workload]:
    """More and more policies of one role, each with a rule of its own and some of the fields of ten collections."""
    tables = [TableSpec(f"table_{n}", columns(11)) for n in range(10)]
    await make_tables(api, tables, 1000)
    role = msgspec.json.decode(await api.ask("POST", "/roles", {"name": "growth"}))["data"]["id"]
    granted = []
    for number in range(size):
        body = {"name": f"policy {number}", "app_access": True, "roles": [{"role": role}]}
        policy = msgspec.json.decode(await api.ask("POST", "/policies", body))["data"]["id"]
        for table in tables:
            seen = ["id", f"field_{number % 10}", f"field_{(number + 1) % 10}"]
            common = {"policy": policy, "collection": table.name}
            rule = {"field_1": {"_gte": number * 10}}
            granted.append({**common, "action": "read", "fields": seen, "permissions": rule})
            granted.append({**common, "action": "create", "fields": ["*"], "permissions": {}})
    await api.ask("POST", "/permissions", granted)
    person = {"email": "growth@example.com", "password": "growth-password", "token": PERSON, "role": role}
    await api.ask("POST", "/users", person)

    yield Workload("one", api.get("/items/table_0/500", PERSON))
    yield Workload("list25", api.get("/items/table_0?limit=25&sort=id", PERSON))
    yield Workload("new plan", api.unplanned("/items/table_0?filter[id][_lt]=2", PERSON))
    yield Workload("new access", api.get("/items/table_0?limit=25&sort=id", PERSON), api.forget_access, heavy=True)
    yield Workload("create", api.post("/items/table_0", {"field_0": "new"}, PERSON))
    yield Workload("/permissions/me", api.get("/permissions/me", PERSON))


async def nesting(api: Api, size: int) -> AsyncIterator[Workload]:
    """Deeper and deeper relations of one table to another: up (to-one), and down with two children each (to-many)."""
    tables = []
    for number in range(7):
        name, other = f"table_{number}", f"table_{number + 1}"
        keys = [ForeignKeySpec(name, "next", other, "id")] if number < 6 else []
        tables.append(TableSpec(name, [*columns(4), ColumnSpec("next", "integer", indexed=True)], keys))
    tables.reverse()
    related = [(f"table_{n}", f"table_{n + 1}") for n in range(6)]
    await make_tables(api, tables, 2000, related)
    up, down = ".".join(["next"] * size), ".".join(["previous"] * size)
    path = "".join("[next]" for _ in range(size))
    numbers = itertools.count()

    def made() -> Any:
        body: dict[str, Any] = {"field_0": f"new {next(numbers)} {uuid.uuid4().hex}"}
        for _ in range(size):
            body = {"field_0": "new", "next": body}
        return body

    yield Workload("to-one", api.get(f"/items/table_0?limit=25&sort=id&fields=*,{up}.*"))
    yield Workload("to-many", api.get(f"/items/table_6?limit=5&sort=id&fields=id,{down}.id"))
    yield Workload("filter", api.get(f"/items/table_0?limit=25&filter{path}[field_1][_lt]=5"))
    yield Workload("new plan", api.unplanned(f"/items/table_0?filter[id][_lt]=2&fields=*,{up}.*"))
    yield Workload("nested create", lambda: api.ask("POST", "/items/table_0", made()))


async def memory(tabulary: Tabulary) -> float:
    """Kilobytes that a process needs for what it remembers of the data model."""
    store = tabulary.platform.schemas
    store.invalidate()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await store.model()
        return (tracemalloc.get_traced_memory()[0] - before) / 1024
    finally:
        tracemalloc.stop()


AXES = (
    Axis("rows", "rows of the collection", (1_000, 10_000, 100_000, 1_000_000), rows),
    Axis("fields", "fields of the collection", (5, 10, 25, 50, 100, 200), fields),
    Axis("collections", "collections", (10, 30, 100, 300, 1_000), collections),
    Axis("policies", "policies of the caller", (1, 2, 5, 10, 25, 50), policies),
    Axis("nesting", "levels of relations", (1, 2, 3, 4, 5), nesting),
)
