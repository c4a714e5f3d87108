"""The templates in the options of operations: ``{{ $trigger.body.name }}`` (spec files-graphql-realtime-flows §4.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tabulary.core import json
from tabulary.services.flows.problems import ErrorData, FlowProblem

MAX_SEGMENTS: Final = 10
"""Parts that a path may have."""


class _Undefined:
    """What a path leads to when there is nothing; other than null, which is a value."""

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = _Undefined()

_SEGMENT = re.compile(
    r"""\s*(?:\[\s*(?:(?P<index>\d+)|'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*\]|(?P<name>[^.\[\]'"]+))\s*(?P<dot>\.(?=[^.\[]))?"""
)


def path_of(text: str) -> tuple[str, ...]:
    """The parts of a path such as ``one.list[1]['a b']``.

    Raises :class:`FlowProblem` for one that is empty, too deep or not closed.
    """
    parts: list[str] = []
    position, text = 0, text.strip()
    while position < len(text):
        found = _SEGMENT.match(text, position)
        if found is None:
            raise FlowProblem(f'The path "{text}" of a template cannot be read')
        parts.append(next(v for v in found.group("index", "single", "double", "name") if v is not None).strip())
        position = found.end()
    if not parts:
        raise FlowProblem("A template has no path between its braces")
    if len(parts) > MAX_SEGMENTS:
        raise FlowProblem(f'The path "{text}" of a template has more than {MAX_SEGMENTS} parts')
    return tuple(parts)


def find(path: tuple[str, ...], data: Any) -> Any:
    """What lies at the end of a path, :data:`UNDEFINED` when the way ends before."""
    for part in path:
        if isinstance(data, ErrorData) and part == "message":
            data = data.message
        elif isinstance(data, Mapping):
            data = data.get(part, UNDEFINED)
        elif isinstance(data, list) and part == "length":
            data = len(data)
        elif isinstance(data, list) and part.isascii() and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return UNDEFINED
    return data


def rendered(value: Any, data: Mapping[str, Any]) -> Any:
    """Options with their templates filled in; names of members stay as they are.

    A text that is one template and nothing else becomes the value itself, whatever its type.
    Raises :class:`FlowProblem` for a template that cannot be read.
    """
    if isinstance(value, str):
        return _text(value, data)
    if isinstance(value, Mapping):
        return {name: rendered(entry, data) for name, entry in value.items()}
    if isinstance(value, list):
        return [rendered(entry, data) for entry in value]
    return value


def _text(text: str, data: Mapping[str, Any]) -> Any:
    if "{{" not in text:
        return text
    pieces: list[Any] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = text.find("}}", start)
        if end < 0:
            raise FlowProblem(f'A template in "{text}" is not closed')
        inner = text[start + 2 : end]
        if "{" in inner:
            raise FlowProblem(f'A template in "{text}" has another one inside')
        found = find(path_of(inner), data)
        if start == 0 and end + 2 == len(text):
            return "undefined" if found is UNDEFINED else found
        pieces += [text[position:start], shown(found)]
        position = end + 2
    return "".join([*pieces, text[position:]])


def shown(value: Any) -> str:
    """A value as part of a text."""
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.encode(value).decode()
