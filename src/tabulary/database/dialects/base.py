"""What differs between databases, as one interface. Each dialect is a folder beside this module; nothing outside
``database/dialects`` asks which database it talks to.

* ``driver.py``       opening connections, the pool's hooks, the primitive calls
* ``catalog.py``      reading tables, columns, keys from the database's catalog
* ``ddl.py``          column types and the few statements that Alembic's operations do not cover
* ``expressions.py``  SQL expressions for reads: JSON building, formats, functions, casts of values
* ``errors.py``       what a driver's exception means
* ``dump.py``         saving and loading the whole database
* ``trial.py``        what indexes would bring
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect as SADialect
from sqlalchemy.sql.compiler import SQLCompiler

from tabulary.database.catalog import Catalog
from tabulary.database.connection import Connection, Statement
from tabulary.database.ddl import DDL
from tabulary.database.driver import Driver
from tabulary.database.dump import Dump
from tabulary.database.errors import DatabaseProblem
from tabulary.database.journal import Journal
from tabulary.database.options import ConnectionOptions
from tabulary.database.trial import Trial

if TYPE_CHECKING:
    from tabulary.database.dialects.values import Values

Caster = Callable[[Any], Any]
"""Turns a JSON value into what the driver takes for one column; raises ``ValueError`` for what cannot be."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a dialect needs to know of a column to read, compare or write it: platform type, catalog type, specials."""

    name: str
    type: str
    db_type: str | None = None
    special: tuple[str, ...] = ()
    precision: int | None = None
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An SQL expression on its way into JSON. ``is_json``: the expression is JSON text already, not a scalar."""

    expression: sa.ColumnElement[Any]
    is_json: bool = False


Pairs = Sequence[tuple[str, Output]]


@dataclass(frozen=True, slots=True)
class Steps:
    """How a statement refers to those before it. ``last_key``: the number given to the row inserted last.

    ``schema``: what to put before a table's name where a CTE has the same name.
    """

    last_key: sa.ColumnElement[int]
    schema: str


class Expressions(ABC):
    """SQL expressions for reads. ``select`` arguments are complete but for their columns."""

    single_value: ClassVar[bool]
    """True when :meth:`rows` yields one row holding the whole list; False for one row an item."""

    has_witness: ClassVar[bool] = False
    """True where :meth:`witnessed` is cheaper than a look at the versions."""

    def witnessed(self, sql: str) -> str:
        """The root statement as one column, and the version of everything as a second one."""
        raise NotImplementedError

    nulls_are_greatest: ClassVar[bool] = False
    """Where nulls sort: behind all values in ascending order, or before them."""

    compares_rows: ClassVar[bool] = False
    """True where ``(a, b) > (x, y)`` is looked up in an index on both."""

    # --- JSON -------------------------------------------------------------------------------
    @abstractmethod
    def rows(self, pairs: Pairs, select: sa.Select[Any], order: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
        """The root statement: JSON text of the list (``single_value``) or of each item, in order."""

    def to_one(self, pairs: Pairs, select: sa.Select[Any]) -> Output:
        """A correlated subquery: the one matching row as a JSON object, NULL when there is none."""
        return Output(select.add_columns(self.object(pairs).expression).scalar_subquery(), is_json=True)

    @abstractmethod
    def to_many(
        self,
        pairs: Pairs | Output,
        select: sa.Select[Any],
        order: Sequence[sa.ColumnElement[Any]],
        limit: int | None,
        offset: int,
    ) -> Output:
        """A correlated subquery: a JSON list of objects (pairs) or of scalars (a single output)."""

    @abstractmethod
    def object(self, pairs: Pairs) -> Output:
        """A JSON object of the given members."""

    @abstractmethod
    def read(self, column: sa.ColumnElement[Any], of: Column) -> Output:
        """A column in its wire format (spec items-and-query §5.4–5.6), concealment included."""

    def masked(self, condition: sa.ColumnElement[bool], value: Output) -> Output:
        """``value`` where ``condition`` holds, else null."""
        return Output(sa.case((condition, value.expression)), value.is_json)

    # --- functions and aggregates -----------------------------------------------------------
    @abstractmethod
    def date_part(self, part: str, column: sa.ColumnElement[Any], of: Column) -> sa.ColumnElement[Any]:
        """``year month week day weekday hour minute second`` of a date, time or moment (spec §3.8)."""

    @abstractmethod
    def json_length(self, column: sa.ColumnElement[Any], of: Column) -> sa.ColumnElement[Any]: ...

    @abstractmethod
    def json_path(self, column: sa.ColumnElement[Any], path: Sequence[str | int]) -> Output: ...

    @abstractmethod
    def number(self, expression: sa.ColumnElement[Any], kind: str, of: Column | None = None) -> Output:
        """A computed number in its wire form; ``kind``: count, sum, avg or part (PostgreSQL sends text, §3.7).

        ``length`` and ``whole`` are numbers everywhere, ``whole`` without what stands behind the point.
        """

    # --- comparing --------------------------------------------------------------------------
    @abstractmethod
    def caster(self, of: Column) -> Caster:
        """How values are bound when compared with this column."""

    @abstractmethod
    def exact(self, expression: sa.ColumnElement[Any], of: Column) -> sa.ColumnElement[Any]:
        """A value as text that loses nothing, so that :meth:`exact_caster` makes the same value of it; null is null."""

    def exact_caster(self, of: Column) -> Caster:
        """How text of :meth:`exact` is bound when compared with the expression again; ``ValueError`` for other text."""
        return str

    def exact_value(self, parameter: sa.ColumnElement[Any], of: Column) -> sa.ColumnElement[Any]:
        """The bound value as what the expression is compared with."""
        return parameter

    @abstractmethod
    def text(self, expression: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The expression as text, for keys of M2A relations (stored as text) and for LIKE."""

    def key_of_text(self, text: sa.ColumnElement[Any], of: Column) -> sa.ColumnElement[Any]:
        """A key of a M2A relation, stored as text, as the type of the target's key; null when it cannot be one."""
        return text

    def as_json(self, value: Output) -> sa.ColumnElement[Any]:
        """A scalar or JSON output as a JSON expression, so that both can stand in one CASE."""
        return value.expression

    def like(self, column: sa.ColumnElement[Any], pattern: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return column.op("LIKE", is_comparison=True)(pattern)

    def search_keys(self, table: str, term: sa.ColumnElement[Any]) -> sa.Select[Any] | None:
        """Keys of all rows that a search in indexed columns may find, for terms with three characters in a row.

        None where the database uses its index by itself. ``term`` is bound by :meth:`search_term`.
        """
        return None

    def search_term(self, term: Any) -> Any:
        """A search's term as :meth:`search_keys` takes it."""
        return term

    def intersects(
        self, column: sa.ColumnElement[Any], wkt: sa.ColumnElement[Any], bbox: bool
    ) -> sa.ColumnElement[bool]:
        return sa.func.st_intersects(column, sa.func.st_geomfromtext(wkt, 4326))


class Problems(Protocol):
    """What a dialect's module ``errors`` tells of a driver's exceptions; see the methods of :class:`Dialect`."""

    def classify(self, problem: BaseException) -> DatabaseProblem | None: ...

    def refusal(self, problem: BaseException) -> str | None: ...

    def is_schema_outdated(self, problem: BaseException) -> bool: ...

    def is_transient(self, problem: BaseException) -> bool: ...

    def is_connection_lost(self, problem: BaseException) -> bool: ...


class Dialect(ABC):
    """One database family: its names, its capabilities and the parts above."""

    name: ClassVar[str]
    """``postgresql``, ``cockroachdb``, ``sqlite``, ``mysql``; ``vendor`` is the name in snapshots (``postgres`` …)."""
    vendor: ClassVar[str]
    client_names: ClassVar[tuple[str, ...]]
    """Values of ``DB_CLIENT`` that mean this dialect."""
    # --- what it can do; the rest of the program asks for these and not for its name -----------
    transactional_ddl: ClassVar[bool]
    """Whether changes of tables are part of transactions; else each commits what is open, and itself."""
    has_returning: bool
    """Whether INSERT can answer with the keys it made; MariaDB tells when it is first connected to."""
    has_writable_cte: ClassVar[bool] = False
    steps: ClassVar[Steps | None] = None
    """Where there are no writable CTEs, but a :meth:`Connection.fetch_chain` costs little more than a statement."""
    """True when INSERTs can be chained into one statement by WITH."""
    has_notices: ClassVar[bool] = False
    """True when a commit can tell those who listen; others find out by looking."""
    retry_delays: ClassVar[tuple[float, ...]] = (0.1, 0.2, 0.4)
    """Seconds before a transaction that lost a race runs again (spec items-and-query §1.13)."""
    # --- its parts -----------------------------------------------------------------------------
    problems: Problems
    """The dialect's module ``errors``."""
    expressions: Expressions
    values: Values
    catalog: Catalog
    ddl: DDL
    dump: Dump
    trial: Trial
    journal: Journal | None = None
    """Where changes of tables are not part of transactions: what is known about those under way."""
    sa_dialect: SADialect

    @abstractmethod
    def driver(self, options: ConnectionOptions) -> Driver:
        """The connections of one database. Raises :class:`ConfigurationError` for options that cannot work."""

    def classify(self, problem: BaseException) -> DatabaseProblem | None:
        """What a driver's exception says about the data; None when it does not (spec items-and-query §8.2)."""
        return self.problems.classify(problem)

    def refusal(self, problem: BaseException) -> str | None:
        """What the database says about a change of tables that it cannot make; None for other troubles."""
        return self.problems.refusal(problem)

    def is_schema_outdated(self, problem: BaseException) -> bool:
        """True when a statement names a table or column that somebody has removed since the schema was read."""
        return self.problems.is_schema_outdated(problem)

    def is_transient(self, problem: BaseException) -> bool:
        """True when the same transaction may succeed if it runs again (spec items-and-query §1.13)."""
        return self.problems.is_transient(problem)

    def is_connection_lost(self, problem: BaseException) -> bool:
        """True when the server is gone or going."""
        return self.problems.is_connection_lost(problem)

    def automatic_special(self, type_name: str) -> str | None:
        """The ``special`` flag that a new field of this type needs here (spec schema-and-platform §1.4)."""
        return "cast-json" if type_name == "json" else None

    def quote(self, identifier: str) -> str:
        """The identifier, always quoted."""
        return self.sa_dialect.identifier_preparer.quote_identifier(identifier)

    def scratch(self, connection: Connection, empty: Collection[str]) -> AbstractAsyncContextManager[None] | None:
        """A database with the same tables for the connection to try changes out in; None where there is no way.

        The rows of system tables are copied but for those of ``empty``. Not needed where changes are transactions.
        """
        return None

    async def lock(  # noqa: B027 - doing nothing is the right default
        self, connection: Connection, name: str, *, through_ddl: bool = False
    ) -> None:
        """Wait until no other transaction holds the lock ``name`` and hold it until this transaction ends.

        ``through_ddl`` holds it also where changes of tables commit in between. Nothing to do where only one
        transaction can write at a time.
        """

    async def notify(  # noqa: B027 - most databases have nothing to tell it with
        self, connection: Connection, channel: str
    ) -> None:
        """Tell the listening processes that something has changed, once the open transaction has committed."""

    async def plan(self, connection: Connection, sql: str, values: Sequence[Any]) -> str:
        """How the database would run a SELECT, in its own words; nothing is run."""
        rows = await connection.fetch_rows(f"EXPLAIN {sql}", values)
        return "\n".join(" ".join(str(value) for value in row) for row in rows)

    async def estimate(self, connection: Connection, sql: str, values: Sequence[Any], table: str | None) -> int | None:
        """About how many rows a SELECT has, without running it; None when the database can't tell.

        ``table``: the table that the SELECT is all rows of; None for any other.
        """
        return None

    def learn(self, server: str) -> None:  # noqa: B027 - most dialects know all there is to know
        """Take note of what the server can do, by its version text; the driver calls it for every new connection."""

    def latest(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """A SELECT that sees what has committed until now, where a transaction otherwise sees the moment it began."""
        return select

    def compile(self, clause: sa.ClauseElement) -> Statement:
        """SQL text and parameter order of a SQLAlchemy clause, for the driver's own call."""
        compiled = clause.compile(dialect=self.sa_dialect)
        columns = tuple(str(getattr(c, "name", "")) for c in _columns_of(clause))
        if not isinstance(compiled, SQLCompiler):
            return Statement(str(compiled), columns=columns)
        # parameters without a value get it later, by name; lists of IN are spread out now
        late = {name: None for name, bind in compiled.binds.items() if bind.required}
        state = compiled.construct_expanded_state(late)
        return Statement(state.statement, tuple(state.positiontup or ()), dict(state.parameters), columns)

    def inlined(self, clause: sa.ClauseElement) -> str | None:
        """SQL with its constants in the text, for a part of another statement; None when some value is not known yet.

        For clauses whose constants are names and formats of our own, never for what a request brings.
        """
        compiled = clause.compile(dialect=self.sa_dialect)
        if isinstance(compiled, SQLCompiler) and any(bind.required for bind in compiled.binds.values()):
            return None
        return str(clause.compile(dialect=self.sa_dialect, compile_kwargs={"literal_binds": True}))


def _columns_of(clause: sa.ClauseElement) -> Sequence[Any]:
    """The columns that rows of a clause have: of a SELECT, or of RETURNING."""
    if isinstance(clause, sa.SelectBase):
        return list(clause.selected_columns)
    return list(clause.exported_columns) if isinstance(clause, sa.UpdateBase) else ()
