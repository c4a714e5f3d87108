"""Settings: defaults, then the environment, then a file, each value cast by its name or its look.

The names and rules are the reference's (spec schema-and-platform §6), so that a Directus ``.env`` works unchanged.
A :class:`Settings` object is immutable, belongs to one Tabulary object, and never shows secrets.
"""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tabulary.core import durations, json
from tabulary.core.errors import ConfigurationError
from tabulary.core.settings_defaults import DEFAULTS, GROUP_PREFIXES, HARMLESS_PARTS, SECRET_PARTS, TYPES

_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_LARGEST_SAFE = 2**53 - 1


class Settings(Mapping[str, Any]):
    """All settings of one Tabulary object, typed. ``settings["NAME"]`` is None for a known name without value."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._given = dict(values)
        self._values = {**DEFAULTS, **self._given}
        if self._given.get("DATABASE_URL") and not self._given.get("DB_CLIENT"):
            self._values["DB_CLIENT"] = None  # the default client is for those who say nothing at all
        self.secret_is_random = not self._values.get("SECRET")
        if self.secret_is_random:
            self._values["SECRET"] = secrets.token_urlsafe(24)

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, path: str | Path | None = None) -> Settings:
        """Settings of a process: environment, then the file (``CONFIG_PATH``, default ``.env``), which wins.

        Raises :class:`ConfigurationError` when a file cannot be read or understood.
        """
        raw: dict[str, Any] = dict(os.environ if env is None else env)
        raw.update(_file_values(Path(path or raw.get("CONFIG_PATH") or ".env")))
        return cls(dict(_resolved(name, value) for name, value in raw.items()))

    @classmethod
    def of(cls, **values: Any) -> Settings:
        """Settings made in Python, without environment and file. Names may be lower case; text is cast as usual."""
        return cls({name.upper(): cast(name.upper(), value) for name, value in values.items()})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.shown().items() if name in self._given)
        return f"Settings({shown})"

    def shown(self) -> dict[str, Any]:
        """All values with secrets masked, for people."""
        return {n: "**********" if v is not None and is_secret(n) else v for n, v in sorted(self._values.items())}

    def is_given(self, name: str) -> bool:
        """True when the value was set, False when it is the default."""
        return name in self._given

    def with_values(self, **values: Any) -> Settings:
        """A copy in which ``values`` win."""
        return Settings({**self._given, **{k.upper(): cast(k.upper(), v) for k, v in values.items()}})

    def duration(self, name: str) -> int | None:
        """A duration setting in milliseconds."""
        return durations.milliseconds(self._values.get(name))

    def size(self, name: str) -> int | None:
        """A size setting in bytes."""
        return durations.size(self._values.get(name))

    def group(self, prefix: str) -> dict[str, Any]:
        """Options of a group by the rest of their names: ``DB_POOL__MAX`` becomes ``{"pool": {"max": …}}`` of ``DB_``.

        Names without a value are left out.
        """
        options: dict[str, Any] = {}
        for name, value in self._values.items():
            if name.startswith(prefix) and value is not None:
                *parents, last = (_camel(part) for part in name[len(prefix) :].split("__"))
                place = options
                for parent in parents:
                    if not isinstance(place.get(parent), dict):
                        place[parent] = {}
                    place = place[parent]
                place[last] = value
        return options


def is_secret(name: str) -> bool:
    """True for names whose values must not be shown."""
    return any(part in name for part in SECRET_PARTS) and not any(part in name for part in HARMLESS_PARTS)


def cast(name: str, value: Any) -> Any:
    """The typed value of a setting: by prefix (``number:5``), by the name's fixed type, else by its look (§6.1)."""
    if not isinstance(value, str):
        return value
    prefix, separator, rest = value.partition(":")
    if separator and prefix in _CASTS:
        return _CASTS[prefix](rest)
    return _CASTS[TYPES[name]](value) if name in TYPES else _guess(value)


def _guess(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith(("{", "[")) or text in ("null", '""'):
        try:
            return json.decode(text)
        except ValueError:
            pass
    if (number := _number(text)) is not None and not math.isnan(number):
        return number
    return _list(text) if "," in text else text


def _number(text: str) -> int | float | None:
    if not text or not _NUMBER.fullmatch(text) or text in "+-":
        return None
    value = float(text)
    if abs(value) > _LARGEST_SAFE:
        return None
    return int(value) if value.is_integer() else value


def _to_number(text: str) -> int | float:
    stripped = text.strip()
    if stripped in ("Infinity", "-Infinity"):
        return float(stripped)
    try:
        value = float(stripped or "0")
    except ValueError:
        return math.nan
    return int(value) if value.is_integer() else value


def _list(text: str) -> list[Any]:
    return [cast("", part.strip()) for part in text.split(",") if part.strip()]


def _json(text: str) -> Any:
    try:
        return json.decode(text)
    except ValueError:
        return None


_CASTS: dict[str, Any] = {
    "string": str,
    "number": _to_number,
    "boolean": lambda text: text in ("true", "1"),
    "regex": lambda text: re.compile(text),
    "array": _list,
    "json": _json,
}


def _resolved(name: str, value: Any) -> tuple[str, Any]:
    """Follow ``<NAME>_FILE`` to the value in that file (its trailing newline stays: it may be part of a secret)."""
    target = name.removesuffix("_FILE")
    if target == name or not isinstance(value, str) or not _is_known(target):
        return name, cast(name, value)
    prefix, separator, rest = value.partition(":")
    chosen = separator and prefix in _CASTS
    try:
        content = Path(rest if chosen else value).read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{name}: cannot read {rest if chosen else value}") from problem
    return target, _CASTS[prefix](content) if chosen else cast(target, content)


def _is_known(name: str) -> bool:
    return name in DEFAULTS or name in TYPES or name.startswith(GROUP_PREFIXES)


def _file_values(path: Path) -> dict[str, Any]:
    """The names of a configuration file; an absent file has none."""
    if not path.is_file():
        return {}
    try:
        if path.suffix == ".json":
            values = json.decode(path.read_text())
        elif path.suffix in (".yaml", ".yml"):
            import yaml  # here, like dotenv, because few starts need it and it is slow to load

            values = yaml.safe_load(path.read_text())
        elif path.suffix in (".js", ".mjs", ".cjs"):
            raise ConfigurationError(f"{path}: JavaScript configuration is not supported; use .env, .json or .yaml")
        else:
            from dotenv import dotenv_values

            values = dict(dotenv_values(path, interpolate=False))
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"{path}: cannot be read as configuration") from problem
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: the top level has to be an object")
    return {str(k): "" if v is None else v for k, v in values.items()}


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)
