"""What the bodies of ``/fields`` and ``/relations`` may look like (spec schema-and-platform §2.4, §2.5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tabulary.core.errors import InvalidPayload
from tabulary.schema.types import FIELD_TYPES

LONGEST_NAME = 63
"""PostgreSQL cuts longer names, MariaDB refuses those beyond 64."""
RULES = ("NO ACTION", "SET NULL", "SET DEFAULT", "CASCADE", "RESTRICT")


def check_field(body: Any, *, new: bool, named: bool = False) -> dict[str, Any]:
    """The body of a field: ``new`` ones may have no unknown members; these and ``named`` ones need a name.

    Raises :class:`InvalidPayload`.
    """
    members = ("collection", "field", "type", "schema", "meta")
    _check_members(body, members if new else None)
    _text(body, "collection")
    _text(body, "field", required=new or named)
    kind = body.get("type")
    if kind is not None and (not isinstance(kind, str) or kind not in FIELD_TYPES):
        raise InvalidPayload(f'"type" must be one of {", ".join(sorted(FIELD_TYPES))}, or null')
    schema = _optional_object(body, "schema")
    if not isinstance(schema.get("max_length"), str | int | float | None) or isinstance(schema.get("max_length"), bool):
        raise InvalidPayload('"schema.max_length" must be a number, a string or null')
    if "is_nullable" in schema and not isinstance(schema["is_nullable"], bool):
        raise InvalidPayload('"schema.is_nullable" must be a boolean')
    _optional_object(body, "meta")
    return dict(body)


def check_name(name: str) -> None:
    """The name of a new table or column. Raises :class:`InvalidPayload` for one that not every database keeps."""
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name):
        raise InvalidPayload("A name can't contain control characters")
    if len(name.encode()) > LONGEST_NAME:
        raise InvalidPayload(f'The name "{name[:40]}…" is too long: {LONGEST_NAME} bytes at most')


def check_new_fields(fields: Sequence[Mapping[str, Any]]) -> None:
    """Fields that are to be columns of one new table. Raises :class:`InvalidPayload`."""
    known: set[str] = set()
    for field in fields:
        check_name(field["field"])
        if field["field"] in known:
            raise InvalidPayload(f'Field "{field["field"]}" is there twice')
        known.add(field["field"])
        _optional_object(field, "schema")
        _optional_object(field, "meta")


def check_relation(body: Any, *, new: bool) -> dict[str, Any]:
    """The body of a relation; ``new`` ones need their many side. Raises :class:`InvalidPayload`."""
    _check_members(body, ("collection", "field", "related_collection", "schema", "meta"))
    _text(body, "collection", required=new)
    _text(body, "field", required=new)
    if body.get("related_collection") is not None:
        _text(body, "related_collection")
    schema = _optional_object(body, "schema")
    if "on_delete" in schema and schema["on_delete"] not in RULES:
        raise InvalidPayload(f'"schema.on_delete" must be one of {", ".join(RULES)}')
    return dict(body)


def _check_members(body: Any, names: Collection[str] | None) -> None:
    if not isinstance(body, dict):
        raise InvalidPayload('"value" must be of type object')
    for name in body:
        if names is not None and name not in names:
            raise InvalidPayload(f'"{name}" is not allowed')


def _optional_object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise InvalidPayload(f'"{name}" must be of type object')
    return value or {}


def _text(body: Mapping[str, Any], name: str, *, required: bool = False) -> None:
    if name not in body:
        if required:
            raise InvalidPayload(f'"{name}" is required')
    elif not isinstance(body[name], str) or not body[name]:
        raise InvalidPayload(f'"{name}" must be a non-empty string')
