"""Bodies of SEARCH and of PATCH and DELETE on whole collections (spec items-and-query §2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tabulary.core.errors import InvalidPayload, InvalidQuery


@dataclass(frozen=True, slots=True)
class Batch:
    """A checked body: for ``update`` and ``delete`` exactly one of ``keys`` and ``query`` is set."""

    keys: list[Any] | None = None
    query: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


def read_batch(body: Any, action: Literal["read", "update", "delete"]) -> Batch:
    """The members of a batch body.

    Raises :class:`InvalidPayload` for the first rule it breaks, :class:`InvalidQuery` for a list in place of a query
    to read by.
    """
    if not isinstance(body, dict):
        raise InvalidPayload('"value" must be of type object')
    keys, query, data = body.get("keys"), body.get("query"), body.get("data")
    if action == "read" and isinstance(query, list):
        raise InvalidQuery('"query" must be of type object')
    if "query" in body and not isinstance(query, dict):
        raise InvalidPayload('"query" must be of type object')
    if "keys" in body:
        _check_keys(keys)
    if action == "update":
        if "data" not in body:
            raise InvalidPayload('"data" is required')
        if not isinstance(data, dict):
            raise InvalidPayload('"data" must be of type object')
    for name in body:
        if name not in ("keys", "query") and not (name == "data" and action == "update"):
            raise InvalidPayload(f'"{name}" is not allowed')
    if action != "read":
        if keys is None and query is None:
            raise InvalidPayload('"value" must contain at least one of [query, keys]')
        if keys is not None and query is not None:
            raise InvalidPayload('"value" contains a conflict between exclusive peers [query, keys]')
    return Batch(keys, query, data)


def _check_keys(keys: Any) -> None:
    if not isinstance(keys, list):
        raise InvalidPayload('"keys" must be an array')
    for index, key in enumerate(keys):
        if isinstance(key, bool) or not isinstance(key, str | int | float):
            raise InvalidPayload(f'"keys[{index}]" must be one of [string, number]')
