"""What requests ask: method, scope, parameters (spec §1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tabulary.core import json
from tabulary.core.errors import InvalidPayload, InvalidQuery, TabularyError
from tabulary.server.request import ApiRequest

Scope = Literal["items", "system"]


class MethodNotAllowed(TabularyError):
    """GraphQL is asked by GET or POST, and what writes only by POST."""

    code, status = "METHOD_NOT_ALLOWED", 405
    allowed: ClassVar[tuple[str, ...]] = ("GET", "POST")

    def __init__(self, current: str, allowed: tuple[str, ...] = ("GET", "POST")) -> None:
        super().__init__(
            f"{current} is not allowed here; use {' or '.join(allowed)}.", allowed=allowed, current=current
        )
        self.headers = (("allow", ", ".join(allowed)),)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks: a document, the values of its variables, and which of its operations."""

    text: Any
    variables: Mapping[str, Any]
    name: str | None


def scope_of(request: ApiRequest) -> Scope:
    """Which of the two schemas is meant."""
    parts = request.scope["path"].removeprefix(request.scope.get("root_path", "")).lower().split("/")
    return "system" if len(parts) > 2 and parts[2] == "system" else "items"


def parameters_of(request: ApiRequest) -> Asked:
    """What a request asks.

    Raises :class:`InvalidPayload` without a document and :class:`InvalidQuery` for variables that are not JSON.
    """
    given: Mapping[str, Any]
    if request.method == "GET":
        given = dict(request.query_params)
        variables: Any = given.get("variables") or None
        if variables is not None:
            try:
                variables = json.decode(variables)
            except ValueError:
                raise InvalidQuery('"variables" is not valid JSON') from None
    else:
        given = request.payload if isinstance(request.payload, dict) else {}
        variables = given.get("variables")
    return asked_of(given, variables)


def asked_of(given: Mapping[str, Any], variables: Any) -> Asked:
    """The question in a body. Raises :class:`InvalidPayload`."""
    if not given.get("query"):
        raise InvalidPayload('"query" is required: the text of a GraphQL document')
    if variables is not None and not isinstance(variables, dict):
        raise InvalidPayload('"variables" has to be an object')
    name = given.get("operationName")
    return Asked(given["query"], variables or {}, name if isinstance(name, str) and name else None)
