"""What a snapshot and a difference must look like before anything is done with them (spec §3.2, §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulary.core.errors import InvalidPayload
from tabulary.schema.snapshot import LISTS, VENDORS
from tabulary.schema.types import FIELD_TYPES

_MEMBERS: Mapping[str, frozenset[str]] = {
    "collections": frozenset(("collection", "meta", "schema")),
    "fields": frozenset(("collection", "field", "type", "meta", "schema")),
    "systemFields": frozenset(("collection", "field", "schema")),
    "relations": frozenset(("collection", "field", "related_collection", "meta", "schema")),
}
_REQUIRED_OF_KIND = {"N": ("rhs",), "D": ("lhs",), "E": ("lhs", "rhs"), "A": ("index", "item")}


def check_snapshot(given: Any) -> dict[str, Any]:
    """The snapshot, if it is one. Raises :class:`InvalidPayload`."""
    if not isinstance(given, dict) or not given:
        raise InvalidPayload("No data was included in the body")
    _only(given, {"version", "directus", "vendor", *LISTS})
    if given.get("version") != 1:
        raise InvalidPayload('"version" must be 1')
    if not isinstance(given.get("directus"), str):
        raise InvalidPayload('"directus" is required')
    if "vendor" in given and given["vendor"] not in VENDORS:
        raise InvalidPayload(f'"vendor" must be one of {", ".join(VENDORS)}')
    for name in LISTS:
        for entry in _entries(given.get(name, []), name):
            _only(entry, _MEMBERS[name])
            if name == "fields" and entry.get("type") not in FIELD_TYPES:
                raise InvalidPayload(f'"{name}.type" must be one of {", ".join(sorted(FIELD_TYPES))}')
    return given


def check_plan(given: Any) -> dict[str, Any]:
    """``{hash, diff}``, if it is one. Raises :class:`InvalidPayload`."""
    if not isinstance(given, dict) or not given:
        raise InvalidPayload("No data was included in the body")
    _only(given, {"hash", "diff"})
    if not isinstance(given.get("hash"), str):
        raise InvalidPayload('"hash" is required')
    diff = given.get("diff")
    if not isinstance(diff, dict):
        raise InvalidPayload('"diff" is required')
    _only(diff, set(LISTS))
    for name in LISTS:
        if name not in diff:
            raise InvalidPayload(f'"diff.{name}" is required')
        for entry in _entries(diff[name], f"diff.{name}"):
            _check_elements(name, entry)
    return given


def _check_elements(name: str, entry: dict[str, Any]) -> None:
    if name != "collections" and not isinstance(entry.get("field"), str):
        raise InvalidPayload(f'"diff.{name}.field" is required')
    elements = entry.get("diff")
    if not isinstance(elements, list) or not elements:
        raise InvalidPayload(f'"diff.{name}.diff" is required')
    for element in elements:
        kind = element.get("kind") if isinstance(element, dict) else None
        if kind not in _REQUIRED_OF_KIND:
            raise InvalidPayload(f'"diff.{name}.diff.kind" must be one of N, D, E, A')
        for member in _REQUIRED_OF_KIND[kind]:
            if member not in element:
                raise InvalidPayload(f'"diff.{name}.diff.{member}" is required')
        _check_element(element, f"diff.{name}.diff", _MEMBERS[name])
        if name == "systemFields" and (kind != "E" or element.get("path") != ["schema", "is_indexed"]):
            raise InvalidPayload('Only "schema.is_indexed" may be modified for system fields')


def _check_element(element: Mapping[str, Any], name: str, members: frozenset[str]) -> None:
    """A whole object is one; a part of it is led to by member names and places in lists."""
    path = element.get("path", [])
    if not isinstance(path, list) or not all(isinstance(step, str | int) for step in path):
        raise InvalidPayload(f'"{name}.path" must be a list of names and numbers')
    if element["kind"] == "N" and not path:
        _check_object(element["rhs"], f"{name}.rhs")
    elif element["kind"] in ("E", "A") and (not path or path[0] not in members):
        raise InvalidPayload(f'"{name}.path" must lead to one of {", ".join(sorted(members))}')
    if element["kind"] == "A" and not (isinstance(element["item"], dict) and isinstance(element["index"], int)):
        raise InvalidPayload(f'"{name}.item" must be an object, "{name}.index" a number')


def _check_object(given: Any, name: str) -> None:
    if not isinstance(given, dict):
        raise InvalidPayload(f'"{name}" must be an object')
    for member in ("meta", "schema"):
        if not isinstance(given.get(member), dict | None):
            raise InvalidPayload(f'"{name}.{member}" must be an object or null')


def _entries(given: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise InvalidPayload(f'"{name}" must be an array')
    for entry in given:
        if not isinstance(entry, dict) or not isinstance(entry.get("collection"), str):
            raise InvalidPayload(f'"{name}.collection" is required')
    return given


def _only(given: Mapping[str, Any], names: Any) -> None:
    for name in given:
        if name not in names:
            raise InvalidPayload(f'"{name}" is not allowed')
