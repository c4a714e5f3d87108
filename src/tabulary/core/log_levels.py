"""The levels of log messages as clients know them (spec files-graphql-realtime-flows §2.8)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}
)


def allowed_levels(least: str) -> dict[str, int]:
    """The levels that a client may ask for, where ``least`` is the lowest of them."""
    lowest = LEVELS.get(least, LEVELS["info"])
    return {name: number for name, number in LEVELS.items() if number >= lowest}
