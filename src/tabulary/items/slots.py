"""Late binding: every literal of a plan is a named parameter with a slot that knows its source and its cast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tabulary.core.errors import InvalidQuery
from tabulary.database.dialects.base import Caster, Dialect
from tabulary.items.conditions import Bound, Constant
from tabulary.items.filter import Null, Value, Variable

OFFSET = "offset_"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a parameter's value comes from: the request's list, or a variable (``place`` in it when it is a list)."""

    source: int | Variable
    place: int | None
    cast: Caster


class Slots:
    """Collects the slots of one statement. ``signature`` tells which variables are null or lists (and how long)."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.slots: dict[str, Slot] = {}
        self.signature: Mapping[Variable, int | None] = {}

    def bind(self, operand: Bound, cast: Caster) -> sa.ColumnElement[Any] | None:
        """The parameter of one operand; None when its value is null."""
        found = self.bind_all((operand,), cast)
        return found[0] if found else None

    def bind_all(self, operands: Sequence[Bound], cast: Caster) -> list[sa.ColumnElement[Any] | None]:
        """Parameters of a list of operands, variables that are lists spread out; None stands for null."""
        found: list[sa.ColumnElement[Any] | None] = []
        for operand in operands:
            if isinstance(operand, Null):
                found.append(None)
            elif isinstance(operand, Value):
                found.append(self._slot(Slot(operand.index, None, cast)))
            elif isinstance(operand, Constant):
                found += [
                    self._constant(v, cast)
                    for v in (operand.value if isinstance(operand.value, list) else [operand.value])
                ]
            else:
                found += self._variable(operand, cast)
        return found

    def constant(self, value: Any) -> sa.ColumnElement[Any]:
        """A value that is part of the plan itself."""
        return sa.bindparam(None, value, unique=True)

    def _constant(self, value: Any, cast: Caster) -> sa.ColumnElement[Any] | None:
        return None if value is None else self.constant(_cast(cast, value))

    def _variable(self, operand: Variable, cast: Caster) -> list[sa.ColumnElement[Any] | None]:
        size = self.signature.get(operand, -1)
        if size is None:
            return [None]
        if size < 0:
            return [self._slot(Slot(operand, None, cast))]
        return [self._slot(Slot(operand, place, cast)) for place in range(size)]

    def _slot(self, slot: Slot) -> sa.ColumnElement[Any]:
        name = f"s{len(self.slots)}_"
        self.slots[name] = slot
        return sa.bindparam(name)


def signature_of(variables: Mapping[Variable, Any]) -> dict[Variable, int | None]:
    """What changes SQL about variables: None = null, -1 = one value, n = a list of n."""
    return {k: None if v is None else len(v) if isinstance(v, list | tuple) else -1 for k, v in variables.items()}


def fill(
    slots: Mapping[str, Slot],
    values: Sequence[Any],
    variables: Mapping[Variable, Any],
    constants: Mapping[str, Any] | None,
    names: Sequence[str],
    offset: int,
) -> list[Any]:
    """The driver's values in order. Raises :class:`InvalidQuery` for a value that its column cannot be compared to."""
    found: list[Any] = []
    for name in names:
        slot = slots.get(name)
        if slot is None:
            found.append(offset if name == OFFSET else (constants or {})[name])
            continue
        value = values[slot.source] if isinstance(slot.source, int) else variables[slot.source]
        found.append(_cast(slot.cast, value if slot.place is None else value[slot.place]))
    return found


def _cast(cast: Callable[[Any], Any], value: Any) -> Any:
    try:
        return cast(value)
    except (ValueError, OverflowError):
        shown = str(value)
        raise InvalidQuery(f'"{shown[:100]}" can\'t be compared with this field') from None
