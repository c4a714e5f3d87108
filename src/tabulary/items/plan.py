"""The plan of a read: query shape × schema × permissions as a tree of nodes, without SQL and without values.

A :class:`Node` is one collection at one place of the answer. Planning is pure; names that do not exist and names that
the caller may not see end here with the same :class:`Forbidden` (spec items-and-query §7.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from tabulary.items.conditions import Condition, Step, Target
from tabulary.items.query import Search
from tabulary.schema.overview import Collection, Field, Relation


@dataclass(frozen=True, slots=True)
class Order:
    target: Target
    descending: bool


@dataclass(frozen=True, slots=True)
class Plain:
    """A column in its wire format, or as ``text`` or a bare ``number`` (``form``)."""

    field: Field
    form: str = "value"


@dataclass(frozen=True, slots=True)
class Part:
    """``year(field)`` and its kin, or ``count(field)`` of a JSON list; ``whole``: as a number in any case."""

    field: Field
    function: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class JsonValue:
    """``json(field, path)``."""

    field: Field
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """``count(relation)``: the children that the caller may read."""

    child: Step
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A text that is the same in every item, or null."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Members of the same item as an object of their own."""

    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class ToOne:
    relation: Relation
    node: Node


@dataclass(frozen=True, slots=True)
class ToMany:
    """A list of children; ``keys``: bare primary keys instead of objects."""

    relation: Relation
    node: Node
    keys: bool


@dataclass(frozen=True, slots=True)
class ToAny:
    """The item of a M2A relation: one node a collection, each an object or (``keys``) a bare typed key."""

    relation: Relation
    nodes: tuple[tuple[str, Node, bool], ...]


Member = Plain | Part | JsonValue | Count | Word | Group | ToOne | ToMany | ToAny


@dataclass(frozen=True, slots=True)
class Output:
    """One member of the item: its key, what it is, and when it may be seen (``mask`` None = always)."""

    key: str
    member: Member
    mask: Condition | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``operation`` over a field, or over the rows (``target`` None)."""

    operation: str
    target: Target | None
    key: str


@dataclass(frozen=True, slots=True)
class Grouping:
    """An aggregation: group columns with their keys, aggregates, and an order by either."""

    groups: tuple[tuple[str, Target], ...]
    aggregates: tuple[Aggregate, ...]
    order: tuple[tuple[int | str, bool], ...] = ()
    """``(group index | aggregate position as "a<n>", descending)``."""
    complete: bool = False
    """Show ``countAll``, which REST keeps to itself."""


@dataclass(frozen=True, slots=True)
class Node:
    """One collection in the answer. ``rows`` is the caller's item rule, ``filter`` the query's condition."""

    collection: Collection
    outputs: tuple[Output, ...] = ()
    filter: Condition | None = None
    rows: Condition | None = None
    search: Search | None = None
    searchable: tuple[tuple[Field, Condition | None], ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    late_offset: bool = False
    grouping: Grouping | None = None
