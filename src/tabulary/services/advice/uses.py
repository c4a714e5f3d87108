"""Reads that something in a project asks for, collected from where they are written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tabulary.core import json
from tabulary.items.filter import leaves, parse_rule
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Collection, Schema

LOGGER = "tabulary.slow"
_TEXTS = ("string", "text")
_SYSTEM: tuple[tuple[str, Mapping[str, Any], tuple[str, ...], str], ...] = (
    (
        "directus_activity",
        {"collection": {"_eq": "$SAMPLE"}, "item": {"_eq": "$SAMPLE"}},
        ("-timestamp",),
        "the history of an item",
    ),
    ("directus_activity", {"user": {"_eq": "$SAMPLE"}}, ("-timestamp",), "the activity of a user"),
    (
        "directus_revisions",
        {"collection": {"_eq": "$SAMPLE"}, "item": {"_eq": "$SAMPLE"}},
        ("-id",),
        "the revisions of an item",
    ),
)
"""Reads of system collections that the Studio makes all the time."""


@dataclass(frozen=True, slots=True)
class Use:
    """A read of a collection. ``filter`` is a rule as it is stored; ``$SAMPLE`` in it stands for a value to be found.

    ``alias``: the read is of the collection's to-many field of this name. ``counts``: it is no list but a look for rows
    (what the database does when the other side of a relation is deleted). ``search``: it looks for a word to be found.
    """

    collection: str
    why: tuple[str, ...]
    filter: Mapping[str, Any] | None = None
    sort: tuple[str, ...] = ()
    search: bool = False
    alias: str | None = None
    counts: bool = False

    @property
    def shape(self) -> str:
        """The same for uses that ask for the same."""
        return json.encode([self.collection, self.filter, self.sort, self.search, self.alias, self.counts]).decode()


def merged(uses: Iterable[Use]) -> list[Use]:
    """Uses of one shape as one, with all its reasons."""
    found: dict[str, Use] = {}
    for use in uses:
        known = found.get(use.shape)
        found[use.shape] = use if known is None else replace(known, why=tuple(dict.fromkeys((*known.why, *use.why))))
    return list(found.values())


def weight(use: Use) -> tuple[bool, int]:
    """How much a use asks for: comparisons and orders, searches most."""
    return use.search, len(use.sort) + 2 * sum(1 for _ in leaves(parse_rule(use.filter, [])))


async def of_rules(platform: Platform, schema: Schema) -> list[Use]:
    """Item rules of permissions to read."""
    fields = ["id", "collection", "permissions", "policy.name"]
    asked = {"fields": fields, "filter": {"action": {"_eq": "read"}}, "sort": ["id"], "limit": -1}
    return [
        Use(row["collection"], (f'permission {row["id"]} of policy "{(row["policy"] or {}).get("name")}"',), rule)
        for row in await _rows(platform, schema, "directus_permissions", asked)
        if isinstance(rule := row["permissions"], Mapping) and rule
    ]


async def of_presets(platform: Platform, schema: Schema) -> list[Use]:
    """Lists as people left them in the Studio, and their bookmarks: filter, order and search."""
    fields = ["id", "bookmark", "collection", "filter", "search", "layout", "layout_query"]
    asked = {"fields": fields, "sort": ["id"], "limit": -1}
    found = []
    for row in await _rows(platform, schema, "directus_presets", asked):
        why = f'bookmark "{row["bookmark"]}"' if row["bookmark"] else f"preset {row['id']}"
        filter_ = row["filter"] if isinstance(row["filter"], Mapping) and row["filter"] else None
        for sort in _sorts(row["layout_query"]) or [()]:
            found.append(Use(row["collection"], (why,), filter_, sort))
        if row["search"]:
            found.append(Use(row["collection"], (f"search of {why}",), search=True))
    return [use for use in found if use.filter or use.sort or use.search]


def _sorts(layout_query: Any) -> list[tuple[str, ...]]:
    """The orders that the layouts of a preset ask for."""
    layouts = layout_query.values() if isinstance(layout_query, Mapping) else ()
    found = []
    for layout in layouts:
        sort = layout.get("sort") if isinstance(layout, Mapping) else None
        names = sort.split(",") if isinstance(sort, str) else sort if isinstance(sort, list) else []
        if names and all(isinstance(name, str) and name for name in names):
            found.append(tuple(names))
    return found


def of_relations(schema: Schema) -> list[Use]:
    """The many side of every relation: lists behind to-many fields, and what deleting the one side looks for."""
    found = []
    for relation in schema.relations:
        one = relation.related_collection
        if relation.collection not in schema.collections or one not in schema.collections or one is None:
            continue
        place = f"relation {relation.collection}.{relation.field} → {one}"
        if relation.one_field and relation.one_field in schema.collections[one].fields:
            found.append(Use(one, (f"{place}, shown as {one}.{relation.one_field}",), alias=relation.one_field))
        elif relation.schema is not None:
            why = f"{place}: deleting one side looks for the other"
            found.append(Use(relation.collection, (why,), {relation.field: {"_eq": "$SAMPLE"}}, counts=True))
    return found


def of_collections(model: DataModel) -> list[Use]:
    """Manual order and archives, as collections have them set up."""
    found = []
    for row in model.metadata.collections:
        base = model.schema.collections.get(row["collection"])
        if base is None:
            continue
        if (sort := row.get("sort_field")) and sort in base.fields:
            found.append(Use(base.collection, ("the collection's sort field",), sort=(sort,)))
        archive = row.get("archive_field")
        if archive and archive in base.fields and row.get("archive_value") is not None:
            rule = {archive: {"_eq": row["archive_value"]}}
            found.append(Use(base.collection, ("the collection's archive",), rule))
    return found


def of_searches(schema: Schema) -> list[Use]:
    """Every collection with texts can be searched."""
    return [
        Use(name, ("?search= and the Studio's search box",), search=True)
        for name, base in schema.collections.items()
        if searched_columns(base)
    ]


def searched_columns(base: Collection) -> tuple[str, ...]:
    """The texts that a search goes through."""
    return tuple(
        entry.field
        for entry in base.fields.values()
        if entry.type in _TEXTS and not entry.alias and entry.searchable and not entry.concealed
    )


def of_system(schema: Schema) -> list[Use]:
    """What the Studio asks of system collections."""
    return [Use(name, (why,), rule, sort) for name, rule, sort, why in _SYSTEM if name in schema.collections]


def of_log(lines: Iterable[str]) -> Iterator[Use]:
    """The slow reads of a log in JSON (``LOG_STYLE=raw``); other lines are passed over."""
    for line in lines:
        try:
            entry = json.decode(line)
        except ValueError:
            continue
        read = entry.get("read") if isinstance(entry, Mapping) and entry.get("logger") == LOGGER else None
        if isinstance(read, Mapping) and isinstance(read.get("collection"), str):
            rule = read.get("filter")
            sort = read.get("sort")
            yield Use(
                read["collection"],
                ("a slow read in the log",),
                rule if isinstance(rule, Mapping) and rule else None,
                tuple(str(name) for name in sort) if isinstance(sort, list) else (),
                search=read.get("search") is True,
            )


async def _rows(platform: Platform, schema: Schema, collection: str, asked: Mapping[str, Any]) -> Sequence[Any]:
    return await platform.reader.read(schema, collection, Query.internal(asked, platform.settings))
