"""Generated worlds, permissions, changes and queries (see :mod:`worlds`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from hypothesis import strategies as st

from .worlds import (
    ANY,
    COLUMNS,
    DATES,
    MANY_TO_ONE,
    ONE_TO_MANY,
    OTHER,
    POLICIES,
    READER,
    USERS,
    WORDS,
    Change,
    Grant,
    Row,
    Rule,
    World,
    fields_of,
)

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]
SIZES = {"authors": 3, "books": 5, "reviews": 6, "genres": 3, "books_genres": 6, "pages": 2, "blocks": 5}
FUNCTIONS = {"date": ("year", "month", "day", "weekday"), "json": ("count",)}


def _one(draw: Draw, choices: Sequence[T]) -> T:
    found: T = draw(st.sampled_from(choices))
    return found


def _chance(draw: Draw, in_ten: int) -> bool:
    return bool(draw(st.integers(0, 9)) < in_ten)


# --- rows ---------------------------------------------------------------------------------------------
def _value(draw: Draw, collection: str, field: str) -> Any:
    if field == "owner":
        return _one(draw, (READER, OTHER))
    if (collection, field) in MANY_TO_ONE:
        return _one(draw, (None, *range(1, SIZES[MANY_TO_ONE[collection, field]] + 1)))
    if field == "collection":
        return _one(draw, ("genres", "books"))
    if field == "item":
        return _one(draw, (None, "1", "2", "3", "99"))
    match COLUMNS[collection][field]:
        case "integer":
            return _one(draw, (None, 0, 1, 2, 3))
        case "date":
            return _one(draw, (None, *DATES))
        case "json":
            return _one(draw, (None, [], [1, 2], {"a": "ant", "b": [1]}, {"a": 3}))
        case _:
            return _one(draw, (None, "", *WORDS))


def _row(draw: Draw, collection: str, key: Any) -> Row:
    return {"id": key} | {field: _value(draw, collection, field) for field in COLUMNS[collection]}


@st.composite
def worlds(draw: Draw) -> World:
    tables = {name: {key: _row(draw, name, key) for key in range(1, size + 1)} for name, size in SIZES.items()}
    return World({**tables, USERS: {READER: _row(draw, USERS, READER)}})


@st.composite
def changes(draw: Draw) -> list[Change]:
    """Every row is offered a new content, and there are new rows and removed ones."""
    found = []
    for name, size in SIZES.items():
        for key in range(1, size + 3):
            if key > size or _chance(draw, 2):
                found.append(Change(name, key, _row(draw, name, key)))
            for field in COLUMNS[name]:
                if _chance(draw, 4):
                    found.append(Change(name, key, {field: _value(draw, name, field)}))
        if _chance(draw, 3):
            found.append(Change(name, draw(st.integers(1, size)), None))
    found += [Change(USERS, READER, {field: _value(draw, USERS, field)}) for field in COLUMNS[USERS]]
    return found


# --- permissions --------------------------------------------------------------------------------------
@st.composite
def grants(draw: Draw) -> list[Grant]:
    """One to three permissions for most collections, over two policies."""
    found = []
    for name in SIZES:
        for _ in range(_one(draw, (0, 1, 1, 1, 2, 2, 3))):
            fields = ("*",) if _chance(draw, 2) else tuple(f for f in fields_of(name) if f == "id" or _chance(draw, 6))
            rule = None if _chance(draw, 2) else _rule(draw, name, 2)
            found.append(Grant(name, fields, rule, _one(draw, POLICIES)))
    if _chance(draw, 5):
        fields = tuple(field for field in fields_of(USERS) if _chance(draw, 5))
        found.append(Grant(USERS, fields, {"id": {"_eq": "$CURRENT_USER"}}, POLICIES[0]))
    return found


def _rule(draw: Draw, name: str, depth: int) -> Rule:
    kind = _one(draw, ("own", "leaf", "leaf", "variable", "to one", "to many", "logic")) if depth else "leaf"
    if kind == "logic":
        children = [_rule(draw, name, depth - 1) for _ in range(2)]
        return {_one(draw, ("_and", "_or")): children}
    to_one = [field for owner, field in MANY_TO_ONE if owner == name]
    if kind == "to one" and to_one:
        field = _one(draw, to_one)
        return {field: _rule(draw, MANY_TO_ONE[name, field], depth - 1)}
    to_many = [field for owner, field in ONE_TO_MANY if owner == name]
    if kind == "to many" and to_many:
        field = _one(draw, to_many)
        child = _leaf_rule(draw, ONE_TO_MANY[name, field][0])
        return {field: {_one(draw, ("_some", "_none")): child}}
    if kind == "own" and "owner" in COLUMNS[name]:
        return {"owner": {"_eq": "$CURRENT_USER"}}
    texts = [field for field in ("name", "title", "note", "body") if field in COLUMNS[name]]
    if kind == "variable" and texts:
        operator = _one(draw, ("_eq", "_neq"))
        return {_one(draw, texts): {operator: f"$CURRENT_USER.{_one(draw, ('title', 'location'))}"}}
    return _leaf_rule(draw, name)


def _leaf_rule(draw: Draw, name: str) -> Rule:
    usable = [f for f, kind in COLUMNS[name].items() if kind != "json" and f not in ("item", "owner")]
    field = _one(draw, ("id", *usable))
    if _chance(draw, 2):
        return {field: {_one(draw, ("_null", "_nnull")): True}}
    if field == "id" or COLUMNS[name][field] == "integer":
        operator = _one(draw, ("_eq", "_neq", "_gt", "_lte"))
        return {field: {operator: draw(st.integers(0, 3))}}
    words = DATES if COLUMNS[name][field] == "date" else WORDS
    operator = _one(draw, ("_eq", "_neq", "_in"))
    return {field: {operator: [_one(draw, words), _one(draw, words)] if operator == "_in" else _one(draw, words)}}


# --- queries ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Names:
    """What the reader may name: mostly that, now and then something else."""

    granted: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, permissions: Sequence[Grant]) -> Names:
        return cls(
            {
                name: tuple(f for f in fields_of(name) if any(g.collection == name and g.names(f) for g in permissions))
                for name in COLUMNS
            }
        )

    def field(self, draw: Draw, name: str) -> str:
        known = self.granted[name]
        return _one(draw, fields_of(name) if not known or draw(st.integers(0, 40)) == 0 else known)


def _target(draw: Draw, name: str, field: str) -> tuple[str, str] | None:
    """Where a relation leads: a collection and the segment of a path that goes there."""
    if (name, field) in MANY_TO_ONE:
        return MANY_TO_ONE[name, field], field
    if (name, field) in ONE_TO_MANY:
        return ONE_TO_MANY[name, field][0], field
    if (name, field) in ANY:
        scope = _one(draw, ANY[name, field])
        return scope, f"{field}:{scope}"
    return None


def _function(draw: Draw, name: str, field: str) -> str | None:
    if (name, field) in ONE_TO_MANY:
        return f"count({field})"
    functions = FUNCTIONS.get(COLUMNS[name].get(field, ""))
    return f"{_one(draw, functions)}({field})" if functions else None


def _path(draw: Draw, names: Names, name: str, depth: int = 3) -> tuple[list[str], str, str]:
    """Segments of a path that ends in a value, with the collection and the field at its end."""
    field = names.field(draw, name)
    target = _target(draw, name, field)
    if target is not None and depth and names.granted[target[0]] and _chance(draw, 8):
        segments, end, last = _path(draw, names, target[0], depth - 1)
        return [target[1], *segments], end, last
    if (called := _function(draw, name, field)) is not None and _chance(draw, 7):
        return [called], name, called
    return [field], name, field


def _filter(draw: Draw, names: Names, name: str, depth: int = 2) -> Rule:
    if depth and _chance(draw, 3):
        return {_one(draw, ("_and", "_or")): [_filter(draw, names, name, depth - 1) for _ in range(2)]}
    many = [f for f in names.granted[name] if (name, f) in ONE_TO_MANY]
    if many and _chance(draw, 3):
        field = _one(draw, many)
        child = ONE_TO_MANY[name, field][0]
        inner = _filter(draw, names, child, 0) if names.granted[child] else {}
        return {field: {_one(draw, ("_some", "_none")): inner}}
    segments, end, last = _path(draw, names, name, 2)
    tests = _tests(draw, end, last)
    for segment in reversed(segments):
        tests = {segment: tests}
    return tests


def _tests(draw: Draw, name: str, field: str) -> Rule:
    kind = "integer" if "(" in field else COLUMNS[name].get(field, "integer")
    if kind == "json" or _chance(draw, 4):
        empty = ("_empty", "_nempty") if kind in ("string", "text") else ()
        return {_one(draw, ("_null", "_nnull", *empty)): True}
    if kind == "integer":
        operator = _one(draw, ("_eq", "_neq", "_lt", "_gte", "_in", "_nin", "_between", "_nbetween"))
        pair = [draw(st.integers(0, 3)), draw(st.integers(0, 3))]
        return {operator: pair if operator in ("_in", "_nin", "_between", "_nbetween") else pair[0]}
    if kind == "date":
        return {_one(draw, ("_eq", "_neq", "_lt", "_gte")): _one(draw, DATES)}
    operator = _one(
        draw, ("_eq", "_neq", "_contains", "_ncontains", "_starts_with", "_nends_with", "_icontains", "_in", "_nin")
    )
    word = _one(draw, (*WORDS, "a", "$CURRENT_USER.location", "$CURRENT_USER.title", "$CURRENT_USER.description"))
    return {operator: [word] if operator in ("_in", "_nin") else word}


def _sort(draw: Draw, names: Names, name: str) -> list[str]:
    """Unique in the end, so that the order of equals is no difference."""
    found = []
    for _ in range(draw(st.integers(0, 2))):
        segments, _, last = _path(draw, names, name, 2)
        if "(" in last and len(segments) > 1:
            segments = [f"{last.partition('(')[0]}({'.'.join([*segments[:-1], last.partition('(')[2]])}"]
        found.append(_one(draw, ("", "-")) + ".".join(segments))
    return [*found, "id"]


def _fields(draw: Draw, names: Names, name: str) -> list[str]:
    found = [".".join(_path(draw, names, name)[0]) for _ in range(draw(st.integers(1, 5)))]
    extra = _one(draw, ("", "", "", "*", "*.*", "*.*.*", *["json(facts, a)"] * ("facts" in names.granted[name])))
    return [*found, extra] if extra else found


def _deep(draw: Draw, names: Names, name: str, depth: int = 2) -> Rule:
    found: Rule = {}
    for field in names.granted[name]:
        target = _target(draw, name, field)
        if target is None or not names.granted[target[0]] or not _chance(draw, 6):
            continue
        level: Rule = {"_sort": _sort(draw, names, target[0])} if (name, field) in ONE_TO_MANY else {}
        if _chance(draw, 6):
            level["_filter"] = _filter(draw, names, target[0], 1)
        if _chance(draw, 2):
            level["_search"] = _one(draw, WORDS)
        if _chance(draw, 3):
            level["_limit"] = draw(st.integers(1, 2))
        if _chance(draw, 2):
            level |= {"_offset": 1, "_limit": 2}
        found[target[1]] = level | (_deep(draw, names, target[0], depth - 1) if depth else {})
    return found


def _grouping(draw: Draw, names: Names, name: str) -> Rule:
    operations = ("count", "countDistinct", "min", "max", "sum", "avg", "sumDistinct", "avgDistinct")
    asked: dict[str, list[str]] = {}
    for _ in range(draw(st.integers(1, 3))):
        operation = _one(draw, operations)
        numbers = [f for f in names.granted[name] if COLUMNS[name].get(f) == "integer"] or ["id"]
        wide = operation in ("count", "countDistinct", "min", "max")
        columns = [f for f in names.granted[name] if (name, f) not in ONE_TO_MANY and f != "facts"]
        asked.setdefault(operation, []).append(_one(draw, (columns if wide else numbers) or ["id"]))
    if _chance(draw, 4):
        asked["count"] = ["*"]
    found: Rule = {"aggregate": json.dumps(asked)}
    if _chance(draw, 6):
        field = _one(draw, columns or ["id"])
        called = _function(draw, name, field)
        found["groupBy"] = called if called and _chance(draw, 5) else field
    return found


@st.composite
def requests(draw: Draw, permissions: Sequence[Grant]) -> str:
    """The path of one GET request."""
    names = Names.of(permissions)
    name = _one(draw, [name for name in SIZES if names.granted[name]] or list(SIZES))
    query: Rule = {}
    path = f"/items/{name}"
    shape = _one(draw, ("list", "list", "list", "list", "item", "groups", "groups"))
    if shape == "groups":
        query |= _grouping(draw, names, name)
    else:
        query["fields"] = ",".join(_fields(draw, names, name))
        if (deep := _deep(draw, names, name)) and _chance(draw, 6):
            query["deep"] = json.dumps(deep)
        if _chance(draw, 3):
            field = names.field(draw, name)
            query["alias"] = json.dumps({"other": field})
            query["fields"] += ",other" + _one(draw, ("", ".*", ".id"))
        if _chance(draw, 1):
            query["backlink"] = "false"
    if shape == "item":
        path += f"/{draw(st.integers(1, SIZES[name] + 2))}"
    elif shape == "list":
        query["sort"] = ",".join(_sort(draw, names, name))
        if _chance(draw, 5):
            query["meta"] = "*"
        if _chance(draw, 3):
            query |= {"limit": draw(st.integers(0, 3)), "page": draw(st.integers(1, 2))}
        if _chance(draw, 2):
            query["export"] = _one(draw, ("csv", "json", "xml", "yaml", "csv_utf8"))
    if shape != "item":
        if _chance(draw, 6):
            query["filter"] = json.dumps(_filter(draw, names, name))
        if _chance(draw, 3):
            query["search"] = _one(draw, (*WORDS, "1", "a"))
    return f"{path}?{urlencode(query)}"
