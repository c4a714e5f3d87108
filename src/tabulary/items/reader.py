"""Running reads: query → plan → statement (cached by shape) → one call of the driver → JSON text.

A cached plan is reused by everyone with the same permission rows; values and variables are bound each time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import UNRESTRICTED, PermissionSet
from tabulary.access.store import AccessStore
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.core.json import decode, encode
from tabulary.core.settings import Settings
from tabulary.core.tracing import span
from tabulary.core.turns import Turns
from tabulary.database.connection import Connection, Statement
from tabulary.database.engine import Database
from tabulary.database.versions import WITNESS
from tabulary.items.conditions import collection_reason, field_reason
from tabulary.items.filter import Variable, parse_rule, variables
from tabulary.items.guards import Guards
from tabulary.items.plan import Node, Output, Plain
from tabulary.items.planner import Limits, Planner
from tabulary.items.pruning import pruned
from tabulary.items.query import Level, Query
from tabulary.items.slots import Slot, fill, signature_of
from tabulary.items.slow import SlowLog
from tabulary.items.sql import Compiler
from tabulary.schema.overview import Schema

Fetch = Callable[[Connection, str, list[Any]], Awaitable[Any]]

MAX_PLANS = 2_000
KEYS_A_STATEMENT = 1_000
"""Keys that one statement names; more are looked up in turns."""
_PAUSE = 1 / 8
"""How long those who share a long read wait for company, as a part of its length."""
KEY = "$key"
_ONLY_KEYS = f'[{{"{KEY}":'
"""How an answer begins whose items are nothing but their keys."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A compiled plan: the statement and where its values come from."""

    statement: Statement
    slots: Mapping[str, Slot]


RELAXED: ContextVar[bool] = ContextVar("tabulary.relaxed", default=False)
"""True while a request is at work whose reads may go to a replica."""


class Reader:
    """The read engine of one Tabulary object."""

    def __init__(self, database: Database, access: AccessStore, settings: Settings) -> None:
        self.database, self.access, self.settings = database, access, settings
        self.limits = Limits(
            default_limit=_default_limit(settings),
            json_depth=int(settings.get("MAX_JSON_QUERY_DEPTH", 10)),
        )
        self._plans: OrderedDict[Any, Prepared] = OrderedDict()
        self._row_sql: dict[Any, str | None] = {}
        self._turns: Turns[Any] = Turns(pause=_PAUSE)
        threshold = settings.get("DB_SLOW_QUERY_THRESHOLD")
        self.slow = SlowLog(database, float(threshold)) if threshold else None
        self._rule_variables: dict[tuple[str, str], frozenset[str]] = {}
        access.bind(self._read_raw)

    # --- reads ------------------------------------------------------------------------------
    async def read_json(
        self,
        schema: Schema,
        collection: str,
        query: Query,
        accountability: Accountability | None = None,
        connection: Connection | None = None,
    ) -> str:
        """The items that a query selects, as the text of a JSON list.

        Raises :class:`Forbidden` for what the caller may not see and :class:`InvalidQuery` for what makes no sense.
        """

        def compile_(compiler: Compiler, planner: Planner) -> Statement:
            return compiler.read(with_key(planner.root(collection, query.root)))

        text: str
        asked = "read", schema, collection, query, accountability, connection, compile_
        witness = WITNESS.get() if connection is None else None
        if witness is None or witness.seen is not None:
            text = await self.run(*asked, self.fetch_json)
        else:
            text, witness.seen = await self.run(*asked, self._fetch_witnessed)
        return encode([item[KEY] for item in decode(text)]).decode() if text.startswith(_ONLY_KEYS) else text

    async def read(
        self,
        schema: Schema,
        collection: str,
        query: Query,
        accountability: Accountability | None = None,
        connection: Connection | None = None,
    ) -> list[dict[str, Any]]:
        """The same as objects."""
        found: list[dict[str, Any]] = decode(
            await self.read_json(schema, collection, query, accountability, connection)
        )
        return found

    async def count(
        self,
        schema: Schema,
        collection: str,
        accountability: Accountability | None,
        query: Query | None = None,
        connection: Connection | None = None,
    ) -> int:
        """How many items the caller may see; with a query those that its filter and search leave (spec §2.2).

        At most the query's ``count_cap``, where it has one.
        """
        asked = query or Query()
        root = Level(fields=None, filter=asked.root.filter, search=asked.root.search)
        counted = replace(asked, root=root, offset=0)

        def compile_(compiler: Compiler, planner: Planner) -> Statement:
            return compiler.count(counted_node(planner, collection, counted), asked.count_cap)

        kind = "count" if asked.count_cap is None else f"count:{asked.count_cap}"
        return int(
            await self.run(kind, schema, collection, counted, accountability, connection, compile_, _fetch_value)
        )

    async def keys(
        self, schema: Schema, collection: str, query: Query, connection: Connection | None = None
    ) -> list[Any]:
        """Primary keys that a query selects, as the system sees it (spec §1.3)."""

        def compile_(compiler: Compiler, planner: Planner) -> Statement:
            base = schema.collections[collection]
            return compiler.keys(planner.root(collection, replace(query.root, fields=(base.primary,))))

        rows = await self.run("keys", schema, collection, query, None, connection, compile_, _fetch_rows)
        return [row[0] for row in rows]

    async def snapshot(
        self,
        schema: Schema,
        collection: str,
        keys: Sequence[Any],
        connection: Connection | None,
        fields: Sequence[str] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Whole items without relations, by their key as text: what revisions keep (spec §1.12)."""
        base = schema.collections[collection]
        names = fields or [
            n for n in base.fields if schema.relation(collection, n) is None and not base.fields[n].alias
        ]
        found: dict[str, dict[str, Any]] = {}
        wanted = tuple(dict.fromkeys([*names, base.primary]))
        for start in range(0, len(keys), KEYS_A_STATEMENT):
            query = Query(root=Level(fields=wanted)).with_key(
                base.primary, list(keys[start : start + KEYS_A_STATEMENT]), many=True
            )
            for item in await self.read(schema, collection, query, None, connection):
                found[str(item[base.primary])] = (
                    item if base.primary in names else {k: v for k, v in item.items() if k != base.primary}
                )
        return found

    def row_sql(self, schema: Schema, collection: str, names: Sequence[str]) -> str | None:
        """SQL that shows the only row of a table as one JSON object; None when that needs values of its own.

        For a statement in which a CTE of the table's name holds just the row that it changes.
        """
        key = (schema.version, collection, tuple(names))
        if key not in self._row_sql:
            if len(self._row_sql) >= MAX_PLANS:
                self._row_sql.clear()
            query = Query(root=Level(fields=tuple(names)))
            node = Planner(schema, UNRESTRICTED, self.limits, query.backlink).root(collection, query.root)
            self._row_sql[key] = Compiler(schema, self.database.dialect).row(node)
        return self._row_sql[key]

    # --- access -----------------------------------------------------------------------------
    async def check_items(
        self,
        schema: Schema,
        collection: str,
        action: str,
        keys: Sequence[Any],
        fields: Iterable[str],
        accountability: Accountability | None,
        connection: Connection | None = None,
    ) -> None:
        """Raise :class:`Forbidden` unless ``action`` is allowed on every key and every field (spec §7.5)."""
        permissions = await self.access.permissions(accountability, schema, connection)
        if permissions.unrestricted:
            return
        guards = Guards(schema, permissions, action)
        if not guards.readable(collection):
            raise Forbidden(collection_reason(collection, ()))
        wanted = tuple(dict.fromkeys(fields))
        refused = [f for f in wanted if not guards.grants(collection, f)]
        if refused:
            raise Forbidden(field_reason(collection, refused, ()))
        distinct = list(dict.fromkeys(str(k) for k in keys))
        if len(distinct) < len(keys):
            raise Forbidden(_action_reason(collection, action, wanted))
        for start in range(0, len(keys), KEYS_A_STATEMENT):
            some = list(keys[start : start + KEYS_A_STATEMENT])
            if not await self._may(schema, collection, action, some, wanted, accountability, permissions, connection):
                raise Forbidden(_action_reason(collection, action, wanted))

    async def _may(
        self,
        schema: Schema,
        collection: str,
        action: str,
        keys: list[Any],
        fields: tuple[str, ...],
        accountability: Accountability | None,
        permissions: PermissionSet,
        connection: Connection | None,
    ) -> bool:
        base = schema.collections[collection]
        query = Query().with_key(base.primary, keys, many=True)

        def compile_(compiler: Compiler, planner: Planner) -> Statement:
            guards = Guards(schema, permissions, action)
            condition = planner.resolver.condition(query.root.filter, collection)
            masks = [m for m in (guards.mask(collection, f) for f in fields) if m is not None]
            return compiler.flags(Node(base, filter=condition, rows=guards.rows(collection)), masks)

        rows = await self.run(
            f"{action}:{','.join(fields)}",
            schema,
            collection,
            query,
            accountability,
            connection,
            compile_,
            _fetch_rows,
            action,
            trusted=True,
        )
        return len(rows) == len(keys) and all(all(flag for flag in row[1:]) for row in rows)

    # --- plans ------------------------------------------------------------------------------
    async def run(
        self,
        kind: str,
        schema: Schema,
        collection: str,
        query: Query,
        accountability: Accountability | None,
        connection: Connection | None,
        compile_: Callable[[Compiler, Planner], Statement],
        fetch: Fetch,
        action: str = "read",
        trusted: bool = False,
    ) -> Any:
        """What ``fetch`` gets by the SQL of a (cached) plan and its values; without ``connection`` in shared turns."""
        permissions = await self.access.permissions(accountability, schema, connection)
        variables: dict[Variable, Any] = {}
        for texts, of_rule in ((query.variables, False), (self._variables_of(permissions, action), True)):
            if texts:
                found = await self.access.variables(
                    texts, accountability, schema, connection=connection, of_rules=of_rule
                )
                variables |= {Variable(text, of_rule): value for text, value in found.items()}
        key = (
            schema.version,
            permissions.key,
            tuple(sorted(signature_of(variables).items(), key=str)),
            collection,
            kind,
            query.shape,
        )
        prepared = self._plans.get(key)
        if prepared is None:
            with span(self.database.tracing, "plan", collection=collection):
                prepared = self._prepare(schema, UNRESTRICTED if trusted else permissions, variables, query, compile_)
            self._plans[key] = prepared
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        statement = prepared.statement
        values = fill(prepared.slots, query.values, variables, statement.constants, statement.names, query.offset)
        try:
            if connection is not None:
                return await fetch(connection, statement.sql, values)
            # never of users and roles: rules are about what they are now
            relaxed = self.database.has_replica and RELAXED.get() and not collection.startswith("directus_")
            return await self._turns.take(
                (fetch, relaxed, statement.sql, *values),
                partial(self._fetch_pooled, fetch, relaxed, statement.sql, values, collection, query.root),
            )
        except Exception as problem:
            if self.database.dialect.classify(problem) is None:
                raise
            raise InvalidQuery("A value does not fit the type of the field it is compared with") from problem

    async def _fetch_pooled(
        self, fetch: Fetch, relaxed: bool, sql: str, values: list[Any], collection: str, level: Level
    ) -> Any:
        if self.slow is None:
            return await self._fetch_now(fetch, relaxed, sql, values)
        began = time.perf_counter()
        try:
            return await self._fetch_now(fetch, relaxed, sql, values)
        finally:
            self.slow.note(sql, values, time.perf_counter() - began, collection, level)

    async def _fetch_now(self, fetch: Fetch, relaxed: bool, sql: str, values: list[Any]) -> Any:
        if relaxed:
            return await self.database.read(lambda connection: fetch(connection, sql, values))
        async with self.database.connection() as connection:
            return await fetch(connection, sql, values)

    async def fetch_json(self, connection: Connection, sql: str, values: list[Any]) -> str:
        if self.database.dialect.expressions.single_value:
            text: str = await connection.fetch_value(sql, values)
            return text
        return "[" + ",".join([row[0] for row in await connection.fetch_rows(sql, values)]) + "]"

    async def _fetch_witnessed(self, connection: Connection, sql: str, values: list[Any]) -> tuple[str, str | None]:
        """The same, and the version of everything at that moment."""
        ((text, version),) = await connection.fetch_rows(self.database.dialect.expressions.witnessed(sql), values)
        return text, version

    def _prepare(
        self,
        schema: Schema,
        permissions: PermissionSet,
        variables: Mapping[Variable, Any],
        query: Query,
        compile_: Callable[[Compiler, Planner], Statement],
    ) -> Prepared:
        compiler = Compiler(schema, self.database.dialect)
        compiler.slots.signature = signature_of(variables)
        planner = Planner(schema, permissions, self.limits, query.backlink)
        statement = compile_(compiler, planner)
        return Prepared(statement, compiler.slots.slots)

    def _variables_of(self, permissions: PermissionSet, action: str) -> frozenset[str]:
        """Texts of the variables in the rules of an action (of reads too: masks apply there)."""
        if permissions.unrestricted:
            return frozenset()
        key = (permissions.key, action)
        found = self._rule_variables.get(key)
        if found is None:
            rows = [r for (_, a), rows in permissions.rows.items() if a in (action, "read") for r in rows]
            found = frozenset(v.text for row in rows for v in variables(parse_rule(row.permissions, [])))
            if len(self._rule_variables) > MAX_PLANS:
                self._rule_variables.clear()
            self._rule_variables[key] = found
        return found

    async def _read_raw(
        self,
        schema: Schema,
        collection: str,
        raw: Mapping[str, Any],
        accountability: Accountability | None,
        connection: Connection | None,
    ) -> list[dict[str, Any]]:
        query = Query.internal(raw, self.settings)
        return await self.read(schema, collection, query, accountability, connection)


async def _fetch_value(connection: Connection, sql: str, values: list[Any]) -> Any:
    return await connection.fetch_value(sql, values)


async def _fetch_rows(connection: Connection, sql: str, values: list[Any]) -> Any:
    return await connection.fetch_rows(sql, values)


def counted_node(planner: Planner, collection: str, query: Query) -> Node:
    """The plan of a query of which nothing but the number of its items is wanted."""
    base = planner.resolver.collection(collection, ())
    root = Level(fields=None, filter=query.root.filter, search=query.root.search)
    return pruned(planner._selection(Node(base), base, root, (), ()))


def with_key(node: Node) -> Node:
    """A plan of which nothing may be shown shows bare keys, as in the reference (spec users §4.3)."""
    if node.outputs or node.grouping is not None:
        return node
    return replace(node, outputs=(Output(KEY, Plain(node.collection.primary_field)),))


def _default_limit(settings: Settings) -> int:
    default, maximum = int(settings.get("QUERY_LIMIT_DEFAULT", 100)), settings.get("QUERY_LIMIT_MAX")
    return default if maximum in (None, -1) else min(default, int(maximum))


def _action_reason(collection: str, action: str, fields: Sequence[str]) -> str:
    if not fields:
        return f'You don\'t have permission to perform "{action}" for collection "{collection}" or it does not exist.'
    names = ", ".join(f'"{f}"' for f in fields)
    place = f'the field(s) {names} in collection "{collection}"'
    return f'You don\'t have permissions to perform "{action}" for {place} or it does not exist.'
