"""Activity and revisions of a write (spec items-and-query §1.12).

Written as plain rows in the same transaction, in bulk: one INSERT for the activities of many items, one for their
revisions, paired by primary key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulary.core import json
from tabulary.items.blueprint import CREATE, DELETE, UPDATE, Blueprint, FieldPlan
from tabulary.items.context import WriteContext, event_names
from tabulary.items.keys import key_text
from tabulary.items.moments import now
from tabulary.items.options import Key
from tabulary.items.payload import bound, revealed
from tabulary.items.statements import ACTIVITY, REVISIONS, Statements, in_powers, padded

ORIGIN_LENGTH = 255
"""A header may be longer than the column that keeps it; that is no reason to refuse a write."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One written item: its key and, for a revision, what it was and what changed."""

    key: Key
    data: Mapping[str, Any] | None = None
    delta: Mapping[str, Any] | None = None


def tracks(context: WriteContext) -> bool:
    """True when this write leaves activity rows."""
    return (
        context.accountability is not None
        and not context.options.skip_tracking
        and context.blueprint.collection.accountability is not None
    )


async def insert_tracked(context: WriteContext, row: Mapping[str, Any], payload: Mapping[str, Any]) -> Key:
    """Insert an item together with its trail, as one chain; its key. Only where :func:`can_chain`."""
    trace = created(context, row.get(context.primary.name), payload)
    last, key = await chained_insert(context, CREATE, trace, row)
    if context.options.on_revision_create is not None and context.blueprint.collection.accountability == "all":
        context.options.on_revision_create(last)
    return key


async def update_tracked(context: WriteContext, key: Key, row: Mapping[str, Any]) -> None:
    """Change an item together with its trail, as one chain. Only where :func:`can_chain`."""
    last = await chained_update(context, key, row)
    if context.options.on_revision_create is not None and context.blueprint.collection.accountability == "all":
        context.options.on_revision_create(last)


async def track_create(context: WriteContext, items: Sequence[tuple[Key, Mapping[str, Any]]]) -> None:
    """Record new items by key and payload (with presets, before it became values)."""
    if not tracks(context):
        return
    await _record(context, CREATE, [created(context, key, payload) for key, payload in items])


def created(context: WriteContext, key: Key, payload: Mapping[str, Any]) -> Trace:
    """What is kept of a new item: its payload without relations, as both state and change."""
    shown = revealed(context.blueprint, payload, without=context.blueprint.relational) or None
    return Trace(key, shown, shown)


async def track_update(context: WriteContext, keys: Sequence[Key], row: Mapping[str, Any]) -> None:
    """Record changed items: their state now, and the values written."""
    if not tracks(context):
        return
    delta = revealed(context.blueprint, row)
    traces = [Trace(key) for key in keys]
    if delta and context.blueprint.collection.accountability == "all":
        snapshot = await context.platform.reader.snapshot(
            context.schema, context.blueprint.name, list(keys), context.connection, context.blueprint.snapshot_fields()
        )
        collection = context.blueprint.collection
        found = {key_text(collection, key): item for key, item in snapshot.items()}
        traces = [Trace(key, found.get(key_text(collection, key)), delta) for key in keys]
    await _record(context, UPDATE, traces, revisions=bool(delta))


async def track_delete(context: WriteContext, keys: Sequence[Key]) -> None:
    if tracks(context):
        await _record(context, DELETE, [Trace(key) for key in keys], revisions=False)


# --- rows ---------------------------------------------------------------------------------------
async def _record(context: WriteContext, action: str, traces: Sequence[Trace], revisions: bool = True) -> None:
    revisions = revisions and context.blueprint.collection.accountability == "all"
    wanted = bool(context.revisions) or context.options.on_revision_create is not None
    if len(traces) == 1 and revisions and can_chain(context):
        parents = [(await chained_insert(context, action, traces[0]))[0]]
    else:
        parents = await _record_parts(context, action, traces, revisions, wanted)
    if parents and context.revisions:
        await _adopt(context, parents[0])
    if context.options.on_revision_create is not None:
        for parent in parents:
            context.options.on_revision_create(parent)


async def _record_parts(
    context: WriteContext, action: str, traces: Sequence[Trace], revisions: bool, need_keys: bool
) -> list[Key]:
    keys: list[Key] = []
    for part in in_powers(traces, width=9):
        activities = await _insert(
            context, ACTIVITY, [_activity(context, action, t) for t in part], need_keys=revisions
        )
        if revisions:
            rows = [_revision(context, trace, activity) for activity, trace in zip(activities, part, strict=True)]
            keys += await _insert(context, REVISIONS, rows, need_keys)
    return keys


def can_chain(context: WriteContext) -> bool:
    """True when activity and revision can be one chain, and no hook wants to see their rows."""
    hooks, writes, dialect = context.platform.hooks, context.platform.writes, context.connection.dialect
    return (dialect.has_writable_cte or dialect.steps is not None) and not any(
        hooks.listens(event_names(writes.blueprint(context.schema, table), CREATE)) for table in (ACTIVITY, REVISIONS)
    )


async def chained_insert(
    context: WriteContext, action: str, trace: Trace, row: Mapping[str, Any] | None = None
) -> tuple[Key, Key]:
    """Activity and revision of one item as one chain, with ``row`` the new item itself too.

    Returns the key of the revision (or of the activity, where there are no revisions) and that of the item.
    """
    dialect = context.connection.dialect
    returning = context.primary.name if row is not None and trace.key is None else None
    rows = [_activity(context, action, trace)]
    if context.blueprint.collection.accountability == "all":
        rows.append(_revision(context, trace))
    plans = _trail_plans(context, rows, without="item" if returning else None)
    own = None if row is None else [context.blueprint.fields[name] for name in sorted(row)]
    chain = context.statements().chained(own, returning, plans[0], plans[1] if len(plans) > 1 else ())
    values = [] if own is None or row is None else bound(dialect, own, row)
    values += _trail_values(context, plans, rows)
    found = (await context.connection.fetch_chain(chain.bound(values)))[0]
    return found[0], found[1] if returning else trace.key


async def chained_update(context: WriteContext, key: Key, row: Mapping[str, Any]) -> Key:
    """Change one item and record it, as one chain; the key of the revision (or of the activity).

    Only where :func:`can_chain`, and :func:`state_sql` is there.
    """
    rows = [_activity(context, UPDATE, Trace(key))]
    if context.blueprint.collection.accountability == "all":
        rows.append(_revision(context, Trace(key, None, revealed(context.blueprint, row))))
        del rows[-1]["data"]  # the statement itself knows it
    plans = _trail_plans(context, rows)
    own = [context.blueprint.fields[name] for name in sorted(row)]
    chain = context.statements().chained_update(
        own, context.primary, state_sql(context) or "", plans[0], plans[1] if len(plans) > 1 else ()
    )
    values = bound(context.connection.dialect, own, row)
    values += [context.driver_value(context.primary, key), *_trail_values(context, plans, rows)]
    return (await context.connection.fetch_chain(chain.bound(values)))[0][0]


def state_sql(context: WriteContext) -> str | None:
    """SQL that shows the item as revisions keep it, where it needs no values."""
    return context.platform.reader.row_sql(context.schema, context.blueprint.name, context.blueprint.snapshot_fields())


def _trail_plans(
    context: WriteContext, rows: Sequence[Mapping[str, Any]], without: str | None = None
) -> list[list[FieldPlan]]:
    """The columns of an activity and (when there is one) of a revision, as the rows name them."""
    tables = [context.platform.writes.blueprint(context.schema, table).fields for table in (ACTIVITY, REVISIONS)]
    return [[fields[name] for name in row if name != without] for fields, row in zip(tables, rows, strict=False)]


def _trail_values(context: WriteContext, plans: list[list[FieldPlan]], rows: list[dict[str, Any]]) -> list[Any]:
    values: list[Any] = []
    for some, row in zip(plans, rows, strict=True):
        values += bound(context.connection.dialect, some, row)
    return values


def _activity(context: WriteContext, action: str, trace: Trace) -> dict[str, Any]:
    who = context.accountability
    assert who is not None
    return {
        "action": action,
        "user": who.user,
        "collection": context.blueprint.name,
        "ip": who.ip,
        "user_agent": who.user_agent,
        "origin": who.origin and who.origin[:ORIGIN_LENGTH],
        "item": str(trace.key),
        "timestamp": now(),
    }


def _revision(context: WriteContext, trace: Trace, activity: Key | None = None) -> dict[str, Any]:
    numbered = {} if activity is None else {"activity": activity}
    return {
        **numbered,
        "collection": context.blueprint.name,
        "item": str(trace.key),
        "data": _text(trace.data),
        "delta": _text(trace.delta),
    }


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.encode(value).decode()


async def _insert(context: WriteContext, table: str, rows: list[dict[str, Any]], need_keys: bool) -> list[Key]:
    """Insert rows of one of our own tables; their keys in order when they are needed."""
    blueprint = context.platform.writes.blueprint(context.schema, table)
    rows = await _filtered(context, blueprint, rows)
    plans = [blueprint.fields[name] for name in rows[0] if name in blueprint.fields]
    dialect, statements = context.connection.dialect, context.statements(table)
    values = [dialect.values.write(row.get(plan.name), plan.column) for row in rows for plan in plans]
    if not need_keys or dialect.has_returning:
        returning = blueprint.collection.primary if need_keys else None
        statement = statements.insert(plans, len(rows), returning)
        parameters = statement.values(values)
        if returning is None:
            await context.connection.execute(statement.sql, parameters)
            return _announced(context, blueprint, rows, [])
        if len(rows) == 1:
            keys = [await context.connection.fetch_value(statement.sql, parameters)]
        else:
            # RETURNING promises no order, but numbers are given in the order of the rows.
            keys = sorted(found[0] for found in await context.connection.fetch_rows(statement.sql, parameters))
        return _announced(context, blueprint, rows, keys)
    return _announced(context, blueprint, rows, await _insert_singly(context, statements, plans, values))


async def _insert_singly(
    context: WriteContext, statements: Statements, plans: Sequence[FieldPlan], values: Sequence[Any]
) -> list[Key]:
    statement = statements.insert(plans, 1, None)
    keys: list[Key] = []
    for start in range(0, len(values), len(plans)):
        await context.connection.execute(statement.sql, statement.values(values[start : start + len(plans)]))
        keys.append(context.connection.last_insert_id)
    return keys


async def _adopt(context: WriteContext, parent: Key) -> None:
    """Make a revision the parent of those that its children wrote."""
    blueprint = context.platform.writes.blueprint(context.schema, REVISIONS)
    for part in padded(context.revisions):
        plans = [blueprint.fields["parent"]]
        statement = context.statements(REVISIONS).update(plans, blueprint.primary, len(part))
        values = [context.driver_value(blueprint.fields["parent"], parent)]
        values += [context.driver_value(blueprint.primary, key) for key in part]
        await context.connection.execute(statement.sql, statement.values(values))


# --- events -------------------------------------------------------------------------------------
async def _filtered(context: WriteContext, blueprint: Blueprint, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows after the hooks of their own collection, which nearly never exist."""
    names, hooks = event_names(blueprint, CREATE), context.platform.hooks
    if not hooks.listens(names):
        return rows
    meta = {"collection": blueprint.name}
    return [await hooks.emit_filter(names, row, meta, context.event_context) for row in rows]


def _announced(context: WriteContext, blueprint: Blueprint, rows: list[dict[str, Any]], keys: list[Key]) -> list[Key]:
    names, hooks = event_names(blueprint, CREATE), context.platform.hooks
    if hooks.listens(names):
        for index, row in enumerate(rows):
            meta = {"payload": row, "key": keys[index] if keys else None, "collection": blueprint.name}
            hooks.emit_action(names, meta, context.event_context)
    return keys
