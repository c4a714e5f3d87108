"""From the ``schema`` of a field in a request to a column for DDL (spec schema-and-platform §1.4, §2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tabulary.core.errors import (
    ContainsNullValues,
    InvalidPayload,
    RecordNotUnique,
    TabularyError,
    ValueOutOfRange,
    ValueTooLong,
)
from tabulary.database.catalog import ColumnFacts
from tabulary.database.connection import Connection
from tabulary.database.ddl import LENGTH, PRECISION, SCALE, TYPES, ColumnSpec
from tabulary.schema.overview import ALIAS_SPECIALS

_MOST = 2**32 - 1
"""The length that MariaDB tells of its longest texts; what a database cannot do it refuses itself."""
_FACTS = ("is_nullable", "default_value", "max_length", "numeric_precision", "numeric_scale", "is_unique", "is_indexed")
_ERRORS: Mapping[str, tuple[type[TabularyError], str]] = MappingProxyType(
    {
        "unique": (RecordNotUnique, "holds values that are not unique"),
        "not_null": (ContainsNullValues, "contains null values"),
        "contains_null": (ContainsNullValues, "contains null values"),
        "too_long": (ValueTooLong, "holds values that are too long"),
        "out_of_range": (ValueOutOfRange, "holds values that are out of range"),
    }
)


def has_column(kind: str | None) -> bool:
    """True when fields of this type live in a column."""
    return kind is not None and kind not in ALIAS_SPECIALS


def new_column(field: Mapping[str, Any]) -> ColumnSpec:
    """The column of a field to be created. Raises :class:`InvalidPayload` for a type or length that cannot be."""
    _check_type(field["type"])
    schema = field.get("schema") or {}
    primary = bool(schema.get("is_primary_key"))
    return ColumnSpec(
        name=field["field"],
        type=field["type"],
        nullable=schema.get("is_nullable") is not False and not primary,
        default=schema.get("default_value"),
        max_length=_number(schema.get("max_length"), "max_length"),
        precision=_number(schema.get("numeric_precision"), "numeric_precision"),
        scale=_number(schema.get("numeric_scale"), "numeric_scale"),
        auto_increment=bool(schema.get("has_auto_increment")),
        primary_key=primary,
        unique=bool(schema.get("is_unique")) and not primary,
        indexed=bool(schema.get("is_indexed")) and not primary,
    )


def altered_column(
    kind: str, schema: Mapping[str, Any], current: ColumnFacts, current_kind: str, current_default: Any
) -> ColumnSpec:
    """The whole definition of a column after a change: what ``schema`` leaves out stays as it is.

    A length stays only with the type: that of a text says nothing about a string.
    Raises :class:`InvalidPayload` for a type or length that cannot be.
    """
    _check_type(kind)
    length = schema.get("max_length", current.max_length if kind == current_kind else None)
    if length is None and kind == "string":
        length = LENGTH
    length = _number(length, "max_length")

    def fact(name: str, otherwise: Any) -> Any:
        value = schema.get(name)
        return otherwise if value is None else value

    return ColumnSpec(
        name=current.name,
        type=kind,
        nullable=bool(fact("is_nullable", current.is_nullable)),
        default=schema.get("default_value", current_default),
        max_length=length if length is None or length > 0 else None,
        precision=_number(fact("numeric_precision", current.numeric_precision or PRECISION), "numeric_precision"),
        scale=_number(fact("numeric_scale", _or(current.numeric_scale, SCALE)), "numeric_scale"),
        auto_increment=bool(current.has_auto_increment),
        primary_key=bool(current.is_primary_key),
        unique=bool(fact("is_unique", current.is_unique)) and not current.is_primary_key,
        indexed=bool(fact("is_indexed", current.is_indexed)) and not current.is_primary_key,
        unsigned=current.data_type.endswith(" unsigned"),
    )


def differs(kind: str, schema: Mapping[str, Any], current: Mapping[str, Any], current_kind: str) -> bool:
    """True when a change would alter the column: another type, or a fact that is not what it was."""
    return kind != current_kind or any(name in schema and schema[name] != current.get(name) for name in _FACTS)


def _check_type(kind: str) -> None:
    if kind not in TYPES:
        raise InvalidPayload(f'Illegal type passed: "{kind}"')


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _number(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidPayload(f'"{name}" has to be a number') from None
    if abs(number) > _MOST:
        raise InvalidPayload(f'"{name}" can be {_MOST} at most')
    return number


def column_error(connection: Connection, problem: Exception, collection: str, field: str) -> Exception:
    """What a failed change of a column means in the API's words, or the driver's exception itself (§2.4)."""
    found = connection.dialect.classify(problem)
    if found is None or found.kind not in _ERRORS:
        return problem
    error, text = _ERRORS[found.kind]
    where = {"collection": found.collection or collection, "field": found.field or field}
    extensions = {} if error is ContainsNullValues else {"value": found.value}
    return error(f'Field "{where["field"]}" in collection "{where["collection"]}" {text}.', **where, **extensions)
