"""Primary keys of requests: which can exist at all, and when two are the same (spec items-and-query §1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tabulary.core.errors import Forbidden
from tabulary.schema.overview import Collection

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BEYOND = 2**63
_INTEGER = re.compile(r"\s*[+-]?\d+(\.0*)?\s*")


def check_keys(collection: Collection, keys: Iterable[Any]) -> None:
    """Raise :class:`Forbidden`, as for a missing item, when a key cannot be one of this collection."""
    kind = collection.primary_field.type
    for key in keys:
        if not _possible(kind, key):
            raise Forbidden()


def key_text(collection: Collection, key: Any) -> str:
    """A key as text that is equal for equal keys: numbers and their text, upper and lower case UUIDs."""
    text = str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)
    return text.lower() if collection.primary_field.type == "uuid" else text


def _possible(kind: str, key: Any) -> bool:
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        return False
    if kind == "uuid":
        return isinstance(key, str) and _UUID.fullmatch(key) is not None
    if kind == "integer" and not _is_whole(key):
        return False
    return kind not in ("integer", "bigInteger") or not _is_whole(key) or _fits(key)


def _is_whole(key: str | int | float) -> bool:
    if isinstance(key, str):
        return _INTEGER.fullmatch(key) is not None
    return isinstance(key, int) or key.is_integer()


def _fits(key: str | int | float) -> bool:
    """False for numbers beyond 64 bits, which no database compares with its keys."""
    if isinstance(key, str):
        digits = key.strip().partition(".")[0]
        key = int(digits) if len(digits) < 100 else _BEYOND
    return -_BEYOND <= key < _BEYOND
