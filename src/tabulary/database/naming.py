"""Names of indexes and constraints, made as the reference makes them (spec schema-and-platform §2.2)."""

from __future__ import annotations

import re
from typing import Literal

ConstraintKind = Literal["unique", "index", "foreign"]

FOREIGN_KEY_LIMIT = 60


def constraint_name(collection: str, field: str, kind: ConstraintKind, limit: int | None = None) -> str:
    """``<collection>_<field>_<kind>`` in lower case; beyond ``limit`` characters its end becomes hash and kind."""
    name = f"{re.sub(r'[.-]', '_', collection)}_{field}_{kind}".lower()
    if limit is None or len(name) <= limit:
        return name
    suffix = f"__{rolling_hash(name)}_{kind}"
    return name[: limit - len(suffix)] + suffix


def rolling_hash(text: str) -> str:
    """The absolute value, in hex, of the 32 bit hash ``h = 31·h + code unit``."""
    value = 0
    units = text.encode("utf-16-le")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return format(abs(value - (1 << 32) if value >= 1 << 31 else value), "x")
