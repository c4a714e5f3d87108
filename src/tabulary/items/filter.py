"""Filters as a tree (spec items-and-query §4): parsed once, hashable, free of literal values.

A filter arrives as JSON. :func:`parse_filter` normalises it (§4.2), checks its values (§4.3) and returns a tree of
frozen nodes in which every literal is a :class:`Value` that points into a list of values beside the tree. Two filters
of the same shape are therefore equal, and one compiled plan serves both. Dynamic variables (``$CURRENT_USER`` …) stay
:class:`Variable` nodes and are bound when the plan runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabulary.core.errors import InvalidQuery

LIST_OPERATORS = frozenset({"_in", "_nin", "_between", "_nbetween"})
FLAG_OPERATORS = frozenset({"_null", "_nnull", "_empty", "_nempty"})
GEOMETRY_OPERATORS = frozenset({"_intersects", "_nintersects", "_intersects_bbox", "_nintersects_bbox"})
QUANTIFIERS = frozenset({"_some", "_none"})
MAX_FILTER_DEPTH = 60
"""Nesting beyond this is refused before it can exhaust the parser or the database's own."""


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: its place in the list of values that travels beside the tree."""

    index: int


@dataclass(frozen=True, slots=True)
class Null:
    """The literal null: part of the shape, because ``= NULL`` is another SQL than ``= value``."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A dynamic variable by its whole text, such as ``$CURRENT_USER.role.name`` or ``$NOW(-1 day)`` (§4.7).

    ``of_rule``: it stands in a stored rule, for which the system reads its value; a request's own variables are read
    with the rights of who asks.
    """

    text: str
    of_rule: bool = False


Operand = Value | Null | Variable


@dataclass(frozen=True, slots=True)
class Leaf:
    """``path`` (relation names, then the field or ``function(field)``) compared by ``operator``.

    ``operand`` is one operand, a tuple of them for list operators, or a bool for ``_null`` and its kin.
    """

    path: tuple[str, ...]
    operator: str
    operand: Operand | tuple[Operand, ...] | bool


@dataclass(frozen=True, slots=True)
class Quantified:
    """``{o2m: {_some | _none: filter}}``."""

    path: tuple[str, ...]
    quantifier: str
    filter: Filter


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Filter, ...]


Filter = Leaf | Quantified | And | Or
EMPTY = And(())
"""Matches everything."""


def parse_filter(raw: Any, values: list[Any], strict: bool = True) -> Filter:
    """The tree of a raw filter; its literals are appended to ``values``.

    Raises :class:`InvalidQuery` for what is not a filter or has a value that its operator does not take.
    """
    if raw is None:
        return EMPTY
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise InvalidQuery("The filter is not valid JSON") from None
    if not isinstance(raw, Mapping):
        raise InvalidQuery("The filter has to be an object")
    return _Parser(values, strict).condition(raw, ())


def leaves(tree: Filter) -> Iterator[Leaf]:
    """Every comparison of the tree, also those inside quantifiers."""
    stack: list[Filter] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            yield node
        elif isinstance(node, Quantified):
            stack.append(node.filter)
        else:
            stack.extend(reversed(node.children))


def variables(tree: Filter) -> Iterator[Variable]:
    """Every dynamic variable of the tree."""
    for leaf in leaves(tree):
        operands = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
        yield from (o for o in operands if isinstance(o, Variable))


_VARIABLE = re.compile(r"\$(NOW(\(.*\))?|CURRENT_(USER|ROLES|ROLE|POLICIES)(\.[^\s]+)?)", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None, "NULL": None}
_MAX_SAFE_INTEGER = 2**53 - 1
_CASELESS = frozenset({"_icontains", "_istarts_with", "_nistarts_with", "_iends_with", "_niends_with"})


def is_variable(value: Any) -> bool:
    """True for a string that as a whole is a dynamic variable."""
    return isinstance(value, str) and value.startswith("$") and _VARIABLE.fullmatch(value) is not None


class _Parser:
    """One pass from JSON to tree: splitting objects, hoisting logic over fields, parting values from shape.

    ``strict`` is off for stored rules and batch bodies, whose values nobody has checked (spec §2.1).
    """

    def __init__(self, values: list[Any], strict: bool = True) -> None:
        self.values = values
        self.strict = strict
        self.depth = 0

    def condition(self, raw: Mapping[str, Any], path: tuple[str, ...]) -> Filter:
        self.depth += 1
        if self.depth > MAX_FILTER_DEPTH:
            raise InvalidQuery(f"The filter is nested deeper than {MAX_FILTER_DEPTH} levels")
        found = [self._entry(str(key), value, path) for key, value in raw.items()]
        self.depth -= 1
        return conjunction(found)

    def _entry(self, key: str, value: Any, path: tuple[str, ...]) -> Filter:
        if key in ("_and", "_or"):
            return self._logical(key, value, path)
        if key in QUANTIFIERS and path:
            return Quantified(path, key, self._operand_object(key, value))
        if key.startswith("_") and (path or self.strict):
            if not path:
                raise InvalidQuery(f'"{key}" is not a logical operator; use "_and" or "_or"')
            return self._comparison(path, key, value)
        return self._field(key, value, path)

    def _logical(self, key: str, value: Any, path: tuple[str, ...]) -> Filter:
        if not isinstance(value, list):
            raise InvalidQuery(f'"{key}" has to be a list of filters')
        found = []
        for child in value:
            if isinstance(child, Mapping):
                found.append(self.condition(child, path))
            elif path:
                found.append(self._comparison(path, "_eq", child))
            else:
                raise InvalidQuery(f'"{key}" has to be a list of filters')
        if key == "_and":
            return conjunction(found)
        if not found or EMPTY in found:
            return EMPTY
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _operand_object(self, key: str, value: Any) -> Filter:
        if not isinstance(value, Mapping):
            raise InvalidQuery(f'"{key}" has to be a filter')
        return self.condition(value, ())

    def _field(self, key: str, value: Any, path: tuple[str, ...]) -> Filter:
        here = (*path, key)
        if isinstance(value, list):
            value = {str(i): v for i, v in enumerate(value)}
        if isinstance(value, Mapping):
            return self.condition(value, here)
        if value is None:
            raise InvalidQuery(f'The filter of "{key}" has to be an object; test for null with "_null"')
        return self._comparison(here, "_eq", value)

    def _comparison(self, path: tuple[str, ...], operator: str, raw: Any) -> Filter:
        if operator in FLAG_OPERATORS:
            return Leaf(path, operator, self._flag(operator, raw))
        if operator in LIST_OPERATORS:
            operands = self._list(operator, raw)
            if operator in ("_between", "_nbetween") and len(operands) != 2 and not self._expands(operands):
                return EMPTY
            return Leaf(path, operator, operands)
        if operator in GEOMETRY_OPERATORS:
            return Leaf(path, operator, self._geometry(operator, raw))
        return Leaf(path, operator, self._scalar(operator, raw))

    @staticmethod
    def _expands(operands: tuple[Operand, ...]) -> bool:
        return any(isinstance(o, Variable) for o in operands)

    def _flag(self, operator: str, raw: Any) -> bool:
        value = _WORDS.get(raw, raw) if isinstance(raw, str) else raw
        if self.strict and not (value is None or value == "" or isinstance(value, bool)):
            raise InvalidQuery(f'"{operator}" takes true or false')
        return value is not False

    def _list(self, operator: str, raw: Any) -> tuple[Operand, ...]:
        if isinstance(raw, str) and not is_variable(raw):
            raw = raw.split(",")
        elif isinstance(raw, Mapping):
            raw = list(raw.values())
        elif not isinstance(raw, list):
            raw = [raw]
        if self.strict and not raw:
            raise InvalidQuery(f'"{operator}" takes a list with at least one value')
        return tuple(self._operand(operator, v) for v in raw)

    def _scalar(self, operator: str, raw: Any) -> Operand:
        if self.strict:
            if isinstance(raw, list | Mapping):
                raise InvalidQuery(f'"{operator}" takes a single value')
            if raw == "":
                raise InvalidQuery(f'"{operator}" can\'t compare with an empty text; use "_empty"')
            if operator in _CASELESS and not isinstance(raw, str):
                raise InvalidQuery(f'"{operator}" takes a text')
        return self._operand(operator, raw)

    def _operand(self, operator: str, raw: Any) -> Operand:
        if isinstance(raw, str):
            if is_variable(raw):
                return Variable(raw)
            raw = _WORDS.get(raw, raw)
        if raw is None:
            return Null()
        if self.strict:
            if isinstance(raw, list | Mapping):
                raise InvalidQuery(f'"{operator}" takes plain values')
            if isinstance(raw, int) and abs(raw) > _MAX_SAFE_INTEGER:
                raise InvalidQuery(f'"{operator}" got a number that JSON can\'t carry exactly; send it as a text')
        if isinstance(raw, str) and "\x00" in raw:
            raise InvalidQuery("A filter value can't contain the character NUL")
        self.values.append(raw)
        return Value(len(self.values) - 1)

    def _geometry(self, operator: str, raw: Any) -> Operand:
        if isinstance(raw, str) and raw:
            try:
                raw = json.loads(raw)
            except ValueError:
                raise InvalidQuery(f'"{operator}" takes a GeoJSON object') from None
        if not raw:
            return Null()
        if not isinstance(raw, Mapping):
            raise InvalidQuery(f'"{operator}" takes a GeoJSON object')
        self.values.append(raw)
        return Value(len(self.values) - 1)


def conjunction(children: list[Filter]) -> Filter:
    """All of them, flat and without empty ones."""
    flat: list[Filter] = []
    for child in children:
        flat.extend(child.children if isinstance(child, And) else (child,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def parse_rule(raw: Any, values: list[Any]) -> Filter:
    """A stored rule (permission, validation): like :func:`parse_filter`, but its values are taken as they are."""
    if not isinstance(raw, Mapping):
        return EMPTY
    return _Parser(values, strict=False).condition(raw, ())
