"""Names in queries: dotted paths, functions and their result keys (spec items-and-query §3.2, §3.8)."""

from __future__ import annotations

import re

from tabulary.core.errors import InvalidQuery

_DATES = frozenset({"date", "dateTime", "timestamp"})
_TIMES = frozenset({"dateTime", "timestamp", "time"})
FUNCTION_TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("year", "month", "week", "day", "weekday"), _DATES),
    **dict.fromkeys(("hour", "minute", "second"), _TIMES),
    "count": frozenset({"json"}),
}
"""The column types that a function takes; ``count`` also takes to-many relations, ``json`` is a function of its own."""

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_SEPARATORS = re.compile(r"[.\[\],\s]+")
_JSON_PATH = re.compile(r"[^.\[\]*?@$\"\\]+(\.[^.\[\]*?@$\"\\]+|\[\d+\])*")


def split_path(name: str) -> tuple[str, ...]:
    """Segments of a path. A function over a path moves to its end: ``year(author.born)`` → ``author, year(born)``."""
    before, parenthesis, inside = name.partition("(")
    if not parenthesis:
        return tuple(name.split("."))
    *prefix, function = before.split(".")
    argument, comma, rest = inside.partition(",")
    *path, field = argument.removesuffix(")").strip().split(".") if not comma else argument.strip().split(".")
    closing = f", {rest.strip()}" if comma else ")"
    return (*prefix, *path, f"{function}({field}{closing}")


def function_of(segment: str) -> tuple[str | None, str, str]:
    """``(function, field, further arguments)`` of ``function(field, …)``; function None for a plain name."""
    if "(" not in segment:
        return None, segment, ""
    if not segment.endswith(")"):
        raise InvalidQuery("A function misses its closing parenthesis")
    function, _, inside = segment[:-1].partition("(")
    field, _, arguments = inside.partition(",")
    return function, field.strip(), arguments.strip()


def json_steps(path: str, max_depth: int) -> tuple[str | int, ...]:
    """Steps of a JSON path: ``items[0].name`` → ``"items", 0, "name"``."""
    if not path or not _JSON_PATH.fullmatch(path):
        raise InvalidQuery('"json" takes a field and a path of names and indexes, such as json(meta, items[0].name)')
    steps = tuple(int(index) if index else name for name, index in _STEP.findall(path))
    if len(steps) > max_depth:
        raise InvalidQuery(f"A JSON path can have {max_depth} steps at most")
    return steps


def result_key(function: str, field: str, arguments: str) -> str:
    """The key of a function's result: ``published_year``, ``meta_items_0_name_json``."""
    if function == "json":
        return f"{field}_{_SEPARATORS.sub('_', arguments).strip('_')}_json"
    return f"{field}_{function}"
