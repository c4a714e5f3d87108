"""The arguments of one image operation, taken by place or by name and checked with one wording of errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tabulary.core.images.colours import Colour, parse_colour

REQUIRED = object()


class InvalidOperation(ValueError):
    """An operation that does not exist or cannot work so; the text names it and says what it takes."""


class _Checks:
    """Checks of one value, shared by arguments by place and by name."""

    method: str

    def _fail(self, name: object, wanted: str) -> InvalidOperation:
        return InvalidOperation(f'"{self.method}": "{name}" has to be {wanted}')

    def _whole(self, name: object, value: Any, low: int, high: int | None, default: Any) -> int:
        number = self._number(name, value, low, math.inf if high is None else high, default)
        if number != int(number):
            raise self._fail(name, "a whole number")
        return int(number)

    def _number(self, name: object, value: Any, low: float, high: float, default: Any) -> float:
        if value is None and default is not REQUIRED:
            return float(default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._fail(name, f"a number from {low:g}" + (f" to {high:g}" if high < math.inf else " up"))
        if not math.isfinite(value):
            raise self._fail(name, "a finite number")
        return float(value)

    def _choice(self, name: object, value: Any, options: Sequence[str], default: Any) -> str:
        if value is None and default is not REQUIRED:
            return str(default)
        if not isinstance(value, str) or value not in options:
            raise self._fail(name, f"one of {', '.join(options)}")
        return value

    def _colour(self, name: object, value: Any, default: Colour | None) -> Colour:
        if value is None and default is not None:
            return default
        try:
            return parse_colour(value)
        except ValueError:
            raise self._fail(name, "a colour, such as #ff0000") from None


class Arguments(_Checks):
    """Arguments by place; ``value`` is None for what was not given."""

    def __init__(self, method: str, values: list[Any]) -> None:
        self.method = method
        self._values = values

    def value(self, place: int) -> Any:
        return self._values[place] if place < len(self._values) else None

    def whole(self, place: int, low: int, high: int | None = None, default: Any = REQUIRED) -> int:
        return self._whole(place + 1, self.value(place), low, high, default)

    def number(self, place: int, low: float, high: float, default: Any = REQUIRED) -> float:
        return self._number(place + 1, self.value(place), low, high, default)

    def choice(self, place: int, options: Sequence[str]) -> str:
        return self._choice(place + 1, self.value(place), options, REQUIRED)

    def colour(self, place: int) -> Colour:
        return self._colour(place + 1, self.value(place), None)

    def one_or_more(self, place: int) -> list[float]:
        """A number or a list of numbers as a list; empty for neither."""
        value = self.value(place)
        if value is None:
            return []
        values = value if isinstance(value, list) else [value]
        return [self._number(place + 1, entry, -1e9, 1e9, REQUIRED) for entry in values[:8]]

    def optional_size(self, place: int, name: str) -> int | None:
        """A side of a size, by place or as ``name`` of an object in the first place."""
        first = self.value(0)
        if isinstance(first, Mapping):
            value = first.get(name)
        else:
            value = self.value(place)
            if isinstance(value, Mapping):
                return None
        if value is None:
            return None
        number = self._whole(name, value, 1, None, REQUIRED)
        if number > 1 << 24:
            raise self._fail(name, "smaller")
        return number

    def options(self, place: int) -> Options:
        """The object in a place; one without members when there is none."""
        value = self.value(place)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self._fail(place + 1, "an object of options")
        return Options(self.method, value)

    def none(self) -> Options:
        return Options(self.method, {})


class Options(_Checks):
    """Arguments by name."""

    def __init__(self, method: str, given: Mapping[str, Any]) -> None:
        self.method = method
        self.given = given

    def get(self, name: str) -> Any:
        return self.given.get(name)

    def whole(self, name: str, low: int, high: int | None = None, default: Any = REQUIRED) -> int:
        return self._whole(name, self.given.get(name), low, high, default)

    def number(self, name: str, low: float, high: float, default: Any = REQUIRED) -> float:
        return self._number(name, self.given.get(name), low, high, default)

    def numbers(self, name: str, count: int) -> list[float]:
        values = self.given.get(name)
        if not isinstance(values, list) or len(values) != count:
            raise self._fail(name, f"a list of {count} numbers")
        return [self._number(name, value, -1e9, 1e9, REQUIRED) for value in values]

    def choice(self, name: str, options: Sequence[str], default: str) -> str:
        return self._choice(name, self.given.get(name), options, default)

    def colour(self, name: str, default: Colour) -> Colour:
        return self._colour(name, self.given.get(name), default)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.given.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._fail(name, "true or false")
        return value
