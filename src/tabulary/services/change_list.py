"""The difference between two snapshots in words, for people who are asked whether to go on (spec schema §5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulary.core import json
from tabulary.schema.diff import Element, Entry, is_creation, is_deletion
from tabulary.schema.snapshot import LISTS

_HEADINGS = {
    "collections": "Collections",
    "fields": "Fields",
    "systemFields": "System Fields",
    "relations": "Relations",
}


def change_list(diff: Mapping[str, Sequence[Entry]]) -> list[str]:
    """The lines of the list: a heading a kind, a line an object, and below it what changes of it."""
    lines: list[str] = []
    for name in LISTS:
        if diff[name]:
            lines += [f"{_HEADINGS[name]}:"]
            lines += [line for entry in diff[name] for line in _entry_lines(entry)]
    return lines


def deletions(diff: Mapping[str, Sequence[Entry]]) -> list[str]:
    """The names of collections and fields that would go, with what is stored in them."""
    return [entry_name(entry) for name in ("collections", "fields") for entry in diff[name] if is_deletion(entry)]


def effective(diff: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
    """The difference without members that a snapshot written by hand does not mention: those stay as they are."""
    return {name: [kept for entry in diff[name] if (kept := _effective(entry))["diff"]] for name in LISTS}


def without_rules(diff: Mapping[str, Sequence[Entry]], rules: Sequence[str]) -> dict[str, list[Entry]]:
    """The difference without what ``collection`` and ``collection.field`` rules name."""
    ignored = frozenset(rules)

    def is_kept(entry: Entry) -> bool:
        collection, field = entry["collection"], entry.get("field")
        return collection not in ignored and f"{collection}.{field}" not in ignored

    return {name: [entry for entry in diff[name] if is_kept(entry)] for name in LISTS}


def entry_name(entry: Entry) -> str:
    """``books``, ``books.title`` or ``books.author -> authors``."""
    name = ".".join(part for part in (entry["collection"], entry.get("field")) if part)
    related = entry.get("related_collection")
    return f"{name} -> {related}" if related else name


def _effective(entry: Entry) -> Entry:
    return {**entry, "diff": [e for e in entry["diff"] if e["kind"] != "D" or len(e.get("path") or ()) != 2]}


def _entry_lines(entry: Entry) -> Iterator[str]:
    verb = "Create" if is_creation(entry) else "Delete" if is_deletion(entry) else "Update"
    yield f"  - {verb} {entry_name(entry)}"
    if verb == "Update":
        yield from (f"    - {_element_text(element)}" for element in entry["diff"])


def _element_text(element: Element) -> str:
    path = ".".join(str(part) for part in element.get("path", ()))
    if element["kind"] == "A":
        item = element["item"]
        done = f"Add {_shown(item.get('rhs'))} to" if item["kind"] == "N" else f"Remove {_shown(item.get('lhs'))} from"
        return f"{done} {path}"
    if element["kind"] == "D":
        return f"Remove {path}"
    return f"Set {path} to {_shown(element.get('rhs'))}"


def _shown(value: Any) -> str:
    return json.encode(value).decode()
