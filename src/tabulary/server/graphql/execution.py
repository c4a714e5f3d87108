"""Operations: from a valid document and its variables to the text of the answer (spec §1.7, §1.9, §1.13).

Each root field is a :class:`Step`; a query's steps are remembered by document and variables, so that a known request
is a look-up. Queries and mutations run field by field; an error nulls its field, or the whole answer where null may
not be.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
)
from graphql.execution.values import get_variable_values

from tabulary.core import json
from tabulary.core.errors import ErrorGroup, TabularyError
from tabulary.core.settings import Settings
from tabulary.items.query import Query
from tabulary.items.selection import fields_of
from tabulary.server.graphql.calls import Calls
from tabulary.server.graphql.documents import Document, InvalidDocument
from tabulary.server.graphql.introspection import ROOTS, Describer
from tabulary.server.graphql.reading import Picks
from tabulary.server.graphql.roots import CALL, Call
from tabulary.server.graphql.schema import LazySchema
from tabulary.server.graphql.selection import TYPENAME, Conflict, Nodes, Selector

logger = logging.getLogger("tabulary.server")

_KEPT: Final = 1_000
_LONGEST_KEPT: Final = 4_096


class BadRequest(Exception):
    """What stops an operation before it begins: variables that do not fit, an operation that is not there."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass
class Step:
    """One root field, ready to run: what to do, with which arguments, and the shape of the result.

    Fields about the schema itself have a :class:`Describer` for their ``call``.
    """

    key: str
    nodes: Nodes
    definition: GraphQLField | None
    call: Any
    arguments: Mapping[str, Any]
    picks: Picks
    raw: Mapping[str, Any]
    text: str | None = None
    """The result, where it is known already."""
    _query: Query | None = field(default=None, init=False)

    @property
    def is_nullable(self) -> bool:
        return self.definition is None or not isinstance(self.definition.type, GraphQLNonNull)

    def query(self, settings: Settings) -> Query:
        """The query of the service. Raises :class:`InvalidQuery`."""
        if self._query is None:
            self._query = Query.parse(self.raw, settings)
        return self._query


class Operations:
    """Prepares operations and remembers the steps of queries."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, tuple[Document, list[Step]]] = OrderedDict()

    def steps(
        self, schema: LazySchema, document: Document, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> list[Step]:
        """The steps of an operation.

        Raises :class:`InvalidDocument` for conflicting fields and :class:`BadRequest` for variables that do not fit.
        """
        key = None
        if operation.operation is OperationType.QUERY:
            given = json.encode(variables) if variables else b""
            key = (id(document), id(operation), given) if len(given) <= _LONGEST_KEPT else None
        kept = self._kept.get(key) if key else None
        if kept is not None and kept[0] is document:
            self._kept.move_to_end(key)
            return kept[1]
        steps = _steps(schema, document, operation, variables)
        if key:
            self._kept[key] = document, steps
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return steps


def _steps(
    schema: LazySchema, document: Document, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> list[Step]:
    values = get_variable_values(schema, operation.variable_definitions or (), dict(variables), max_errors=50)
    if isinstance(values, list):
        raise BadRequest(values)
    root = schema.get_root_type(operation.operation)
    assert root is not None
    selector = Selector(document.fragments, values)
    try:
        found = selector.collect(root, [operation.selection_set])
        return [_step(schema, root, key, nodes, selector) for key, nodes in found.items()]
    except Conflict as problem:
        raise InvalidDocument([problem]) from None
    except GraphQLError as problem:
        raise BadRequest([problem]) from None


def _step(schema: LazySchema, root: GraphQLObjectType, key: str, nodes: Nodes, selector: Selector) -> Step:
    name = nodes[0].name.value
    if name == TYPENAME:
        return Step(key, nodes, None, None, {}, (), {}, text=f'"{root.name}"')
    if name in ROOTS:
        return Step(key, nodes, None, Describer(schema, selector), {}, (), {})
    definition = root.fields[name]
    arguments = selector.arguments(definition, nodes[0])
    raw: dict[str, Any] = {}
    picks: Picks = ()
    result = get_named_type(definition.type)
    call = definition.extensions.get(CALL)
    if isinstance(result, GraphQLObjectType):
        picks = tuple(selector.picks(result, [node.selection_set for node in nodes], raw, True))
    if isinstance(call, Call) and call.collection:
        raw |= _query_of(call, arguments, picks)
    return Step(key, nodes, definition, call, arguments, picks, raw)


_PARAMETERS: Final = ("filter", "sort", "limit", "offset", "page", "search", "version", "groupBy")


def _query_of(call: Call, arguments: Mapping[str, Any], picks: Picks) -> dict[str, Any]:
    """The raw query of a root field: its arguments and, by name, what was selected."""
    found = {name: arguments[name] for name in _PARAMETERS if arguments.get(name) is not None}
    if call.verb == "aggregate":
        found["aggregate"] = _aggregates(picks)
    elif call.verb != "mutated":  # whose item is one level deeper, see watching.py
        found["fields"] = list(fields_of(picks))
    if call.verb == "version":
        found["versionRaw"] = True
    return found


def _aggregates(picks: Picks) -> dict[str, list[str]]:
    """The functions that were selected, with their fields."""
    found: dict[str, list[str]] = {}
    for pick in picks:
        if pick.form == "related":
            found.setdefault(pick.name, []).extend(p.name for p in pick.picks if p.form != "word")
        elif pick.form != "word" and pick.name != "group":
            found[pick.name] = ["*"]
    return found


# --- running ------------------------------------------------------------------------------------
async def run(steps: list[Step], calls: Calls) -> bytes:
    """Run the steps one after the other; the text of the answer."""
    data: list[str] = []
    errors: list[dict[str, Any]] = []
    for step in steps:
        try:
            text = await _result(step, calls)
        except Exception as problem:
            errors.append(described(problem, step, calls.is_admin))
            if not step.is_nullable:
                return b'{"errors":%b}' % json.encode(errors)
            text = "null"
        data.append(f'"{step.key}":{text}')
    body = f'"data":{{{",".join(data)}}}'
    if errors:
        body += f',"errors":{json.encode(errors).decode()}'
    return f"{{{body}}}".encode()


async def _result(step: Step, calls: Calls) -> str:
    if step.text is None and isinstance(step.call, Describer):
        describe = step.call.root
        # not in the event loop: a large schema takes a while; the steps are kept, so it is described once
        step.text = await asyncio.to_thread(describe, step.nodes)
        step.call = None
    return step.text if step.text is not None else await calls.run(step)


def described(problem: Exception, step: Step | None, is_admin: bool) -> dict[str, Any]:
    """An error of a root field as the answer shows it. What is unexpected is told to admins only."""
    if isinstance(problem, ErrorGroup):
        problem = problem.errors[0]
    if isinstance(problem, TabularyError):
        found = problem.as_dict()
    else:
        logger.error("unexpected error", exc_info=problem)
        code = {"code": TabularyError.code}
        if not is_admin:
            return {"message": "An unexpected error occurred.", "extensions": code}
        found = {"message": str(problem) or type(problem).__name__, "extensions": code}
    if step is not None:
        places = [node.loc for node in step.nodes[:1] if node.loc]
        starts = [place.source.get_location(place.start) for place in places]
        found["locations"] = [{"line": start.line, "column": start.column} for start in starts]
        found["path"] = [step.key]
    return found


def refused(problem: BadRequest) -> bytes:
    """The answer to an operation that did not begin: 200 without data (spec §1.13)."""
    errors = []
    for error in problem.errors:
        entry: dict[str, Any] = {"message": error.message, "extensions": {"code": TabularyError.code}}
        if error.locations:
            entry["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
        errors.append(entry)
    return json.encode({"errors": errors})
