"""The steps of a write inside its transaction, by name and in order (spec items-and-query §1.5–§1.9).

Each function takes a :class:`WriteContext`. What happens around the transaction (counting, events of the call itself,
access to existing items) is the service's part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NoReturn

from tabulary.access.topics import topics_of, topics_of_new
from tabulary.core.errors import InvalidPayload, TabularyError
from tabulary.items.blueprint import CREATE, UPDATE, FieldPlan
from tabulary.items.context import WriteContext, event_names
from tabulary.items.keys import check_keys
from tabulary.items.nested import has_relations, save_to_many, save_to_one
from tabulary.items.options import Key
from tabulary.items.payload import bound, transform
from tabulary.items.statements import MAX_ROWS, in_powers, padded
from tabulary.items.tracking import (
    can_chain,
    insert_tracked,
    state_sql,
    track_create,
    track_delete,
    track_update,
    tracks,
    update_tracked,
)
from tabulary.items.validation import process_payload
from tabulary.items.write_errors import translated, undeleted

Row = dict[str, Any]


# --- create -------------------------------------------------------------------------------------
async def prepare(context: WriteContext, data: Mapping[str, Any]) -> Row:
    """Filter hooks, permissions, presets and validation of a new item; the payload to write."""
    if not isinstance(data, Mapping):
        raise InvalidPayload("An item has to be an object")
    payload = data
    if context.options.emit_events:
        names, meta = event_names(context.blueprint, CREATE), {"collection": context.blueprint.name}
        payload = await context.platform.hooks.emit_filter(names, payload, meta, context.event_context)
    checked = await process_payload(
        context.platform, context.schema, context.blueprint, CREATE, payload, context.accountability, context.nested,
        context.connection,
    )  # fmt: skip
    if context.options.pre_mutation_error is not None:
        raise context.options.pre_mutation_error
    return checked


async def create_item(context: WriteContext, payload: Row) -> Key:
    """Write one prepared item with everything that hangs on it; its key. A missing key is added to the payload."""
    row = await _row(context, await save_to_one(context, payload))
    if _is_one_insert(context, payload):
        key = await _insert_with_trail(context, row, payload)
        await context.check_integrity()
    else:
        key = await _insert_row(context, row, payload)
        await save_to_many(context, payload, key)
        await context.check_integrity()
        await track_create(context, [(key, payload)])
    context.connection.outdates(topics_of_new(context.blueprint.name))
    if row.get(context.primary.name) is not None and not context.options.bypass_auto_increment_sequence_reset:
        await reset_sequence(context)
    if context.options.on_item_create is not None:
        context.options.on_item_create(context.blueprint.name, key)
    return key


async def create_plain_items(context: WriteContext, payloads: Sequence[Row]) -> list[Key]:
    """Write many prepared items that bring no relations: few statements for all of them. Keys in order."""
    rows = [await _row(context, await save_to_one(context, payload)) for payload in payloads]
    keys: list[Key] = []
    for columns, run in groupby(zip(rows, payloads, strict=True), key=lambda pair: tuple(sorted(pair[0]))):
        plans = [context.blueprint.fields[name] for name in columns]
        for part in in_powers(list(run), width=max(1, len(plans))):
            keys += await _insert_rows(context, plans, part)
        if context.primary.name in columns and not context.options.bypass_auto_increment_sequence_reset:
            await reset_sequence(context)
    context.connection.outdates(topics_of_new(context.blueprint.name))
    await track_create(context, list(zip(keys, payloads, strict=True)))
    if context.options.on_item_create is not None:
        for key in keys:
            context.options.on_item_create(context.blueprint.name, key)
    return keys


def is_plain(context: WriteContext, payload: Row) -> bool:
    """True when :func:`create_plain_items` can write the item: no relations inside, and its key will be known."""
    if has_relations(context.blueprint, payload):
        return False
    given = payload.get(context.primary.name) or "uuid" in context.primary.special
    return bool(given) or (context.connection.dialect.has_returning and context.blueprint.counts_itself)


def is_atomic(context: WriteContext, payload: Row) -> bool:
    """True when :func:`create_item` will be one statement or chain of them, which needs no transaction around it."""
    counted = context.blueprint.counts_itself and payload.get(context.primary.name) is not None
    return (
        is_plain(context, payload)
        and not context.flags
        and not topics_of_new(context.blueprint.name)
        and not counted
        and (not tracks(context) or _is_one_insert(context, payload))
    )


def _is_one_insert(context: WriteContext, payload: Row) -> bool:
    """True when the item and its trail can go in as one chain."""
    return tracks(context) and not context.revisions and can_chain(context) and is_plain(context, payload)


async def _insert_with_trail(context: WriteContext, row: Row, payload: Row) -> Key:
    try:
        return await insert_tracked(context, row, payload)
    except Exception as problem:
        plans = [context.blueprint.fields[name] for name in sorted(row)]
        return await _raise(context, problem, CREATE, plans, payload)


async def _row(context: WriteContext, payload: Row) -> Row:
    if (chosen := context.defaults_of("_key")) is not None:  # somebody had to know the key before there was an item
        payload = {context.primary.name: chosen, **payload}
    row = await transform(context.blueprint, CREATE, payload, context.stamp, context.secrets)
    if row.get(context.primary.name) is not None:
        check_keys(context.blueprint.collection, [row[context.primary.name]])
    return row


async def _insert_row(context: WriteContext, row: Row, payload: Row) -> Key:
    primary, connection = context.primary, context.connection
    given = row.get(primary.name)
    plans = [context.blueprint.fields[name] for name in sorted(row)]
    returning = primary.name if given is None and connection.dialect.has_returning else None
    statement = context.statements().insert(plans, 1, returning)
    values = statement.values(bound(connection.dialect, plans, row))
    key: Key = given
    try:
        if returning:
            key = await connection.fetch_value(statement.sql, values)
        else:
            await connection.execute(statement.sql, values)
    except Exception as problem:
        await _raise(context, problem, CREATE, plans, payload)
    if key is None:
        key = connection.last_insert_id
    if not key and given is None:
        key = payload[primary.name] = await context.value(context.statements().maximum(primary.name))
    return key


async def _insert_rows(context: WriteContext, plans: Sequence[FieldPlan], part: Sequence[tuple[Row, Row]]) -> list[Key]:
    """One INSERT for rows with the same columns. When it fails, one row at a time tells which it was."""
    if len(part) == 1 or not plans:  # rows of nothing but defaults have no form for several
        return [await _insert_row(context, row, payload) for row, payload in part]
    connection, primary = context.connection, context.primary
    given = [row.get(primary.name) for row, _ in part]
    if not all(given) and any(given):
        return [await _insert_row(context, row, payload) for row, payload in part]
    returning = None if all(given) else primary.name
    statement = context.statements().insert(plans, len(part), returning)
    values = statement.values([value for row, _ in part for value in bound(connection.dialect, plans, row)])
    try:
        async with connection.savepoint():
            if returning is None:
                await connection.execute(statement.sql, values)
                return given
            # RETURNING promises no order, but numbers are given in the order of the rows.
            return sorted(key for (key,) in await connection.fetch_rows(statement.sql, values))
    except Exception as problem:
        if connection.dialect.classify(problem) is None:
            raise
    return [await _insert_row(context, row, payload) for row, payload in part]


async def reset_sequence(context: WriteContext) -> None:
    """Callers chose keys of a counted collection: move the counter beyond them."""
    if not context.blueprint.counts_itself:
        return
    statement = context.connection.dialect.values.sequence_reset(context.blueprint.name, context.primary.name)
    if statement is not None:
        await context.connection.select(statement)


# --- update -------------------------------------------------------------------------------------
async def update_items(context: WriteContext, keys: Sequence[Key], payload: Row) -> None:
    """Write the same prepared payload to all keys, each with the children it names."""
    prepared = await save_to_one(context, payload)
    row = await transform(context.blueprint, UPDATE, prepared, context.stamp, context.secrets)
    row.pop(context.primary.name, None)
    if row and is_one_update(context, keys, payload):
        await _update_with_trail(context, keys[0], row, payload)
        await context.check_integrity()
        return
    if row:
        await _update_rows(context, keys, row, payload)
    context.connection.outdates(topics_of(context.blueprint.name, payload))
    for key in keys:
        await save_to_many(context, payload, key)
    await context.check_integrity()
    await track_update(context, keys, row)


def is_one_update(context: WriteContext, keys: Sequence[Key], payload: Row) -> bool:
    """True when :func:`update_items` will be one chain of statements, the trail in it."""
    return (
        len(keys) == 1
        and tracks(context)
        and not context.revisions
        and not has_relations(context.blueprint, payload)
        and not topics_of(context.blueprint.name, payload)
        and can_chain(context)
        and state_sql(context) is not None
    )


async def _update_with_trail(context: WriteContext, key: Key, row: Row, payload: Row) -> None:
    try:
        await update_tracked(context, key, row)
    except Exception as problem:
        plans = [context.blueprint.fields[name] for name in sorted(row)]
        await _raise(context, problem, UPDATE, plans, payload)


async def _update_rows(context: WriteContext, keys: Sequence[Key], row: Row, payload: Row) -> None:
    plans = [context.blueprint.fields[name] for name in sorted(row)]
    values = bound(context.connection.dialect, plans, row)
    for part in padded([context.driver_value(context.primary, key) for key in keys]):
        statement = context.statements().update(plans, context.primary, len(part))
        try:
            await context.connection.execute(statement.sql, statement.values([*values, *part]))
        except Exception as problem:
            await _raise(context, problem, UPDATE, plans, payload)


# --- delete -------------------------------------------------------------------------------------
async def delete_items(context: WriteContext, keys: Sequence[Key]) -> None:
    """Delete the keys.

    Raises :class:`InvalidForeignKey` while others refer to them (the reference: 500, [Qf]), and :class:`Forbidden`, as
    for a missing item, for a key that its column cannot hold.
    """
    for part in padded([context.driver_value(context.primary, key) for key in keys]):
        statement = context.statements().delete(context.primary, len(part))
        try:
            await context.connection.execute(statement.sql, statement.values(part))
        except Exception as problem:
            if (error := undeleted(context, problem)) is not None:
                raise error from problem
            raise
    context.connection.outdates(topics_of(context.blueprint.name, None))
    await context.check_integrity()
    await track_delete(context, keys)


async def _raise(
    context: WriteContext, problem: Exception, action: str, plans: Sequence[FieldPlan], payload: Mapping[str, Any]
) -> NoReturn:
    """Raise the translated error, or the driver's own again."""
    if isinstance(problem, TabularyError):
        raise problem
    error = await translated(context, problem, action, plans, payload)
    if error is problem:
        raise problem
    raise error from problem


__all__ = [
    "MAX_ROWS", "create_item", "create_plain_items", "delete_items", "is_atomic", "is_one_update", "is_plain",
    "prepare", "update_items",
]  # fmt: skip
