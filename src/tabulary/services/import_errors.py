"""Errors of an import, gathered by what they say and told with the rows they are about (spec items-and-query §9.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulary.core import json
from tabulary.core.errors import ErrorGroup, TabularyError

_KEPT = ("field", "type", "valid", "invalid", "substring")
_SHORTEST_RANGE = 4


class RowsError(TabularyError):
    """An error of one or more rows, under the code of the error that each of them met."""

    status = 400

    def __init__(self, error: TabularyError, rows: Sequence[int]) -> None:
        kept = {name: error.extensions[name] for name in _KEPT if name in error.extensions}
        super().__init__(f"{error.message} ({_spoken(rows)})", **kept, rows=row_ranges(rows))
        self.error = error

    def as_dict(self) -> dict[str, Any]:
        return {"message": self.message, "extensions": {**self.extensions, "code": self.error.code}}


@dataclass
class ImportErrors:
    """Takes the errors of rows; errors about the same field that say the same become one.

    Args:
        limit: errors of rows after which it is enough (``MAX_IMPORT_ERRORS``).
    """

    limit: int
    _groups: dict[bytes, tuple[TabularyError, list[int]]] = field(default_factory=dict)
    _count: int = 0
    _fatal: Exception | None = None

    def __bool__(self) -> bool:
        return self._fatal is not None or bool(self._groups)

    def add(self, problem: Exception, row: int) -> bool:
        """Take the error of a row (the first is 1). False when the import need not go on."""
        for error in problem.errors if isinstance(problem, ErrorGroup) else [problem]:
            if not isinstance(error, TabularyError) or error.extensions.get("field") is None:
                self._fatal = _with_row(error, row)
                return False
            told = {name: error.extensions.get(name) for name in _KEPT}
            rows = self._groups.setdefault(json.encode([error.code, told]), (error, []))[1]
            if row not in rows[-1:]:
                rows.append(row)
            self._count += 1
        return self._count < self.limit

    def raise_all(self) -> None:
        """Raise what there is: the one error that stopped the import, else all of them; nothing when there is none."""
        if self._fatal is not None:
            raise self._fatal
        if self._groups:
            raise ErrorGroup([RowsError(error, rows) for error, rows in self._groups.values()])


def _with_row(error: Exception, row: int) -> Exception:
    """The error with its row in the text; its extensions are those of any request."""
    if isinstance(error, TabularyError):
        error.message = f"{error.message} ({_spoken([row])})"
        error.args = (error.message,)
    return error


def row_ranges(rows: Sequence[int]) -> list[dict[str, Any]]:
    """Ascending row numbers as the wire format has them: ranges of four or more, and one list of all others."""
    ranges: list[dict[str, Any]] = []
    lines: list[int] = []
    for start, end in _runs(rows):
        if end - start + 1 >= _SHORTEST_RANGE:
            ranges.append({"type": "range", "start": start, "end": end})
        else:
            lines += range(start, end + 1)
    return [*ranges, {"type": "lines", "rows": lines}] if lines else ranges


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = None
    for place, row in enumerate(rows):
        start = row if start is None else start
        if place + 1 == len(rows) or rows[place + 1] != row + 1:
            yield start, row
            start = None


def _spoken(rows: Sequence[int]) -> str:
    parts = [str(start) if start == end else f"{start} to {end}" for start, end in _runs(rows)]
    shown = ", ".join(parts[:20]) + (" …" if len(parts) > 20 else "")
    return f"row {shown}" if len(rows) == 1 else f"rows {shown}"
