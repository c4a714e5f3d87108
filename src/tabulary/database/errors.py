"""What a driver's exception means, in words that services understand (spec items-and-query §8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tabulary.core.errors import ServiceUnavailable, UnprocessableContent

ProblemKind = Literal[
    "unique", "foreign_key", "not_null", "contains_null", "too_long", "out_of_range", "invalid", "keys_used_up"
]
"""``invalid``: a value that its column's type cannot be, such as ``abc`` for a number; ``keys_used_up``: a table that
counts its keys itself has arrived at the greatest."""


UNFIT: Final[frozenset[ProblemKind]] = frozenset({"invalid", "out_of_range"})
"""The value is one that its column can never hold, so that no row can have it."""


@dataclass(frozen=True, slots=True)
class DatabaseProblem:
    """A broken constraint or a value of the wrong type. Names are None where the database does not tell them.

    ``field`` may hold several names (``a, b``) for a key of several columns. ``is_primary``: it is the primary key.
    """

    kind: ProblemKind
    collection: str | None = None
    field: str | None = None
    value: str | None = None
    is_primary: bool = False


class ConnectionLost(ServiceUnavailable):
    """The server went away, or cannot be reached. What was open is rolled back; the next request connects again."""

    def __init__(self) -> None:
        super().__init__("database", "The connection to the database was lost; try again in a moment")


class StorageFull(ServiceUnavailable):
    """The database cannot write because its disk is full. The transaction is rolled back; reads go on."""

    def __init__(self) -> None:
        super().__init__("database", "The database has no space left on its disk")


class KeysUsedUp(UnprocessableContent):
    """A table cannot give a new row a key: its counter has arrived at the end. The transaction is rolled back."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f'"{table}" has no keys left to give: an item has the greatest there can be. '
            "Give new items keys of their own, or delete that item and set the counter of the table back"
        )
