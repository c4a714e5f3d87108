"""Checking the bodies of routes that take no item: known members, each of its kind (spec users §2).

A body is described by its members in order; the first rule that it breaks is the answer, unknown members come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tabulary.access.addresses import AddressRules
from tabulary.core.errors import InvalidPayload

Check = Callable[[str, Any], None]
"""``check(name, value)`` raises :class:`InvalidPayload` for a value of the wrong kind."""

_GUID_V4 = re.compile(r"\{?[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}\}?", re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[\w\-.~:/?#\[\]@!$&'()*+,;=%]+", re.IGNORECASE | re.ASCII)


def read_body(body: Any, required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> dict[str, Any]:
    """A body in which nothing else may be. Raises :class:`InvalidPayload`."""
    found = read_members(body, required, optional)
    for name in found:
        if name not in required and name not in (optional or {}):
            raise InvalidPayload(f'"{name}" is not allowed')
    return found


def read_members(
    body: Any, required: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> dict[str, Any]:
    """A body that may hold more than what is described. Raises :class:`InvalidPayload`."""
    if not isinstance(body, dict):
        raise InvalidPayload('"value" must be of type object')
    for name, check in {**required, **(optional or {})}.items():
        if name in body:
            check(name, body[name])
        elif name in required:
            raise InvalidPayload(f'"{name}" is required')
    return body


def text(name: str, value: Any) -> None:
    """Text that is not empty."""
    if not isinstance(value, str):
        raise InvalidPayload(f'"{name}" must be a string')
    if not value:
        raise InvalidPayload(f'"{name}" is not allowed to be empty')


def any_text(name: str, value: Any) -> None:
    """Text, also an empty one."""
    if not isinstance(value, str):
        raise InvalidPayload(f'"{name}" must be a string')


def uri(name: str, value: Any) -> None:
    """An absolute address of any scheme."""
    text(name, value)
    if not _URI.fullmatch(value):
        raise InvalidPayload(f'"{name}" must be a valid uri')


def guid(name: str, value: Any) -> None:
    """A random UUID (version 4)."""
    text(name, value)
    if not _GUID_V4.fullmatch(value) or (value[0] == "{") != (value[-1] == "}"):
        raise InvalidPayload(f'"{name}" must be a valid GUID')


def one_of(*choices: str) -> Check:
    """One of a few words."""

    def check(name: str, value: Any) -> None:
        if value not in choices:
            raise InvalidPayload(f'"{name}" must be one of [{", ".join(choices)}]')

    return check


def email(rules: AddressRules) -> Check:
    """A valid address."""

    def check(name: str, value: Any) -> None:
        text(name, value)
        if not rules.is_valid(value):
            raise InvalidPayload(f'"{name}" must be a valid email')

    return check


def emails(rules: AddressRules) -> Check:
    """A valid address or a list of them."""
    single = email(rules)

    def check(name: str, value: Any) -> None:
        if isinstance(value, list):
            for index, entry in enumerate(value):
                single(f"{name}[{index}]", entry)
        elif isinstance(value, str):
            single(name, value)
        else:
            raise InvalidPayload(f'"{name}" must be one of [string, array]')

    return check
