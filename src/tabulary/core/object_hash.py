"""The hash of a structure that the reference names stored variants and versions by (spec files §3.7).

A structure is written as a stream of typed texts, in which objects carry their prototype as JavaScript sees it; the
SHA-1 of that stream is the hash. What is undefined in JavaScript is :data:`UNDEFINED` here: it counts, unlike a missing
member.
"""

from __future__ import annotations

import math
from decimal import Decimal
from hashlib import sha1
from typing import Any, Final


class _Marker:
    """A value that is only itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


UNDEFINED: Final = _Marker("UNDEFINED")
_PROTOTYPE: Final = _Marker("PROTOTYPE")
_CONSTRUCTOR: Final = _Marker("CONSTRUCTOR")


def object_hash(value: Any) -> str:
    """The hash, 40 hexadecimal digits, of a structure of JSON values and :data:`UNDEFINED`."""
    stream = _Stream()
    stream.value(value)
    return sha1("".join(stream.parts).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


class _Stream:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.seen: list[Any] = []

    def value(self, value: Any) -> None:
        if value is UNDEFINED:
            self.parts.append("Undefined")
        elif value is None:
            self.parts.append("Null")
        elif isinstance(value, bool):
            self.parts.append(f"bool:{str(value).lower()}")
        elif isinstance(value, int | float):
            self.parts.append(f"number:{js_number(value)}")
        elif isinstance(value, str):
            self.text(value)
        else:
            self.structure(value)

    def text(self, text: str) -> None:
        units = len(text.encode("utf-16-le", "surrogatepass")) // 2
        self.parts.append(f"string:{units}:{text}")

    def structure(self, value: Any) -> None:
        if value is _CONSTRUCTOR:
            self.parts.append("fn:")
            self.text("[native]")
            self.text("function-name:Object")
        for index, earlier in enumerate(self.seen):
            if earlier is value:
                self.text(f"[CIRCULAR:{index}]")
                return
        self.seen.append(value)
        if isinstance(value, list | tuple):
            self.parts.append(f"array:{len(value)}:")
            for entry in value:
                self.value(entry)
        elif value is _CONSTRUCTOR:
            self.parts.append("object:0:")
        else:
            self.members({} if value is _PROTOTYPE else value, None if value is _PROTOTYPE else _PROTOTYPE)

    def members(self, members: dict[str, Any], prototype: Any) -> None:
        self.parts.append(f"object:{len(members) + 3}:")
        names = sorted(members, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        head = [("prototype", UNDEFINED), ("__proto__", prototype), ("constructor", _CONSTRUCTOR)]
        for name, value in [*head, *((name, members[name]) for name in names)]:
            self.text(name)
            self.parts.append(":")
            self.value(value)
            self.parts.append(",")


def js_number(number: int | float) -> str:
    """A number as JavaScript writes it: ``1.0`` is ``1``, ``1e-07`` is ``1e-7``, 2**60 is ``1152921504606847000``."""
    if isinstance(number, int) and abs(number) < 2**53:
        return str(number)
    number = float(number)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    shortest = Decimal(repr(number or 0.0)).normalize()
    return format(shortest, "f" if number == 0 or 1e-6 <= abs(number) < 1e21 else "e")
