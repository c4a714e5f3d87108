"""Query strings with brackets: ``filter[author][name][_eq]=x``, ``fields[]=a``, ``sort[0]=b`` (spec items §3).

Repeated names become lists, ``a[]`` and small indexes lists, everything else objects. Beyond the depth limit the rest
of the name stays one literal key; beyond the array limit a list becomes an object with numeric keys: both are bounds
that keep a short text from making a large structure.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import unquote_plus

Parsed = dict[str, Any]


def parse(text: str, depth: int = 10, array_limit: int = 500) -> Parsed:
    """The nested mapping that a query string stands for.

    Args:
        text: the raw query string, percent-encoded.
        depth: how many brackets below the first name are taken apart.
        array_limit: the greatest number of elements of a list.
    """
    found: Parsed = {}
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            path = _path(unquote_plus(name), depth)
            if path:
                _put(found, path, unquote_plus(value), array_limit)
    return {name: _compact(value, array_limit) for name, value in found.items()}


def _path(name: str, depth: int) -> list[str]:
    """``a[b][]`` → ``["a", "b", ""]``; text outside brackets after the first ends the path."""
    start = name.find("[")
    if start < 0 or name.find("]", start) < 0:
        return [name] if name else []
    path = [name[:start]] if start else []
    while start >= 0 and len(path) <= depth:
        end = name.find("]", start)
        if end < 0:
            break
        path.append(name[start + 1 : end])
        start = name.find("[", end)
        if start >= 0 and start != end + 1:
            return path
    if start >= 0:
        path.append(name[start:])
    return path


class _Slots(dict[int, Any]):
    """A list under construction, by index; made compact at the end."""

    end = 0

    def __setitem__(self, index: int, value: Any) -> None:
        super().__setitem__(index, value)
        self.end = max(self.end, index + 1)


def _put(place: Parsed, path: list[str], value: Any, array_limit: int) -> None:
    """Set ``value`` at ``path``, turning what is there into a list or object as the next part needs it."""
    node: dict[Any, Any] = place
    for part, following in pairwise(path):
        key = _key(node, part)
        inner = node.get(key)
        if not isinstance(inner, dict):
            fresh: dict[Any, Any] = _Slots() if _is_index(following, array_limit) else {}
            if key in node:
                _seed(fresh, inner)
            node[key] = inner = fresh
        if isinstance(inner, _Slots) and not _is_index(following, array_limit):
            node[key] = inner = {str(index): entry for index, entry in inner.items()}
        node = inner
    key = _key(node, path[-1])
    if key not in node:
        node[key] = value
    elif isinstance(node[key], _Slots):
        node[key][node[key].end] = value
    elif isinstance(node[key], dict):
        node[key][value] = True
    else:
        earlier, node[key] = node[key], _Slots()
        node[key][0], node[key][1] = earlier, value


def _key(node: dict[Any, Any], part: str) -> Any:
    if isinstance(node, _Slots):
        return int(part) if part else node.end
    return part or str(len(node))


def _is_index(part: str, array_limit: int) -> bool:
    return part == "" or (part.isascii() and part.isdigit() and str(int(part[:9])) == part and int(part) <= array_limit)


def _seed(fresh: dict[Any, Any], scalar: Any) -> None:
    """``a=1&a[b]=2``: the earlier scalar joins the structure, as an element or as a flag."""
    if isinstance(fresh, _Slots):
        fresh[0] = scalar
    else:
        fresh[str(scalar)] = True


def _compact(value: Any, array_limit: int) -> Any:
    if isinstance(value, _Slots):
        entries = [(index, _compact(entry, array_limit)) for index, entry in sorted(value.items())]
        return [e for _, e in entries] if len(entries) <= array_limit else {str(i): e for i, e in entries}
    if isinstance(value, dict):
        return {name: _compact(entry, array_limit) for name, entry in value.items()}
    return value
