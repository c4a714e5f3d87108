"""Two worlds that differ only in what somebody may not see, and the model that says what that is.

The model knows rows, rules and to-many fields and nothing of SQL. A :class:`World` is all rows of all tables. Its
:meth:`World.view` is everything that a caller may learn; :func:`twin` changes hidden rows and values as long as the
view stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..items.logic import Verdict, conjoin, disjoin, leaf

Row = dict[str, Any]
Rule = dict[str, Any]

READER = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER = "bbbbbbbb-0000-4000-8000-000000000002"
ROLE = "cccccccc-0000-4000-8000-000000000003"
POLICIES = ("dddddddd-0000-4000-8000-000000000004", "eeeeeeee-0000-4000-8000-000000000005")
USERS = "directus_users"

COLUMNS: dict[str, dict[str, str]] = {
    "authors": {"name": "string", "rank": "integer", "owner": "string", "note": "string"},
    "books": {
        "title": "string",
        "pages": "integer",
        "published": "date",
        "facts": "json",
        "owner": "string",
        "note": "string",
        "author": "integer",
    },
    "reviews": {"stars": "integer", "body": "text", "owner": "string", "book": "integer"},
    "genres": {"name": "string", "owner": "string"},
    "books_genres": {"books_id": "integer", "genres_id": "integer"},
    "pages": {"name": "string", "owner": "string"},
    "blocks": {"page": "integer", "collection": "string", "item": "string", "owner": "string"},
    USERS: {"title": "string", "location": "string", "description": "text"},
}
"""Columns beside the key ``id``; of users those that the worlds play with."""

MANY_TO_ONE = {
    ("books", "author"): "authors",
    ("reviews", "book"): "books",
    ("books_genres", "books_id"): "books",
    ("books_genres", "genres_id"): "genres",
    ("blocks", "page"): "pages",
}
ONE_TO_MANY = {
    ("authors", "books"): ("books", "author"),
    ("books", "reviews"): ("reviews", "book"),
    ("books", "genres"): ("books_genres", "books_id"),
    ("pages", "blocks"): ("blocks", "page"),
}
ANY = {("blocks", "item"): ("genres", "books")}

WORDS = ("ant", "bee", "cat", "dog", "elk")
DATES = ("2001-02-03", "2015-06-07", "2020-11-12")


def fields_of(collection: str) -> list[str]:
    """All fields, with key and to-many fields."""
    many = [field for owner, field in ONE_TO_MANY if owner == collection]
    return ["id", *COLUMNS[collection], *many]


@dataclass(frozen=True)
class Grant:
    """A permission to read: fields (``*`` = all) and a rule (None = every item), of one of :data:`POLICIES`."""

    collection: str
    fields: tuple[str, ...]
    rule: Rule | None
    policy: str

    def names(self, field: str) -> bool:
        return "*" in self.fields or field in self.fields


@dataclass
class World:
    """Rows by collection and key."""

    tables: dict[str, dict[Any, Row]]

    @property
    def reader(self) -> Row:
        return self.tables[USERS][READER]

    def view(self, grants: Iterable[Grant]) -> dict[tuple[str, Any], Row]:
        """What the reader may learn: the visible items with their visible fields, to-many fields as keys."""
        granted = list(grants)
        matching = {
            (name, key): [g for g in granted if g.collection == name and self.holds(g.rule, name, row) is True]
            for name, rows in self.tables.items()
            for key, row in rows.items()
        }
        visible = {place: found for place, found in matching.items() if found}
        return {
            (name, key): {
                field: self._seen(name, key, field, visible)
                for field in fields_of(name)
                if any(grant.names(field) for grant in found)
            }
            for (name, key), found in visible.items()
        }

    def _seen(self, name: str, key: Any, field: str, visible: dict[tuple[str, Any], list[Grant]]) -> Any:
        """A to-many field is granted by itself, whatever the children's own fields are; M2A with where it leads."""
        row = self.tables[name][key]
        if (name, field) in ANY:
            return row["collection"], row[field]
        if (name, field) not in ONE_TO_MANY:
            return row[field]
        many, link = ONE_TO_MANY[name, field]
        return [child for child, row in self.tables[many].items() if row[link] == key and (many, child) in visible]

    # --- rules ------------------------------------------------------------------------------
    def holds(self, rule: Rule | None, name: str, row: Row) -> Verdict:
        """Whether an item satisfies a rule; rules see everything."""
        return conjoin([self._entry(key, value, name, row) for key, value in (rule or {}).items()])

    def _entry(self, key: str, value: Any, name: str, row: Row) -> Verdict:
        if key in ("_and", "_or"):
            verdicts = [self.holds(child, name, row) for child in value]
            return conjoin(verdicts) if key == "_and" else disjoin(verdicts)
        if (name, key) in ONE_TO_MANY:
            many, link = ONE_TO_MANY[name, key]
            ((quantifier, inner),) = value.items()
            children = [child for child in self.tables[many].values() if child[link] == row["id"]]
            return any(self.holds(inner, many, child) is True for child in children) is (quantifier == "_some")
        ((operator, operand),) = value.items()
        if operator in ("_and", "_or") or not operator.startswith("_"):
            target = MANY_TO_ONE[name, key]
            nothing = dict.fromkeys(fields_of(target))
            return self.holds(value, target, self.tables[target].get(row[key], nothing))
        return leaf(row[key], operator, self._operand(operand))

    def _operand(self, operand: Any) -> Any:
        if operand == "$CURRENT_USER":
            return READER
        if isinstance(operand, str) and operand.startswith("$CURRENT_USER."):
            return self.reader[operand.partition(".")[2]]
        return operand

    # --- changes ----------------------------------------------------------------------------
    def sound(self) -> bool:
        """Every foreign key leads somewhere (or nowhere)."""
        return all(
            row[field] is None or row[field] in self.tables[target]
            for (name, field), target in MANY_TO_ONE.items()
            for row in self.tables[name].values()
        )


@dataclass(frozen=True)
class Change:
    """``data`` None removes an item; otherwise these values are set, in a new item when there is none."""

    collection: str
    key: Any
    data: Row | None


def twin(world: World, changes: Iterable[Change], grants: Iterable[Grant]) -> World:
    """A copy with those of the changes that the reader has no right to notice."""
    granted = list(grants)
    expected, here = world.view(granted), world
    for change in changes:
        changed = _changed(here, change)
        if changed.sound() and changed.view(granted) == expected:
            here = changed
    return here


def _changed(world: World, change: Change) -> World:
    tables = {**world.tables, change.collection: deepcopy(world.tables[change.collection])}
    rows = tables[change.collection]
    if change.data is None:
        rows.pop(change.key, None)
    elif change.key in rows:
        rows[change.key] |= change.data
    else:
        rows[change.key] = {"id": change.key} | dict.fromkeys(COLUMNS[change.collection]) | change.data
    return World(tables)


def in_order() -> Iterator[str]:
    """Collections in the order in which rows can be inserted."""
    yield from ("authors", "books", "reviews", "genres", "books_genres", "pages", "blocks")
