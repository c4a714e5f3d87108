"""Documents: parsed and validated once for each schema, then remembered (spec §1.2, §1.13)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import NoSchemaIntrospectionCustomRule, OverlappingFieldsCanBeMergedRule

from tabulary.core.errors import TabularyError
from tabulary.core.settings import Settings
from tabulary.server.graphql.schema import LazySchema

_KEPT: Final = 500
_LONGEST_KEPT: Final = 16_384
_MAX_LENGTH: Final = 1_000_000


class InvalidDocument(TabularyError):
    """The document does not fit the grammar or the schema; ``errors`` says where (spec §1.13)."""

    code, status = "GRAPHQL_VALIDATION", 400

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("GraphQL validation error.", errors=[_described(error) for error in errors])


def _described(error: GraphQLError) -> dict[str, Any]:
    found: dict[str, Any] = {"message": error.message}
    if error.locations:
        found["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    return found


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document."""

    operations: Mapping[str | None, OperationDefinitionNode]
    fragments: Mapping[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation with this name; without a name, the only one."""
        if name:
            return self.operations.get(name)
        return next(iter(self.operations.values())) if len(self.operations) == 1 else None

    @property
    def kinds(self) -> frozenset[OperationType]:
        return frozenset(operation.operation for operation in self.operations.values())


class Documents:
    """The documents of all schemas. A document is known by its text, for one schema."""

    def __init__(self, settings: Settings) -> None:
        self._limit = int(settings["GRAPHQL_QUERY_TOKEN_LIMIT"] or 0) or None
        # Conflicts between fields are found while their selections are collected, see selection.py.
        rules = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
        if settings["GRAPHQL_INTROSPECTION"] is False:
            rules.append(NoSchemaIntrospectionCustomRule)
        self._rules = rules
        self._kept: OrderedDict[tuple[int, str], tuple[LazySchema, Document]] = OrderedDict()

    def get(self, schema: LazySchema, text: Any) -> Document:
        """The document of a text. Raises :class:`InvalidDocument`."""
        if not isinstance(text, str):
            raise InvalidDocument([GraphQLError("The query has to be a text.")])
        key = (id(schema), text)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is schema:
            self._kept.move_to_end(key)
            return kept[1]
        document = self._made(schema, text)
        if len(text) <= _LONGEST_KEPT:
            self._kept[key] = schema, document
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return document

    def _made(self, schema: LazySchema, text: str) -> Document:
        try:
            tree = parse(
                text,
                max_lexical_tokens=self._limit,
                max_comments=self._limit,
                max_source_length=_MAX_LENGTH,
                allow_empty_selection_sets=False,
            )
        except GraphQLError as problem:
            raise InvalidDocument([problem]) from None
        errors = validate(schema, tree, self._rules, allow_empty_selection_sets=False)
        if errors:
            raise InvalidDocument(errors)
        return _document(tree)


def _document(tree: DocumentNode) -> Document:
    operations: dict[str | None, OperationDefinitionNode] = {}
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in tree.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations[definition.name.value if definition.name else None] = definition
        elif isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
    return Document(operations, fragments)
