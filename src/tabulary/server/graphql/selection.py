"""From a GraphQL selection to what the read engine takes (spec §1.9).

One pass over the syntax tree collects fields by response key, follows fragments, honours ``@skip`` and ``@include``,
merges what may be merged and refuses what may not, and gives two things: the picks (the answer's shape) and the raw
query that goes with them (aliases, nested arguments). Collecting by key makes the check for conflicts linear, where
the rule of graphql-core compares all pairs; the number of picks bounds what nested fragments can blow up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSkipDirective,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    print_ast,
)
from graphql.execution.values import VariableValues, get_argument_values, get_directive_values

from tabulary.items.selection import Pick
from tabulary.server.graphql.scalars import FORMS, FUNCTION_OBJECTS
from tabulary.server.graphql.types import BY, COLLECTION

MAX_PICKS: Final = 5_000
"""Members that one operation may choose, fragments unfolded: as many as ``fields`` of REST may name."""
TYPENAME: Final = "__typename"
_FUNCTIONS: Final = frozenset(id(kind) for kind in FUNCTION_OBJECTS.values())

Nodes = list[FieldNode]
Raw = dict[str, Any]


class Conflict(GraphQLError):
    """A selection that cannot be served as written: a validation error found while collecting."""


@dataclass
class Selector:
    """Reads the selections of one operation with the values of its variables."""

    fragments: Mapping[str, FragmentDefinitionNode]
    variables: VariableValues
    picked: int = field(default=0, init=False)

    # --- collecting -------------------------------------------------------------------------
    def collect(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> dict[str, Nodes]:
        """The fields chosen of a type by response key, fragments unfolded. Raises :class:`Conflict`."""
        found: dict[str, Nodes] = {}
        seen: set[str] = set()
        for selection_set in sets:
            if selection_set is not None:
                self._collect(kind, selection_set, found, seen)
        for key, nodes in found.items():
            if len(nodes) > 1:
                _check_same(key, nodes)
        return found

    def _collect(
        self, kind: GraphQLObjectType, selection_set: SelectionSetNode, found: dict[str, Nodes], seen: set[str]
    ) -> None:
        for node in selection_set.selections:
            if node.directives and not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                self._count(node)
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or node.type_condition.name.value == kind.name or self._abstract(node):
                    self._collect(kind, node.selection_set, found, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if fragment.type_condition.name.value == kind.name or self._abstract(fragment):
                    self._collect(kind, fragment.selection_set, found, seen)

    @staticmethod
    def _abstract(node: InlineFragmentNode | FragmentDefinitionNode) -> bool:
        """Validation has made sure that a fragment on a union is spread where the type belongs to it."""
        condition = node.type_condition
        return condition is not None and condition.name.value.endswith("_union")

    def _is_included(self, node: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        if skip and skip["if"] is True:
            return False
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not include or include["if"] is not False

    def _count(self, node: FieldNode) -> None:
        self.picked += 1
        if self.picked > MAX_PICKS:
            raise Conflict(
                f"The operation selects more than {MAX_PICKS} fields, counted with fragments unfolded.", node
            )

    # --- picking ----------------------------------------------------------------------------
    def picks(
        self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode | None], raw: Raw, root: bool
    ) -> list[Pick]:
        """What is chosen of an object; ``raw`` receives the aliases and nested arguments that belong to it."""
        found = self.collect(kind, sets)
        return [self._pick(kind, key, nodes, raw, root) for key, nodes in found.items()]

    def _pick(self, kind: GraphQLObjectType, key: str, nodes: Nodes, raw: Raw, root: bool) -> Pick:
        name = nodes[0].name.value
        if name == TYPENAME:
            return Pick(key, kind.name, "word")
        definition = kind.fields[name]
        result = get_named_type(definition.type)
        sets = [node.selection_set for node in nodes]
        if isinstance(result, GraphQLUnionType):
            return self._union_pick(key, name, result, sets, raw, root)
        if not isinstance(result, GraphQLObjectType):
            return Pick(key, name, FORMS.get(result.name, "value"))  # type: ignore[arg-type]
        if id(result) in _FUNCTIONS and COLLECTION in kind.extensions:
            return Pick(key, name.removesuffix("_func"), "parts", tuple(self.picks(result, sets, {}, False)))
        below: Raw = {}
        if COLLECTION in result.extensions:
            below = self._arguments(definition, nodes[0])
            if key != name:
                raw.setdefault("alias" if root else "_alias", {})[key] = name
        picks = tuple(self.picks(result, sets, below, False))
        if below:
            _deep(raw, root)[key] = below
        return Pick(key, name, "related", picks)

    def _union_pick(
        self, key: str, name: str, union: GraphQLUnionType, sets: list[SelectionSetNode | None], raw: Raw, root: bool
    ) -> Pick:
        scopes = []
        kinds: dict[str, str] = {}
        for member in union.types:
            below: Raw = {}
            picks = tuple(self.picks(member, sets, below, False))
            for pick in picks:
                _check_kind(pick, member, kinds)
            if below:
                _deep(raw, root)[f"{key}:{member.extensions[COLLECTION]}"] = below
            scopes.append((member.extensions[COLLECTION], picks))
        if key != name:
            raw.setdefault("alias" if root else "_alias", {})[key] = name
        return Pick(key, name, "any", scopes=tuple(scopes), by=str(union.extensions[BY]))

    def _arguments(self, definition: GraphQLField, node: FieldNode) -> Raw:
        given = self.arguments(definition, node)
        return {f"_{name}": value for name, value in given.items() if value is not None}

    def arguments(self, definition: GraphQLField, node: FieldNode) -> Raw:
        """The coerced arguments of a field."""
        if not node.arguments and not any(a.default for a in definition.args.values()):
            return {}
        return get_argument_values(definition, node, self.variables)


def _deep(raw: Raw, root: bool) -> Raw:
    """Where the nested arguments of relations go."""
    below: Raw = raw.setdefault("deep", {}) if root else raw
    return below


def _check_same(key: str, nodes: Nodes) -> None:
    """Fields with one response key have to be the same field with the same arguments."""
    first = nodes[0]
    arguments = _printed(first)
    for node in nodes[1:]:
        if node.name.value != first.name.value or _printed(node) != arguments:
            raise Conflict(
                f"Fields '{key}' conflict because they are different fields or have different arguments."
                " Use different aliases on the fields to fetch both if this was intentional.",
                [first, node],
            )


def _printed(node: FieldNode) -> list[str]:
    return sorted(print_ast(argument) for argument in node.arguments or ())


def _check_kind(pick: Pick, member: GraphQLObjectType, kinds: dict[str, str]) -> None:
    """Members of different union types may share a response key only when their values look the same."""
    kind = "String!" if pick.form == "word" else str(_leaf_of(pick, member))
    if kinds.setdefault(pick.key, kind) != kind:
        raise Conflict(f"Fields '{pick.key}' conflict because they return conflicting types; use different aliases.")


def _leaf_of(pick: Pick, member: GraphQLObjectType) -> Any:
    name = f"{pick.name}_func" if pick.form == "parts" else pick.name
    kind = member.fields[name].type
    return kind if pick.form in ("value", "text", "number") else "an object"
