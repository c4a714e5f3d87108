"""A small library in a real database, with services on it: what tests of writes stand on.

Tables are made by hand, without the system tables but activity and revisions, so that a test starts in milliseconds.
Who may do what is given in Python (:class:`Rights`).
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import UNRESTRICTED, Permission, PermissionSet
from tabulary.access.variables import now, parse_variable
from tabulary.core.events import Hooks
from tabulary.core.passwords import Passwords
from tabulary.core.settings import Settings
from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec
from tabulary.database.engine import Database
from tabulary.items.platform import Platform
from tabulary.items.reader import Reader
from tabulary.schema.overview import Collection, Field, Relation, Schema
from tabulary.services.items import ItemsService

ADMIN = Accountability(
    user=str(uuid.UUID(int=1)), role=str(uuid.UUID(int=2)), admin=True, ip="127.0.0.1", user_agent="tests"
)
WRITER = Accountability(user=str(uuid.UUID(int=3)), role=str(uuid.UUID(int=4)))

DATABASES = ("sqlite", "postgresql", "mysql")
_SERVERS = {"postgresql": "postgresql://postgres@127.0.0.1:5432/", "mysql": "mysql://root@127.0.0.1:3306/"}


@dataclass(frozen=True)
class Column:
    """A column of the library: its spec for DDL and what the overview adds to it."""

    spec: ColumnSpec
    special: tuple[str, ...] = ()
    validation: dict[str, Any] | None = None

    def field(self, db_type: str | None) -> Field:
        spec = self.spec
        default = "AUTO_INCREMENT" if spec.auto_increment else spec.default
        return Field(
            spec.name,
            spec.type,
            db_type,
            default,
            spec.nullable and not spec.primary_key,
            special=self.special,
            validation=self.validation,
        )


def column(name: str, kind: str, *special: str, validation: dict[str, Any] | None = None, **options: Any) -> Column:
    return Column(ColumnSpec(name, kind, **options), special, validation)


def serial(name: str = "id") -> Column:
    return column(name, "integer", primary_key=True, auto_increment=True, nullable=False)


def key(name: str = "id") -> Column:
    return column(name, "uuid", "uuid", primary_key=True, nullable=False)


def alias(name: str, special: str = "o2m") -> Field:
    return Field(name, "alias", special=(special,), alias=True)


TABLES: dict[str, tuple[str, list[Column], list[Field]]] = {
    "authors": (
        "id",
        [
            key(),
            column("name", "string", nullable=False),
            column("bio", "text"),
            column("mentor", "uuid", "m2o"),
            column("tags", "csv", "cast-csv"),
            column("born", "date"),
            column("changed", "timestamp", "date-updated"),
            column("by", "uuid", "user-created"),
        ],
        [alias("books"), alias("pupils")],
    ),
    "books": (
        "id",
        [
            serial(),
            column("title", "string", nullable=False),
            column("isbn", "string", unique=True, max_length=13),
            column("pages", "integer", validation={"pages": {"_gte": 1}}),
            column("data", "json", "cast-json"),
            column("open", "boolean", "cast-boolean", default=True),
            column("author", "uuid", "m2o"),
            column("seen", "timestamp"),
        ],
        [alias("reviews"), alias("genres", "m2m")],
    ),
    "reviews": (
        "id",
        [key(), column("book", "integer", "m2o"), column("stars", "integer", nullable=False), column("body", "text")],
        [],
    ),
    "genres": ("id", [serial(), column("name", "string", unique=True)], []),
    "books_genres": (
        "id",
        [serial(), column("books_id", "integer"), column("genres_id", "integer"), column("sort", "integer")],
        [],
    ),
    "pages": (
        "slug",
        [column("slug", "string", primary_key=True, nullable=False), column("title", "string")],
        [alias("blocks", "m2a")],
    ),
    "blocks": (
        "id",
        [
            serial(),
            column("page", "string"),
            column("item", "string"),
            column("collection", "string"),
            column("sort", "integer"),
        ],
        [],
    ),
    "notes": ("id", [serial(), column("text", "text"), column("secret", "hash", "hash", "conceal")], []),
    "directus_activity": (
        "id",
        [
            serial(),
            column("action", "string", nullable=False),
            column("user", "uuid"),
            column("timestamp", "timestamp", "date-created"),
            column("ip", "string"),
            column("user_agent", "text"),
            column("collection", "string"),
            column("item", "string"),
            column("origin", "string"),
        ],
        [],
    ),
    "directus_revisions": (
        "id",
        [
            serial(),
            column("activity", "integer"),
            column("collection", "string"),
            column("item", "string"),
            column("data", "json", "cast-json"),
            column("delta", "json", "cast-json"),
            column("parent", "integer"),
            column("version", "uuid"),
        ],
        [],
    ),
}

FOREIGN_KEYS = [
    ForeignKeySpec("books", "author", "authors", "id", on_delete="SET NULL"),
    ForeignKeySpec("reviews", "book", "books", "id", on_delete="CASCADE"),
    ForeignKeySpec("books_genres", "books_id", "books", "id", on_delete="CASCADE"),
    ForeignKeySpec("books_genres", "genres_id", "genres", "id", on_delete="NO ACTION"),
]

RELATIONS = [
    Relation("authors", "mentor", "authors", meta={"one_field": "pupils"}),
    Relation("books", "author", "authors", meta={"one_field": "books", "one_deselect_action": "nullify"}),
    Relation("reviews", "book", "books", meta={"one_field": "reviews", "one_deselect_action": "delete"}),
    Relation(
        "books_genres",
        "books_id",
        "books",
        meta={
            "one_field": "genres",
            "one_deselect_action": "delete",
            "junction_field": "genres_id",
            "sort_field": "sort",
        },
    ),
    Relation("books_genres", "genres_id", "genres", meta={"junction_field": "books_id"}),
    Relation(
        "blocks",
        "page",
        "pages",
        meta={
            "one_field": "blocks",
            "one_deselect_action": "delete",
            "junction_field": "item",
            "sort_field": "sort",
        },
    ),
    Relation(
        "blocks",
        "item",
        None,
        meta={"one_collection_field": "collection", "one_allowed_collections": ["genres", "books"]},
    ),
]


@dataclass
class Rights:
    """Who may do what, in place of the access store."""

    rows: list[Permission] = field(default_factory=list)

    def grant(self, *rows: Permission) -> None:
        self.rows = [*self.rows, *rows]

    def bind(self, reader: Any) -> None:
        """Values of variables come from the accountability alone."""

    async def permissions(
        self, who: Accountability | None, schema: Schema, connection: Connection | None = None
    ) -> PermissionSet:
        return UNRESTRICTED if who is None or who.admin else PermissionSet.of(self.rows)

    async def variables(
        self, texts: Iterable[str], who: Accountability | None, schema: Schema, **_: Any
    ) -> dict[str, Any]:
        values: dict[str, Any] = {"$CURRENT_USER": who and who.user, "$CURRENT_ROLE": who and who.role}
        names = {text: parse_variable(text) for text in texts}
        return {t: now(n.adjustment) if n and n.base == "$NOW" else values.get(t) for t, n in names.items()}


@dataclass
class Bench:
    """The library opened: services for whoever asks, and a look into the tables."""

    platform: Platform
    schema: Schema
    rights: Rights

    @property
    def hooks(self) -> Hooks:
        return self.platform.hooks

    def service(self, collection: str, who: Accountability | None = ADMIN) -> ItemsService:
        found: ItemsService = self.platform.service(collection, schema=self.schema, accountability=who)
        return found

    async def all(self, collection: str, *fields: str) -> list[dict[str, Any]]:
        """All items as the system sees them, by key."""
        primary = self.schema.collections[collection].primary
        query = {"fields": list(fields) or ["*"], "sort": [primary], "limit": -1}
        return await self.service(collection, None).read_by_query(query)

    async def clear(self) -> None:
        async with self.platform.database.transaction() as connection:
            for table in ("reviews", "books_genres", "blocks", "pages", "books", "authors", "genres", "notes"):
                await connection.execute(f"DELETE FROM {connection.dialect.quote(table)}")


@asynccontextmanager
async def bench(kind: str, folder: Path, **settings: Any) -> AsyncIterator[Bench]:
    """A fresh library on one kind of database, gone afterwards."""
    async with _fresh_database(kind, folder) as database:
        values = Settings.of(SECRET="tests", **settings)
        rights, hooks = Rights(), Hooks()
        schema = await _build(database)
        reader = Reader(database, rights, values)  # type: ignore[arg-type]
        passwords = Passwords({"memoryCost": 8, "timeCost": 1, "parallelism": 1})
        stores: dict[str, Any] = {"schemas": None, "access": rights, "reader": reader}
        platform = Platform(values, database, hooks, factories={"*": ItemsService}, passwords=passwords, **stores)
        yield Bench(platform, schema, rights)
        await hooks.drain()


@asynccontextmanager
async def _fresh_database(kind: str, folder: Path) -> AsyncIterator[Database]:
    if kind == "sqlite":
        async with Database.from_url(f"sqlite:///{folder}/library.db") as database:
            yield database
        return
    name = f"h2_{uuid.uuid4().hex[:12]}"
    async with Database.from_url(_SERVERS[kind] + ("postgres" if kind == "postgresql" else "mysql")) as server:
        async with server.connection(write=True) as connection:
            await connection.execute(f"CREATE DATABASE {name}")
        try:
            async with Database.from_url(_SERVERS[kind] + name) as database:
                yield database
        finally:
            async with server.connection(write=True) as connection:
                await connection.execute(f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))


async def _build(database: Database) -> Schema:
    async with database.schema_transaction() as connection:
        for name, (_, columns, _aliases) in TABLES.items():
            await database.dialect.ddl.create_table(connection, name, [c.spec for c in columns])
        for foreign in FOREIGN_KEYS:
            await database.dialect.ddl.add_foreign_key(connection, foreign)
        types = {(c.table, c.name): c.data_type for c in await database.dialect.catalog.columns(connection)}
    return Schema.of(
        [
            Collection(
                name,
                primary,
                {f.field: f for f in [*(c.field(types[name, c.spec.name]) for c in columns), *aliases]},
                accountability=None if name.startswith("directus_") else "all",
            )
            for name, (primary, columns, aliases) in TABLES.items()
        ],
        RELATIONS,
        version=1,
    )
