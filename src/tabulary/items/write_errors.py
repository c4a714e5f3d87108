"""Errors of the database during insert and update, in the API's words (spec items-and-query §8.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulary.core.errors import (
    ContainsNullValues,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    NotNullViolation,
    RecordNotUnique,
    TabularyError,
    ValueOutOfRange,
    ValueTooLong,
)
from tabulary.database.errors import UNFIT, DatabaseProblem, KeysUsedUp
from tabulary.items.blueprint import CREATE, FieldPlan
from tabulary.items.context import WriteContext

_LENGTH = re.compile(r"\((\d+)\)")
_CLASSES: dict[str, tuple[Callable[..., TabularyError], str]] = {
    "unique": (RecordNotUnique, "has to be unique"),
    "foreign_key": (InvalidForeignKey, "refers to an item that does not exist"),
    "not_null": (NotNullViolation, "can't be null"),
    "contains_null": (ContainsNullValues, "contains null values"),
    "too_long": (ValueTooLong, "is too long"),
    "out_of_range": (ValueOutOfRange, "is out of range"),
}


async def translated(
    context: WriteContext, problem: Exception, action: str, plans: Sequence[FieldPlan], payload: Mapping[str, Any]
) -> Exception:
    """The error to raise for an exception of the driver: itself when it says nothing about one column.

    ``payload`` is the caller's; it lends the error the value of the field. Hooks of ``database.error`` may replace it.
    """
    found = context.connection.dialect.classify(problem)
    if found is None:
        return problem
    if found.kind == "keys_used_up":
        return KeysUsedUp(found.collection or context.blueprint.name)
    if found.kind == "invalid":
        return InvalidPayload(f"A value does not fit the type of {_shown(found, plans, payload)}")
    field = _field(context, found, plans, payload, str(problem))
    error: Exception = _error(context, found, action, field, payload)
    client = context.connection.dialect.client_names[0]
    result = await context.platform.hooks.emit_filter(
        "database.error", error, {"client": client}, context.event_context
    )
    return result if isinstance(result, Exception) else error


def undeleted(context: WriteContext, problem: Exception) -> TabularyError | None:
    """The error of a deletion that failed for the caller's keys; None when it failed for another reason.

    Who refers to an item is not told: the caller may not be allowed to see those items.
    """
    found = context.connection.dialect.classify(problem)
    if found is None:
        return None
    if found.kind == "foreign_key":
        message = f'Items of "{context.blueprint.name}" are still referred to by others; change or delete those first.'
        return InvalidForeignKey(message, context.blueprint.name, None, value=None)
    return Forbidden() if found.kind in UNFIT else None


def _shown(found: DatabaseProblem, plans: Sequence[FieldPlan], payload: Mapping[str, Any]) -> str:
    """The field whose value is of the wrong type, where the database names it, or all that were given."""
    names = [found.field] if found.field else [plan.name for plan in plans if payload.get(plan.name) is not None]
    return ", ".join(f'"{name}"' for name in names[:10]) or "its field"


def _error(
    context: WriteContext, found: DatabaseProblem, action: str, field: str | None, payload: Mapping[str, Any]
) -> TabularyError:
    kind, words = _CLASSES[found.kind]
    collection = found.collection or (context.blueprint.name if field or found.is_primary else None)
    more: dict[str, Any] = {}
    if found.is_primary and action == CREATE:
        field = context.blueprint.collection.primary
    elif found.is_primary:
        more["primaryKey"] = True
    if found.kind not in ("not_null", "contains_null"):
        if collection is None:
            more["value"] = None
        elif field is not None and field in payload:
            more["value"] = payload[field]
    message = f'The value of field "{field}" in collection "{collection}" {words}.' if field else f"A value {words}."
    return kind(message, collection, field, **more)


def _field(
    context: WriteContext, found: DatabaseProblem, plans: Sequence[FieldPlan], payload: Mapping[str, Any], text: str
) -> str | None:
    """The field in question, where the database names it or a key of ours, or the value tells."""
    if found.field is None and found.kind in ("too_long", "out_of_range"):
        return _worst(found.kind, plans, payload, text)
    if found.field is None or found.field in context.blueprint.fields or "," in found.field:
        return found.field
    return next(
        (name for name in context.blueprint.fields if found.field == f"{context.blueprint.name}_{name}_unique"), None
    )


def _worst(kind: str, plans: Sequence[FieldPlan], payload: Mapping[str, Any], text: str) -> str | None:
    """PostgreSQL names no column for lengths and ranges: it is the one whose value fits worst."""
    given = [(plan, payload[plan.name]) for plan in plans if payload.get(plan.name) is not None]
    if kind == "too_long":
        limit = _LENGTH.search(text)
        least = int(limit[1]) if limit else 0
        sized = [
            (float(len(str(value))), plan.name)
            for plan, value in given
            if plan.type in ("string", "hash", "csv", "unknown")
        ]
        fitting = [entry for entry in sized if entry[0] > least]
    else:
        fitting = [(abs(number), plan.name) for plan, value in given if (number := _size(plan, value)) is not None]
    return max(fitting)[1] if fitting else (plans[0].name if plans else None)


def _size(plan: FieldPlan, value: Any) -> float | None:
    if plan.type not in ("integer", "bigInteger", "float", "decimal"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
