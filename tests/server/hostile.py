"""Generated requests that mean no good: odd values at every place of a query, a path and a body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

FIELDS = ("id", "title", "pages", "born", "facts", "parent", "children", "nope")
OPERATORS = (
    "_eq", "_neq", "_lt", "_gte", "_in", "_nin", "_null", "_nempty", "_contains", "_ncontains", "_icontains",
    "_starts_with", "_between", "_nbetween", "_intersects", "_some", "_none", "_and", "_or", "_regex", "_nope", "",
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a\0b", "😀", "\u202e", "x" * 3000, "'", '"', "`", "\\", "%", "';drop table books;--", "null", "true",
    "NaN", "Infinity", "-0", "-0.0", "12.0", "1e400", "9" * 40, "-1", "1.5", "abc", "½", "1_000", "0x10", "$NOW", "$NOW(",
    "$NOW(99999999999 years)", "$CURRENT_USER.", "$CURRENT_USER.x", "$CURRENT_ROLES", "$FOLLOW(books,parent)", "*",
    "*.*", "*.*.*.*", "count(children)", "year(born)", "json(facts,a)", "json(facts, $)", "year(", "year(year(born))",
    "parent.parent.title", "a.b.c.d.e.f", "-id", "--id", "-", "?", "id,", ",", "[]", "{}", '{"_and":[]}', "[[[[",
    "0000-00-00", "99999-01-01", "2020-13-45", "f1f1f1f1-dead-4000-8000-000000000000", "__proto__", "../../etc/passwd",
    "\r\nX-Evil: 1", "id::text", "item:books",
)  # fmt: skip
FAMILIES = (
    "items/books",
    "users",
    "roles",
    "permissions",
    "files",
    "presets",
    "shares",
    "versions",
    "comments",
    "flows",
)
PARAMETERS = (
    "fields", "filter", "search", "sort", "limit", "offset", "page", "deep", "alias", "aggregate", "groupBy", "meta",
    "export", "backlink", "version", "versionRaw",
)  # fmt: skip

numbers = st.sampled_from([0, -1, 1, 1.5, -0.0, 1e308, 5e-324, 2**31, -(2**31) - 1, 2**53, 2**63, 2**64, 10**30])
texts = st.sampled_from(TEXTS)
scalars = st.none() | st.booleans() | numbers | texts | st.sampled_from(FIELDS)
keys = (
    st.sampled_from((*FIELDS, *OPERATORS, "create", "update", "delete", "keys", "data", "query", "email", "role"))
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
filters = st.recursive(
    st.builds(lambda f, o, v: {f: {o: v}}, st.sampled_from(FIELDS) | texts, st.sampled_from(OPERATORS), values),
    lambda inner: (
        st.builds(lambda o, v: {o: v}, st.sampled_from(("_and", "_or")), st.lists(inner, max_size=3))
        | st.builds(lambda f, v: {f: v}, st.sampled_from(("children", "parent")), inner)
        | st.builds(lambda o, v: {"children": {o: v}}, st.sampled_from(("_some", "_none")), inner)
    ),
    max_leaves=4,
)
levels = st.dictionaries(st.sampled_from([f"_{name}" for name in PARAMETERS]), values | filters, max_size=2)
aggregates = st.dictionaries(
    st.sampled_from(("count", "countAll", "sum", "min", "avgDistinct", "nope")), values, max_size=2
)
queries = st.dictionaries(st.sampled_from(PARAMETERS), values, max_size=3) | st.fixed_dictionaries(
    {},
    optional={
        "filter": filters,
        "aggregate": aggregates,
        "deep": st.dictionaries(st.sampled_from(FIELDS), levels, max_size=2),
        "sort": st.lists(texts, max_size=3),
        "alias": st.dictionaries(texts, texts, max_size=2),
    },
)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Any = None


def _with_query(family: str, query: dict[str, Any]) -> Request:
    pairs = [f"{name}={quote(v if isinstance(v, str) else json.dumps(v))}" for name, v in query.items()]
    return Request("GET", f"/{family}?{'&'.join(pairs)}")


families = st.sampled_from(FAMILIES)
places = st.builds(lambda key: quote(str(key), safe=""), scalars | st.just(1))
requests = (
    st.builds(_with_query, families | st.just("items/books"), queries)
    | st.builds(lambda f, q: Request("SEARCH", f"/{f}", {"query": q}), families, queries)
    | st.builds(lambda f, b: Request("POST", f"/{f}", b), families, values)
    | st.builds(lambda f, k, b: Request("PATCH", f"/{f}/{k}", b), families, places, values)
    | st.builds(lambda f, k, d: Request("PATCH", f"/{f}", {"keys": k, "data": d}), families, values, values)
    | st.builds(lambda f, q, d: Request("PATCH", f"/{f}", {"query": q, "data": d}), families, queries, values)
    | st.builds(lambda f, b: Request("PATCH", f"/{f}", b), families, values)
    | st.builds(lambda k: Request("DELETE", "/items/books", k), st.lists(scalars, max_size=3) | values)
    | st.builds(lambda f, k: Request("GET", f"/{f}/{k}"), families, places)
)
