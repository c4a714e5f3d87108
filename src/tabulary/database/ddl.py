"""Changing tables: columns described by platform types. SQLAlchemy writes the statements that make things, Alembic's
operations in offline mode those that change them; Alembic is slow to load, and a start only makes tables.

A dialect says which SQL type each platform type becomes and overrides what its database does in another way. Methods
look up what they must know (the real name of an index, say) and run on the connection they get; on databases with
transactional DDL they are part of its transaction.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, ExecutableDDLElement

from tabulary.core import json
from tabulary.database.catalog import ColumnFacts, IndexFacts
from tabulary.database.connection import Connection
from tabulary.database.naming import FOREIGN_KEY_LIMIT, constraint_name, rolling_hash

if TYPE_CHECKING:
    from alembic.operations import Operations

    from tabulary.database.dialects.base import Dialect

PRECISION, SCALE, LENGTH = 10, 5, 255
"""What numbers and strings get when nothing is said."""

TYPES = frozenset(
    {
        "string",
        "text",
        "csv",
        "hash",
        "integer",
        "bigInteger",
        "float",
        "decimal",
        "boolean",
        "date",
        "dateTime",
        "timestamp",
        "time",
        "json",
        "uuid",
        "binary",
        "geometry",
        "geometry.Point",
        "geometry.LineString",
        "geometry.Polygon",
        "geometry.MultiPoint",
        "geometry.MultiLineString",
        "geometry.MultiPolygon",
    }
)
"""Platform types that have a column."""

_UNINDEXED = ("json", "text", "tinytext", "mediumtext", "longtext", "blob", "bytea", "geometry", "point", "polygon")
"""Types of columns with values that an index does not take, or not whole."""

_TAB = "\ue009"
_CURRENT = re.compile(r"(?:now\(\)|current_timestamp(?:\((\d*)\))?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column to be made. ``type`` is the platform's (spec §1.4); ``default`` None means none.

    Special defaults: ``now()``, ``CURRENT_TIMESTAMP``, ``CURRENT_TIMESTAMP(n)``, ``gen_random_uuid()``. Other text is a
    literal, lists and objects are written as JSON. ``unsigned`` matters to databases that have such integers.
    """

    name: str
    type: str
    nullable: bool = True
    default: Any = None
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    auto_increment: bool = False
    primary_key: bool = False
    unique: bool = False
    indexed: bool = False
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKeySpec:
    """A foreign key to be made. Rules left None are the database's default; so is the name of §2.2."""

    table: str
    column: str
    related_table: str
    related_column: str
    on_delete: str | None = None
    on_update: str | None = None
    name: str | None = None

    @property
    def constraint_name(self) -> str:
        return self.name or constraint_name(self.table, self.column, "foreign", FOREIGN_KEY_LIMIT)


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table to be made. ``uniques`` are keys of several columns."""

    name: str
    columns: Sequence[ColumnSpec]
    foreign_keys: Sequence[ForeignKeySpec] = ()
    uniques: Sequence[Sequence[str]] = ()


class NoSearchIndex(Exception):
    """A database has no index for searching in a table; the text says why."""


class Verbatim(sa.types.UserDefinedType[Any]):
    """A type whose SQL text we know; ``suffix`` follows it (``primary key``, ``auto_increment``)."""

    cache_ok = True

    def __init__(self, text: str, suffix: str = "") -> None:
        self.text, self.suffix = text, suffix

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.text} {self.suffix}".rstrip()


class _Recorder(StringIO):
    """Takes Alembic's output, one statement a call."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []

    def write(self, text: str) -> int:
        if statement := text.strip().removesuffix(";"):
            self.statements.append(statement.replace(_TAB, "\t"))
        return len(text)


class DDL(ABC):
    """DDL of one dialect."""

    index_name_limit: ClassVar[int | None]
    indexes_foreign_keys: ClassVar[bool] = False
    """True where a foreign key makes an index of its own."""
    indexes_concurrently: ClassVar[bool] = False
    """True where ``concurrently`` means a statement of another kind, which must not run in a transaction."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    # --- what a dialect provides -------------------------------------------------------------
    @abstractmethod
    def type_text(self, spec: ColumnSpec) -> str:
        """The SQL type of a column, of a known platform type (spec §1.4), without auto increment."""

    @abstractmethod
    def auto_increment_type(self, spec: ColumnSpec) -> Verbatim:
        """The type of an automatically numbered column."""

    @abstractmethod
    async def alter_column(self, connection: Connection, table: str, spec: ColumnSpec) -> None:
        """Redefine type, nullability and default of a column; keys, references and auto increment stay (spec §2.4)."""

    def boolean_default(self, value: bool) -> str:
        """SQL of a boolean default."""
        return "'1'" if value else "'0'"

    def current_timestamp(self, spec: ColumnSpec, precision: str | None) -> str:
        return f"CURRENT_TIMESTAMP({precision})" if precision else "CURRENT_TIMESTAMP"

    def random_uuid(self) -> str:
        return "gen_random_uuid()"

    def literal_default(self, spec: ColumnSpec, text: str) -> str | sa.TextClause:
        """How text is written as a default: str becomes a quoted literal, a clause stays."""
        return text

    # --- tables ------------------------------------------------------------------------------
    async def create_table(self, connection: Connection, name: str, columns: Sequence[ColumnSpec]) -> None:
        """Create a table with its unique and other indexes. Raises ``ValueError`` for an unknown type."""
        await self.create_tables(connection, [TableSpec(name, columns)])

    async def create_tables(self, connection: Connection, tables: Sequence[TableSpec]) -> None:
        """Create tables that may refer to each other in any direction: foreign keys come when all are there."""
        for table in tables:
            await self._create_table(connection, table)
        for table in tables:
            for key in table.foreign_keys:
                await self.add_foreign_key(connection, key)

    async def _create_table(self, connection: Connection, table: TableSpec) -> None:
        await self._make(connection, CreateTable(self._table(table)))
        await self._create_indexes(connection, table)

    def _table(self, table: TableSpec) -> sa.Table:
        """The table as it is from the start."""
        return sa.Table(table.name, sa.MetaData(), *(self._column(spec) for spec in table.columns))

    async def drop_table(self, connection: Connection, name: str) -> None:
        await self._run(connection, lambda op: op.drop_table(name))

    # --- columns -----------------------------------------------------------------------------
    async def add_column(self, connection: Connection, table: str, spec: ColumnSpec) -> None:
        """Add a column with its unique and other index. Raises ``ValueError`` for an unknown type."""
        column = self._column(spec, alone=True)
        await self._run(connection, lambda op: op.add_column(table, column))
        await self._create_indexes(connection, TableSpec(table, [spec]))

    async def drop_column(self, connection: Connection, table: str, column: str) -> None:
        """Drop a column with its indexes, constraints and its foreign key."""
        await self._run(connection, lambda op: op.drop_column(table, column))

    # --- indexes -----------------------------------------------------------------------------
    async def create_unique(
        self, connection: Connection, table: str, *columns: str, concurrently: bool = False
    ) -> None:
        """Make a column, or several together, unique under the name of §2.2."""
        name = constraint_name(table, "_".join(columns), "unique", self.index_name_limit)
        target = bare(table, *columns)
        await self._make(connection, AddConstraint(sa.UniqueConstraint(*target.c, name=name)))

    async def create_index(self, connection: Connection, table: str, *columns: str, concurrently: bool = False) -> None:
        """Index columns under the name of §2.2. ``concurrently``: without locking out writers, where there is a way."""
        await connection.execute(self.index_text(table, *columns, concurrently=concurrently))

    def index_text(self, table: str, *columns: str, concurrently: bool = False) -> str:
        """The statement of :meth:`create_index`."""
        return self._text(CreateIndex(sa.Index(self.index_name(table, *columns), *bare(table, *columns).c)))

    def index_name(self, table: str, *columns: str) -> str:
        """The name that :meth:`create_index` gives."""
        return constraint_name(table, "_".join(columns), "index", self.index_name_limit)

    def search_index_name(self, table: str, columns: Sequence[str]) -> str:
        """The name that :meth:`search_index_texts` gives."""
        return self.index_name(table, f"search_{rolling_hash('/'.join(columns))}")

    def drop_index_texts(self, table: str, name: str) -> list[str]:
        """The statements that drop an index of a table, of either kind."""
        return [f"DROP INDEX {self.dialect.quote(name)}"]

    async def drop_remains(  # noqa: B027 - most databases make an index or do not
        self, connection: Connection, name: str
    ) -> None:
        """Drop what the broken-off making of an index has left under its name."""

    def can_index(self, column: ColumnFacts) -> bool:
        """Whether an ordinary index takes every value of a column, also those that are written later."""
        return not column.data_type.lower().startswith(_UNINDEXED)

    async def search_index_texts(
        self, connection: Connection, table: str, key: str, columns: Sequence[str], concurrently: bool = False
    ) -> list[str]:
        """The statements that make an index by which parts of words are found in some columns.

        Raises :class:`NoSearchIndex`, whose text says why there can be none.
        """
        raise NoSearchIndex("This database has no index that finds parts of words.")

    async def drop_search_index(self, connection: Connection, table: str) -> None:
        """Drop the indexes of :meth:`search_index_texts`, where there are any."""
        for index in await self.dialect.catalog.search_indexes(connection):
            if index.table == table:
                for statement in self.drop_index_texts(table, index.name):
                    await connection.execute(statement)

    async def drop_unique(self, connection: Connection, table: str, column: str) -> bool:
        """Drop what makes the column unique, whatever its name. False when there is nothing."""
        return await self._drop_indexes(connection, table, column, unique=True)

    async def drop_index(self, connection: Connection, table: str, column: str) -> bool:
        """Drop the index of the column, whatever its name. False when there is none."""
        return await self._drop_indexes(connection, table, column, unique=False)

    # --- foreign keys ------------------------------------------------------------------------
    async def add_foreign_key(self, connection: Connection, key: ForeignKeySpec) -> None:
        """Add a foreign key. Both columns must have fitting types."""
        source = bare(key.table, key.column, key.related_column)
        await self._make(connection, AddConstraint(foreign_key(source, key, key.constraint_name)))

    async def drop_foreign_key(self, connection: Connection, table: str, column: str) -> str | None:
        """Drop the column's foreign key; its name, or None when there is none. Column and data stay."""
        for key in await self.dialect.catalog.foreign_keys(connection):
            if key.table == table and key.column == column and (name := key.constraint_name):
                await self._run(connection, lambda op: op.drop_constraint(name, table, type_="foreignkey"))
                return name
        return None

    # --- writing SQL -------------------------------------------------------------------------
    def statements(self, build: Callable[[Operations], Any]) -> list[str]:
        """The SQL text of Alembic operations."""
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        recorder = _Recorder()
        context = MigrationContext.configure(
            dialect=self.dialect.sa_dialect,
            opts={"as_sql": True, "output_buffer": recorder, "transactional_ddl": False},
        )
        build(Operations(context))
        return recorder.statements

    def default_clause(self, spec: ColumnSpec) -> str | sa.TextClause | None:
        """The default of a column for SQLAlchemy: text is quoted as a literal, a clause is SQL."""
        value = spec.default
        if value is None or spec.auto_increment:
            return None
        if isinstance(value, bool) or (spec.type == "boolean" and str(value).lower() in ("true", "false", "1", "0")):
            return sa.text(self.boolean_default(str(value).lower() in ("true", "1")))
        if isinstance(value, int | float):
            return sa.text(repr(value))
        if isinstance(value, str):
            if current := _CURRENT.fullmatch(value.strip()):
                return sa.text(self.current_timestamp(spec, current[1]))
            if value.strip().lower() == "gen_random_uuid()":
                return sa.text(self.random_uuid())
        text = value if isinstance(value, str) else json.encode(value).decode()
        return self.literal_default(spec, text.replace("\t", _TAB))  # Alembic turns tabs into blanks

    async def _make(self, connection: Connection, element: ExecutableDDLElement) -> None:
        await connection.execute(self._text(element))

    def _text(self, element: ExecutableDDLElement) -> str:
        return str(element.compile(dialect=self.dialect.sa_dialect)).replace(_TAB, "\t")

    async def _run(self, connection: Connection, build: Callable[[Operations], Any]) -> None:
        for statement in self.statements(build):
            await connection.execute(statement)

    def _column(self, spec: ColumnSpec, alone: bool = False) -> sa.Column[Any]:
        """The column for CREATE TABLE; ``alone`` for ADD COLUMN, where a key must be part of the column itself."""
        kind = self.column_type(spec)
        if spec.primary_key and alone and "primary key" not in kind.suffix:
            kind = Verbatim(kind.text, f"{kind.suffix} primary key".strip())
        return sa.Column(
            spec.name,
            kind,
            primary_key=spec.primary_key and "primary key" not in kind.suffix,
            nullable=spec.nullable and not spec.primary_key,
            server_default=self.default_clause(spec),
            autoincrement=False,
        )

    def column_type(self, spec: ColumnSpec) -> Verbatim:
        """Raises ``ValueError`` for a type that has no column."""
        if spec.type not in TYPES:
            raise ValueError(f'"{spec.type}" is not the type of a column')
        if spec.auto_increment and spec.type in ("integer", "bigInteger"):
            return self.auto_increment_type(spec)
        return Verbatim(self.type_text(spec))

    async def _create_indexes(self, connection: Connection, table: TableSpec) -> None:
        for spec in table.columns:
            if spec.unique and not spec.primary_key:
                await self.create_unique(connection, table.name, spec.name)
            elif spec.indexed and not spec.primary_key and not self._indexed_by_key(table, spec):
                await self.create_index(connection, table.name, spec.name)
        for columns in table.uniques:
            await self.create_unique(connection, table.name, *columns)

    def _indexed_by_key(self, table: TableSpec, spec: ColumnSpec) -> bool:
        """True when the column's foreign key brings an index."""
        return self.indexes_foreign_keys and any(key.column == spec.name for key in table.foreign_keys)

    async def _drop_indexes(self, connection: Connection, table: str, column: str, unique: bool) -> bool:
        found = [
            index
            for index in await self.dialect.catalog.indexes(connection, table)
            if index.columns == (column,) and index.unique is unique
        ]
        for index in found:
            await self._drop_one(connection, table, index)
        return bool(found)

    async def _drop_one(self, connection: Connection, table: str, index: IndexFacts) -> None:
        if index.is_constraint:
            await self._run(connection, lambda op: op.drop_constraint(index.name, table, type_="unique"))
        else:
            await self._run(connection, lambda op: op.drop_index(index.name, table))


def bare(table: str, *columns: str, metadata: sa.MetaData | None = None) -> sa.Table:
    """A table as far as SQLAlchemy has to know it to name these columns."""
    made: list[sa.Column[Any]] = [sa.Column(name) for name in dict.fromkeys(columns)]
    return sa.Table(table, metadata or sa.MetaData(), *made, extend_existing=True)


def foreign_key(source: sa.Table, key: ForeignKeySpec, name: str | None) -> sa.ForeignKeyConstraint:
    """Give a table a foreign key; without a name the database makes one up."""
    target = source
    if key.related_table != source.name:
        target = bare(key.related_table, key.related_column, metadata=source.metadata)
    constraint = sa.ForeignKeyConstraint(
        [key.column], [target.c[key.related_column]], name=name, ondelete=key.on_delete, onupdate=key.on_update
    )
    source.append_constraint(constraint)
    return constraint


def geometry_kind(type_name: str) -> str:
    """``geometry.Point`` is a ``point``, ``geometry`` a ``geometry``."""
    return (type_name.partition(".")[2] or "geometry").lower()
