"""Selections: an answer's exact shape, chosen member by member, for interfaces with names and formats of their own.

``fields`` lists say *what* to read and leave the form to the wire format of REST. A selection (``Level.select``) also
says under which key and in which form each member goes out, so that the database's JSON is the finished answer:
GraphQL's aliases, ``ID`` as text, decimals as numbers, ``published_func { year }`` as an object. :func:`fields_of` is
the same selection as a field list and :func:`shaped` makes its shape in memory, for reads that some Python code has
to see first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["value", "text", "number", "word", "parts", "related", "any"]
"""How a member goes out.

``value``: as REST shows it; ``text``, ``number``: converted; ``word``: ``name`` itself, or null without one; ``parts``:
functions of the field as an object; ``related``: object or list of objects; ``any``: the item of a M2A relation.
"""


@dataclass(frozen=True, slots=True)
class Pick:
    """One chosen member.

    Attributes:
        key: its name in the answer.
        name: the field (of ``word``: the text; inside ``parts``: the function).
        picks: members of ``related`` and ``parts``.
        scopes: members of ``any``, for each collection that the item may come from.
        by: for ``any``, the field that names the item's collection.
    """

    key: str
    name: str = ""
    form: Form = "value"
    picks: tuple[Pick, ...] = ()
    scopes: tuple[tuple[str, tuple[Pick, ...]], ...] = ()
    by: str = ""


def fields_of(picks: Sequence[Pick], prefix: str = "") -> Iterator[str]:
    """The selection as names for ``fields``; a relation goes by its key, which ``alias`` has to explain."""
    for pick in picks:
        if pick.form == "parts":
            yield from (f"{prefix}{part.name}({pick.name})" for part in pick.picks if part.form != "word")
        elif pick.form == "related":
            yield from _fields_below(pick.picks, f"{prefix}{pick.key}")
        elif pick.form == "any":
            yield f"{prefix}{pick.by}"
            for collection, picks_ in pick.scopes:
                yield from _fields_below(picks_, f"{prefix}{pick.key}:{collection}")
        elif pick.form != "word":
            yield f"{prefix}{pick.name}"


def _fields_below(picks: Sequence[Pick], path: str) -> Iterator[str]:
    found = list(fields_of(picks, f"{path}."))
    yield from found or [path]


def shaped(row: Any, picks: Sequence[Pick], aliased: bool = True) -> Any:
    """A row (or list of rows) as REST would show it, in the shape of the selection.

    ``aliased``: relations are in the row under their key already, because ``alias`` asked for that; else by name.
    """
    if isinstance(row, list):
        return [shaped(entry, picks, aliased) for entry in row]
    if row is None:
        return None
    if not isinstance(row, Mapping):  # a bare key: nothing but names was chosen
        row = {}
    return {pick.key: _member(row, pick, aliased) for pick in picks}


def _member(row: Mapping[str, Any], pick: Pick, aliased: bool) -> Any:
    if pick.form == "word":
        return pick.name or None
    if pick.form == "parts":
        return {
            part.key: part.name if part.form == "word" else as_number(row.get(f"{pick.name}_{part.name}"))
            for part in pick.picks
        }
    if pick.form == "related":
        return shaped(row.get(pick.key if aliased else pick.name), pick.picks, aliased)
    if pick.form == "any":
        return shaped(row.get(pick.key), dict(pick.scopes).get(str(row.get(pick.by)), ()))
    value = row.get(pick.name)
    if pick.form == "text":
        return as_text(value)
    return as_number(value) if pick.form == "number" else value


def as_text(value: Any) -> Any:
    """A scalar as text; null and JSON structures stay what they are."""
    if value is None or isinstance(value, str | dict | list):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def as_number(value: Any) -> Any:
    """A number, also one that came as text. What is none stays what it is."""
    if not isinstance(value, str):
        return value
    for cast in (int, float):
        try:
            return cast(value)
        except ValueError:
            continue
    return value
