"""What a database's own catalog says about tables, columns and foreign keys (spec schema-and-platform §1.5).

The facts keep the catalog's words and, because the wire format shows them, the order of keys that each database has in
the reference. One query a kind reads the whole schema.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulary.database.connection import Connection

COLUMN_KEYS = (
    "name",
    "table",
    "data_type",
    "default_value",
    "generation_expression",
    "max_length",
    "numeric_precision",
    "numeric_scale",
    "is_generated",
    "is_nullable",
    "is_unique",
    "is_indexed",
    "is_primary_key",
    "has_auto_increment",
    "foreign_key_schema",
    "foreign_key_table",
    "foreign_key_column",
    "comment",
)
FOREIGN_KEY_KEYS = (
    "constraint_name",
    "table",
    "column",
    "foreign_key_schema",
    "foreign_key_table",
    "foreign_key_column",
    "on_update",
    "on_delete",
)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A base table. ``schema`` is its object in ``GET /collections``, in the database's own keys."""

    name: str
    primary_keys: tuple[str, ...]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column. ``default_value`` is the catalog's text without quotes, not yet turned into the field's type (§1.6)."""

    name: str
    table: str
    data_type: str
    default_value: str | None = None
    generation_expression: str | None = None
    max_length: int | None = None
    numeric_precision: int | None = None
    numeric_scale: int | None = None
    is_generated: bool = False
    is_nullable: bool = True
    is_unique: bool = False
    is_indexed: bool = False
    is_primary_key: bool = False
    has_auto_increment: bool = False
    foreign_key_schema: str | None = None
    foreign_key_table: str | None = None
    foreign_key_column: str | None = None
    comment: str | None = None
    keys: tuple[str, ...] = COLUMN_KEYS

    def as_schema(self) -> dict[str, Any]:
        """The ``schema`` object of ``GET /fields`` in the database's order of keys."""
        return {key: getattr(self, key) for key in self.keys}


@dataclass(frozen=True, slots=True)
class ForeignKeyFacts:
    """A foreign key of one column. ``constraint_name`` is None on SQLite. Rules are upper case."""

    table: str
    column: str
    foreign_key_table: str
    foreign_key_column: str
    on_update: str
    on_delete: str
    constraint_name: str | None = None
    foreign_key_schema: str | None = None
    keys: tuple[str, ...] = FOREIGN_KEY_KEYS

    def as_schema(self) -> dict[str, Any]:
        """The ``schema`` object of ``GET /relations`` in the database's order of keys."""
        return {key: getattr(self, key) for key in self.keys}


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index by its real name, whoever made it. ``is_constraint``: it belongs to a UNIQUE constraint."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    is_constraint: bool = False
    is_valid: bool = True
    """False for what a broken-off ``CREATE INDEX CONCURRENTLY`` left: it is kept up but never used."""


@dataclass(frozen=True, slots=True)
class SearchIndexFacts:
    """An index by which parts of words are found: in the lower-cased texts of these columns."""

    name: str
    table: str
    columns: tuple[str, ...]


class Catalog(ABC):
    """Reads the catalog of the schema(s) that a connection's tables live in. Views and partitions are not tables."""

    @abstractmethod
    async def tables(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[TableFacts]:
        """All base tables, by name. ``settings`` is open to dialects; none needs it so far."""

    @abstractmethod
    async def columns(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[ColumnFacts]:
        """All columns of all base tables, by table and position."""

    @abstractmethod
    async def foreign_keys(
        self, connection: Connection, settings: Mapping[str, Any] | None = None
    ) -> list[ForeignKeyFacts]:
        """All foreign keys of one column; those of several columns are no relations."""

    @abstractmethod
    async def indexes(self, connection: Connection, table: str) -> list[IndexFacts]:
        """The indexes of one table's columns without that of its primary key."""

    async def search_indexes(self, connection: Connection) -> list[SearchIndexFacts]:
        """All indexes that find parts of words; none where the database has no such indexes."""
        return []


def first_references(keys: Sequence[ForeignKeyFacts]) -> dict[tuple[str, str], tuple[str, str]]:
    """Where each column that has a foreign key points: table and column by table and column; the first key counts."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for key in keys:
        found.setdefault((key.table, key.column), (key.foreign_key_table, key.foreign_key_column))
    return found


def without_quotes(text: str | None) -> str | None:
    """A default without the quotes around it; ``NULL`` is no default. Doubled quotes inside stay (§1.6)."""
    if text is None or text.upper() == "NULL":
        return None
    quoted = len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
    return text[1:-1] if quoted else text
