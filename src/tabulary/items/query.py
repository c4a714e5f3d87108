"""A query, parsed once: its *shape* (frozen, hashable, the key of cached plans) and its *values* beside it.

:meth:`Query.parse` takes what a client sent (strings from a URL or JSON) and applies the rules of spec
items-and-query §3: sanitising never rejects, validation does with :class:`InvalidQuery`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tabulary.core.errors import InvalidQuery
from tabulary.core.settings import Settings
from tabulary.items.filter import EMPTY, And, Filter, Leaf, Value, conjunction, leaves, parse_filter, variables
from tabulary.items.selection import Pick

AGGREGATES = ("count", "countAll", "countDistinct", "sum", "sumDistinct", "avg", "avgDistinct", "min", "max")
EXPORTS = ("csv", "csv_utf8", "json", "xml", "yaml")
MAX_FIELDS = 5_000
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")
_WILDCARD = re.compile(r"[%_]")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Search:
    """A search term: the kinds of columns it can meet. ``digits``: before and after the point of a plain number.

    ``run``: how many of its characters stand together without a wildcard of LIKE, of which three are enough to tell.
    """

    value: Value
    digits: tuple[int, int] | None
    bits: int
    uuid: bool
    run: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """The shape of one level: the root's query, or what ``deep`` says of a relation."""

    fields: tuple[str, ...] | None = None
    filter: Filter = EMPTY
    search: Search | None = None
    sort: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0
    aggregate: tuple[tuple[str, tuple[str, ...]], ...] = ()
    group: tuple[str, ...] = ()
    alias: tuple[tuple[str, str], ...] = ()
    deep: tuple[tuple[str, Level], ...] = ()
    select: tuple[Pick, ...] | None = None
    """The exact shape of the items, in place of ``fields`` (and of those in ``deep``)."""

    def of_relation(self, name: str) -> Level | None:
        """What ``deep`` says of a relation (or of an alias of one)."""
        return next((level for key, level in self.deep if key == name), None)


class Shape:
    """The hashable identity of a query's plan. The hash is computed once: queries of a URL are reused."""

    __slots__ = ("_hash", "backlink", "level")

    def __init__(self, level: Level, backlink: bool) -> None:
        self.level, self.backlink = level, backlink
        self._hash = hash((level, backlink))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Shape) and (self._hash, self.backlink, self.level) == (
            other._hash,
            other.backlink,
            other.level,
        )


_COUNT_CAP = 10_000


@dataclass(frozen=True)
class Query:
    """A parsed query. ``root`` is the shape (its offset is 0 or 1: whether there is one), ``values`` its literals.

    ``count_cap``: the number at which counts of ``meta`` end; ``estimates``: guesses do for larger ones. ``cursor``:
    where to read on (empty: at the offset), for reads that say where the next page begins; None for those that do not.
    """

    root: Level = field(default_factory=Level)
    values: tuple[Any, ...] = ()
    offset: int = 0
    meta: tuple[str, ...] = ()
    count_cap: int | None = None
    estimates: bool = False
    cursor: str | None = None
    export: str | None = None
    version: str | None = None
    version_raw: bool = False
    backlink: bool = True

    @cached_property
    def variables(self) -> frozenset[str]:
        """Texts of the dynamic variables in all filters of the query."""
        return frozenset(_variables(self.root))

    @cached_property
    def shape(self) -> Shape:
        return Shape(self.root, self.backlink)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], settings: Settings, validate: bool = True) -> Query:
        """The query of a raw mapping; with ``validate=False`` values are only sanitised (batch bodies, spec §2.1).

        Raises :class:`InvalidQuery`.
        """
        return _Reader(settings, validate).query(raw)

    @classmethod
    def internal(cls, raw: Mapping[str, Any], settings: Settings) -> Query:
        """A query of our own making: nothing to validate, and ``QUERY_LIMIT_MAX`` is for callers, not for us."""
        reader = _Reader(settings, validate=False)
        reader.limit_max = None
        return reader.query(raw)

    def with_key(self, primary: str, keys: list[Any], many: bool) -> Query:
        """This query for given keys: ``pk = key`` replaces a client's own condition on the key (spec §1.3)."""
        raw = {primary: {"_in": list(keys)} if many else {"_eq": keys[0]}}
        values = list(self.values)
        condition = parse_filter(raw, values, strict=False)
        kept = self.root.filter
        children = kept.children if isinstance(kept, And) else (kept,)
        if not many:
            children = tuple(c for c in children if not (isinstance(c, Leaf) and c.path == (primary,)))
        root = replace(self.root, filter=conjunction([*children, condition]))
        return replace(self, root=root, values=tuple(values))

    def within(self, name: str, after: Any = None, upto: Any = None, descending: bool = False) -> Query:
        """This query where the field is behind ``after`` and not behind ``upto``: how a list is read in parts.

        Any type is compared, in the order in which the database sorts it.
        """
        values, bounds = list(self.values), [self.root.filter]
        for operator, bound in (("<" if descending else ">", after), (">=" if descending else "<=", upto)):
            if bound is not None:
                bounds.append(Leaf((name,), operator, Value(len(values))))
                values.append(bound)
        return replace(self, root=replace(self.root, filter=conjunction(bounds)), values=tuple(values))

    def with_version(self, version: str | None) -> Query:
        """This query for a version of its item, or (None) for the item itself."""
        return replace(self, version=version, version_raw=False)

    def at(self, cursor: str | None) -> Query:
        """This query for the page at a cursor."""
        return replace(self, cursor=cursor, offset=0, root=replace(self.root, offset=0))

    def with_limit(self, limit: int | None) -> Query:
        return replace(self, root=replace(self.root, limit=limit))

    def with_fields(self, *fields: str) -> Query:
        return replace(self, root=replace(self.root, fields=fields, select=None))

    def with_selection(self, select: tuple[Pick, ...] | None) -> Query:
        """This query with items in exactly this shape; None goes back to its ``fields``."""
        return replace(self, root=replace(self.root, select=select))


def _variables(level: Level) -> list[str]:
    found = [v.text for v in variables(level.filter)]
    for _, child in level.deep:
        found += _variables(child)
    return found


class _Reader:
    """One pass over a raw query; literals of all levels go into one list."""

    def __init__(self, settings: Settings, validate: bool) -> None:
        self.settings, self.validate = settings, validate
        self.values: list[Any] = []
        maximum = settings.get("QUERY_LIMIT_MAX")
        self.limit_max = None if maximum in (None, -1) else int(maximum)
        default = int(settings.get("QUERY_LIMIT_DEFAULT", 100))
        self.limit_default = default if self.limit_max is None else min(default, self.limit_max)
        self.cap = max(1, int(settings.get("QUERY_COUNT_CAP") or _COUNT_CAP))
        self.depth_max = max(2, int(settings.get("MAX_RELATIONAL_DEPTH", 10)))

    def query(self, raw: Mapping[str, Any]) -> Query:
        level = self.level(raw, 0)
        export = raw.get("export")
        if export is not None and export not in EXPORTS:
            self.fail(f'"export" has to be one of {", ".join(EXPORTS)}')
            export = None
        version = raw.get("version")
        if version is not None and not isinstance(version, str):
            self.fail('"version" has to be a text')
        return Query(
            root=replace(level, offset=1 if level.offset else 0),
            values=tuple(self.values),
            offset=level.offset,
            meta=self.meta(raw.get("meta")),
            count_cap=self.count_cap(raw.get("count")),
            estimates=raw.get("count") == "estimated",
            cursor=self.cursor(raw, level),
            export=export,
            version=version if isinstance(version, str) else None,
            version_raw="versionRaw" in raw and raw["versionRaw"] in ("", "true", True),
            backlink="backlink" not in raw or raw["backlink"] not in (False, "false"),
        )

    def level(self, raw: Mapping[str, Any], depth: int) -> Level:
        limit = self.limit(raw.get("limit"), nested=depth > 0)
        fields = self.fields(raw.get("fields")) if depth == 0 else None
        sort = self.names("sort", raw.get("sort"))
        group = self.names("groupBy", raw.get("groupBy", raw.get("group")))
        filter_ = self.filter(raw.get("filter"))
        self.check_depth(fields or (), sort, group, depth)
        if self.validate and depth + _relational_depth(filter_) > self.depth_max:
            self.fail(f"The filter goes deeper than {self.depth_max} relations")
        return Level(
            fields=fields,
            filter=filter_,
            search=self.search(raw.get("search")),
            sort=sort,
            limit=limit,
            offset=self.offset(raw, limit),
            aggregate=self.aggregate(raw.get("aggregate")),
            group=group,
            alias=self.alias(raw.get("alias")),
            deep=self.deep(raw.get("deep"), depth) if depth == 0 else self.deep_object(raw.get("deep") or {}, depth),
        )

    def fail(self, reason: str) -> None:
        if self.validate:
            raise InvalidQuery(reason)

    # --- single parameters ------------------------------------------------------------------
    def fields(self, raw: Any) -> tuple[str, ...] | None:
        if raw is None or raw == "" or raw == []:
            return None
        if isinstance(raw, str):
            found = split_fields(raw)
        elif isinstance(raw, list):
            if not all(isinstance(entry, str) for entry in raw):
                raise InvalidQuery('"fields" has to be a list of texts')
            found = [name for entry in raw for name in split_fields(entry)]
        else:
            raise InvalidQuery('"fields" has to be a text or a list')
        if len(found) > MAX_FIELDS:
            raise InvalidQuery(f'"fields" can name {MAX_FIELDS} fields at most')
        if "" in found:
            self.fail('"fields" contains an empty name')
        return tuple(dict.fromkeys(found))

    def names(self, parameter: str, raw: Any) -> tuple[str, ...]:
        if raw is None or raw == "" or raw == []:
            return ()
        if isinstance(raw, str):
            found = split_fields(raw) if "(" in raw else [part.strip() for part in raw.split(",")]
        elif isinstance(raw, list):
            found = [n for e in raw for n in (split_fields(e) if isinstance(e, str) else [e])]
        else:
            self.fail(f'"{parameter}" has to be a text or a list')
            return ()
        if not all(isinstance(name, str) and name for name in found):
            self.fail(f'"{parameter}" contains an empty name')
            found = [name for name in found if isinstance(name, str) and name]
        return tuple(found)

    def filter(self, raw: Any) -> Filter:
        if raw is None or raw == "":
            return EMPTY
        return parse_filter(raw, self.values, strict=self.validate)

    def limit(self, raw: Any, nested: bool) -> int | None:
        """Rows at most; None = all. Nested values are not refused: no number means no rows, too many the maximum."""
        if raw is None:
            return self.limit_default
        number = _number(raw)
        if number is None or number != int(number) or number < -1:
            if nested:
                return 0
            self.fail('"limit" has to be a whole number, -1 or more')
            return self.limit_default
        limit = int(number)
        if self.limit_max is not None:
            if limit == -1:
                return self.limit_max
            if limit > self.limit_max:
                if nested:
                    return self.limit_max
                self.fail(f'"limit" can be {self.limit_max} at most')
        return None if limit == -1 else min(limit, 2**53)

    def offset(self, raw: Mapping[str, Any], limit: int | None) -> int:
        offset = self.whole("offset", raw.get("offset"))
        page = self.whole("page", raw.get("page"))
        if page and limit is not None:
            return min(limit * (page - 1), 2**53)
        return offset

    def whole(self, parameter: str, raw: Any) -> int:
        if raw is None:
            return 0
        number = _number(raw)
        if number is None or number != int(number) or number < 0:
            self.fail(f'"{parameter}" has to be a whole number, 0 or more')
            return 0
        return min(int(number), 2**53)

    def meta(self, raw: Any) -> tuple[str, ...]:
        if raw is None or raw == "":
            return ()
        found = split_names(raw)
        if "*" in found:
            return ("total_count", "filter_count")
        for name in found:
            if name not in ("total_count", "filter_count", "cursor"):
                self.fail('"meta" has to be total_count, filter_count, cursor or *')
        return tuple(dict.fromkeys(name for name in found if name in ("total_count", "filter_count")))

    def count_cap(self, raw: Any) -> int | None:
        """Where counting ends: nowhere, unless the client says so; other values mean nothing, as before."""
        return self.cap if raw in ("capped", "estimated") else None

    def cursor(self, raw: Mapping[str, Any], level: Level) -> str | None:
        """Where to read on; an empty text is the beginning, as is ``meta=cursor`` without a cursor."""
        cursor, meta = raw.get("cursor"), raw.get("meta")
        if cursor is None and not (isinstance(meta, str | list) and "cursor" in split_names(meta)):
            return None
        if cursor is not None and not isinstance(cursor, str):
            self.fail('"cursor" has to be a text')
            return None
        if level.aggregate or level.group:
            self.fail('Aggregates have no pages: leave "cursor" out')
        if raw.get("export") is not None:
            self.fail('An export is the whole list: leave "cursor" out')
        if cursor and level.offset:
            self.fail('"cursor" says where the page begins: leave "page" and "offset" out')
        return cursor or ""

    def search(self, raw: Any) -> Search | None:
        if not isinstance(raw, str) or not raw:
            return None
        term = raw.strip() or raw
        if "\x00" in term:
            raise InvalidQuery('"search" can\'t contain the character NUL')
        self.values.append(term)
        digits, bits = None, 0
        if _NUMBER.fullmatch(term) and term != "-0" and len(term) <= 300:
            whole, _, part = term.lstrip("-").partition(".")
            digits = (len(whole), len(part))
            size = int(float(term)) if part else int(term)
            bits = 32 if -(2**31) <= size < 2**31 else 64 if -(2**63) <= size < 2**63 else 128
        run = min(3, max(map(len, _WILDCARD.split(term.lower()))))
        return Search(Value(len(self.values) - 1), digits, bits, _UUID.fullmatch(term) is not None, run)

    def aggregate(self, raw: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
        raw = self.object("aggregate", raw)
        found = []
        for operation, names in raw.items():
            if operation not in AGGREGATES:
                self.fail(f'"{operation}" is no aggregate; use one of {", ".join(AGGREGATES)}')
                continue
            fields = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
            if isinstance(fields, Mapping):
                fields = list(fields.values())
            if not isinstance(fields, list) or not all(isinstance(n, str) for n in fields):
                self.fail(f'"aggregate[{operation}]" has to be a list of fields')
                continue
            found.append((operation, tuple(dict.fromkeys(n for e in fields for n in e.split(",")))))
        return tuple(found)

    def alias(self, raw: Any) -> tuple[tuple[str, str], ...]:
        found = self.object("alias", raw)
        for key, value in found.items():
            if not isinstance(value, str) or not key or not value or "." in key or "." in value.split("(")[0]:
                self.fail('"alias" takes names without dots')
                return ()
        return tuple((k, v) for k, v in found.items() if isinstance(v, str))

    def object(self, parameter: str, raw: Any) -> Mapping[str, Any]:
        if raw is None or raw == "":
            return {}
        if isinstance(raw, str):
            try:
                raw = json.loads(raw)
            except ValueError:
                raise InvalidQuery(f'"{parameter}" is not valid JSON') from None
        if not isinstance(raw, Mapping):
            self.fail(f'"{parameter}" has to be an object')
            return {}
        return raw

    # --- deep -------------------------------------------------------------------------------
    def deep(self, raw: Any, depth: int) -> tuple[tuple[str, Level], ...]:
        if isinstance(raw, str):
            try:
                raw = json.loads(raw)
            except ValueError:
                return ()
        if raw is None:
            return ()
        if not isinstance(raw, Mapping):
            self.fail('"deep" has to be an object')
            return ()
        return self.deep_object(raw, depth)

    def deep_object(self, raw: Mapping[str, Any], depth: int) -> tuple[tuple[str, Level], ...]:
        found = []
        for name, entry in raw.items():
            if name.startswith("_") or not isinstance(entry, Mapping):
                continue
            if self.validate and depth + 1 > self.depth_max:
                self.fail(f'"deep" goes deeper than {self.depth_max} relations')
            own = {k[1:]: v for k, v in entry.items() if k.startswith("_") and k != "_fields"}
            nested = {k: v for k, v in entry.items() if not k.startswith("_")}
            found.append((name, self.level({**own, "deep": nested}, depth + 1)))
        return tuple(found)

    def check_depth(self, fields: tuple[str, ...], sort: tuple[str, ...], group: tuple[str, ...], depth: int) -> None:
        for name in (*fields, *sort, *group):
            if depth + path_depth(name) > self.depth_max:
                self.fail(f'"{name[:80]}" goes deeper than {self.depth_max} relations')


def split_names(raw: Any) -> list[Any]:
    """The entries of a comma list, of a list, or the one thing that there is."""
    if isinstance(raw, str):
        return [part.strip() for part in raw.split(",")]
    return raw if isinstance(raw, list) else [raw]


def split_fields(text: str) -> list[str]:
    """Names of a comma list, trimmed; commas inside parentheses belong to a function's arguments."""
    found, start, depth = [], 0, 0
    for place, character in enumerate(text):
        if character == "(":
            depth += 1
            if depth > 1:
                raise InvalidQuery("Functions can't be nested")
        elif character == ")":
            depth = max(0, depth - 1)
        elif character == "," and not depth:
            found.append(text[start:place].strip())
            start = place + 1
    if depth:
        raise InvalidQuery("A function misses its closing parenthesis")
    found.append(text[start:].strip())
    return found


def path_depth(name: str) -> int:
    """Segments of a path; of a function the prefix and the first argument count (spec §3)."""
    before, parenthesis, inside = name.partition("(")
    if not parenthesis:
        return name.count(".") + 1
    return before.count(".") + inside.split(",")[0].rstrip(")").count(".") + 1


def _relational_depth(tree: Filter) -> int:
    return max((len(leaf.path) for leaf in leaves(tree)), default=0)


def _number(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    if raw == "":
        return 0
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
