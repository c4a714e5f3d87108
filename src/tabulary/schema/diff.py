"""Differences between two JSON values as lists of elements, and between two snapshots (spec schema-and-platform §3.2).

An element is ``{kind, path?, lhs?, rhs?, index?, item?}`` with kind ``N`` (new), ``D`` (deleted), ``E`` (edited) or
``A`` (a list grew or shrank at ``index``). An element without ``path`` speaks of the whole value. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from tabulary.schema.snapshot import LISTS, Snapshot, collection_entry, field_entry, relation_entry

Element = dict[str, Any]
Path = tuple[str | int, ...]
Entry = dict[str, Any]

_NAMES = {
    "collections": ("collection",),
    "fields": ("collection", "field"),
    "systemFields": ("collection", "field"),
    "relations": ("collection", "field", "related_collection"),
}


def differences(lhs: Any, rhs: Any, path: Path = ()) -> Iterator[Element]:
    """The elements that turn ``lhs`` into ``rhs``."""
    if isinstance(lhs, Mapping) and isinstance(rhs, Mapping):
        for key in [*lhs, *(k for k in rhs if k not in lhs)]:
            at = (*path, key)
            if key not in rhs:
                yield {"kind": "D", "path": list(at), "lhs": lhs[key]}
            elif key not in lhs:
                yield {"kind": "N", "path": list(at), "rhs": rhs[key]}
            else:
                yield from differences(lhs[key], rhs[key], at)
    elif isinstance(lhs, list) and isinstance(rhs, list):
        yield from _list_differences(lhs, rhs, path)
    elif (type(lhs) is not type(rhs) and not _are_numbers(lhs, rhs)) or lhs != rhs:
        yield {"kind": "E", "path": list(path), "lhs": lhs, "rhs": rhs}


def applied(value: Any, elements: list[Element]) -> Any:
    """``value`` after the elements.

    A member of ``meta`` or ``schema`` that a (hand-trimmed) snapshot does not mention stays as it is: such a deletion
    must not delete the object, as it does in the reference (§8, pitfall 5).
    """
    result = deepcopy(value)
    for element in elements:
        path = element.get("path")
        if not path:
            result = deepcopy(element.get("rhs"))
            continue
        if element["kind"] == "D" and len(path) == 2:
            continue
        if element["kind"] == "A":
            path, element = [*path, element["index"]], element["item"]
        _put(result, path, element)
    return result


def snapshot_diff(current: Snapshot, target: Snapshot) -> dict[str, list[Entry]] | None:
    """What makes ``current`` into ``target``, or None when nothing does (§3.2)."""
    diff: dict[str, list[Entry]] = {
        "collections": _entries("collections", current, target, collection_entry),
        "fields": _entries("fields", current, target, field_entry),
        "systemFields": _system_entries(current, target) if "systemFields" in target else [],
        "relations": _entries("relations", current, target, relation_entry),
    }
    gone = {e["collection"] for e in diff["collections"] if is_deletion(e)}
    for name in ("fields", "relations"):
        diff[name] = [e for e in diff[name] if e["collection"] not in gone]
    return diff if any(diff[name] for name in LISTS) else None


def is_deletion(entry: Entry) -> bool:
    """True when the entry removes its object as a whole."""
    return bool(entry["diff"]) and entry["diff"][0]["kind"] == "D" and not entry["diff"][0].get("path")


def is_creation(entry: Entry) -> bool:
    """True when the entry makes a new object."""
    return bool(entry["diff"]) and entry["diff"][0]["kind"] == "N" and not entry["diff"][0].get("path")


def _entries(name: str, current: Snapshot, target: Snapshot, reduce: Callable[[Any], Entry]) -> list[Entry]:
    keys = _NAMES[name]
    before = {tuple(o.get(k) for k in keys): reduce(o) for o in current[name]}
    after = {tuple(o.get(k) for k in keys): reduce(o) for o in target[name]}
    entries = []
    for key in [*before, *(k for k in after if k not in before)]:
        named = dict(zip(keys, key, strict=True))
        for elements in _changes(before.get(key), after.get(key)):
            entries.append({**named, "diff": elements})
    return entries


def _changes(before: Entry | None, after: Entry | None) -> Iterator[list[Element]]:
    if before is None:
        yield [{"kind": "N", "rhs": after}]
    elif after is None:
        yield [{"kind": "D", "lhs": before}]
    elif ("alias" in (before.get("type"), after.get("type"))) and before["type"] != after["type"]:
        yield [{"kind": "D", "lhs": before}]
        yield [{"kind": "N", "rhs": after}]
    else:
        generated = any((o.get("schema") or {}).get("has_auto_increment") for o in (before, after))
        if generated:
            before, after = ({k: v for k, v in o.items() if k != "schema"} for o in (before, after))
        if elements := list(differences(before, after)):
            yield elements


def _system_entries(current: Snapshot, target: Snapshot) -> list[Entry]:
    def indexed(snapshot: Snapshot) -> list[tuple[str, str]]:
        fields = snapshot["systemFields"]
        return [(f["collection"], f["field"]) for f in fields if (f.get("schema") or {}).get("is_indexed")]

    before, after = indexed(current), indexed(target)
    changed = [(key, False) for key in before if key not in after] + [(key, True) for key in after if key not in before]
    return [
        {
            "collection": collection,
            "field": field,
            "diff": [{"kind": "E", "path": ["schema", "is_indexed"], "lhs": not wanted, "rhs": wanted}],
        }
        for (collection, field), wanted in changed
    ]


def _list_differences(lhs: list[Any], rhs: list[Any], path: Path) -> Iterator[Element]:
    shared = min(len(lhs), len(rhs))
    for index in reversed(range(shared, len(lhs))):
        yield {"kind": "A", "path": list(path), "index": index, "item": {"kind": "D", "lhs": lhs[index]}}
    for index in reversed(range(shared, len(rhs))):
        yield {"kind": "A", "path": list(path), "index": index, "item": {"kind": "N", "rhs": rhs[index]}}
    for index in reversed(range(shared)):
        yield from differences(lhs[index], rhs[index], (*path, index))


def _put(value: Any, path: list[str | int], element: Element) -> None:
    *parents, last = path
    for part in parents:
        if isinstance(value, dict):
            inner = value.get(part)
            value[part] = value = inner if isinstance(inner, dict | list) else {}
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return
    if isinstance(value, dict):
        if element["kind"] == "D":
            value.pop(last, None)
        else:
            value[last] = deepcopy(element.get("rhs"))
    elif isinstance(value, list) and isinstance(last, int):
        if element["kind"] == "D":
            del value[last:]
        elif last < len(value):
            value[last] = deepcopy(element.get("rhs"))
        else:
            # growth is told from the far end: keep the place of what comes later
            value.extend([None] * (last + 1 - len(value)))
            value[last] = deepcopy(element.get("rhs"))


def _are_numbers(lhs: Any, rhs: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in (lhs, rhs))
