"""What a request wants done to a picture: parameters, presets, what the settings allow, and the operations that result.

The list of operations has a fixed form down to members that are undefined, for its hash names the stored variant
(spec files §3.7).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tabulary.core import json
from tabulary.core.errors import InvalidQuery
from tabulary.core.images import FORMATS, METHODS
from tabulary.core.object_hash import UNDEFINED

Given = dict[str, Any]
Operations = list[list[Any]]

NUMBERS = ("width", "height", "quality", "focal_point_x", "focal_point_y")
KEYS = ("key", "transforms", "format", "fit", "withoutEnlargement", *NUMBERS)

SYSTEM_PRESETS: Final[dict[str, Given]] = {
    f"system-{size}-{fit}": {
        "format": "auto",
        "transforms": [
            ["resize", {"width": side, "height": side, "fit": fit} if fit == "cover" else {"width": side, "fit": fit}]
        ],
    }
    for size, side in (("small", 64), ("medium", 300), ("large", 800))
    for fit in ("cover", "contain")
}

TRANSFORMABLE = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/avif")
"""Media types that are transformed; everything else is served as it is."""

_MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "avif": "image/avif",
}


def parse_given(raw: Mapping[str, Any], most_operations: int) -> Given:
    """The transformation parameters of a query string. Raises :class:`InvalidQuery` for what cannot be understood.

    Empty ones count as given (a range is ignored then) but change nothing.
    """
    given: Given = {}
    for name in KEYS:
        if name not in raw:
            continue
        value = raw[name]
        if not isinstance(value, str):
            raise InvalidQuery(f'"{name}" can be given once only')
        if name == "transforms":
            given[name] = _parsed_operations(value, most_operations)
        elif name in NUMBERS:
            given[name] = _number(name, value)
        elif name == "withoutEnlargement":
            given[name] = bool(value)  # any text, also "false", as in the reference
        else:
            given[name] = value or None
    return given


def _number(name: str, text: str) -> int | float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidQuery(f'"{name}" has to be a number')
    return int(value) if value.is_integer() else value


def _parsed_operations(text: str, most: int) -> Operations:
    try:
        value = json.decode(text)
    except ValueError:
        raise InvalidQuery('"transforms" has to be JSON: a list of [method, argument, …]') from None
    return check_operations(value, most)


def check_operations(value: Any, most: int) -> Operations:
    """A list of operations. Raises :class:`InvalidQuery` for another form, too many of them, or an unknown method."""
    if not isinstance(value, list):
        raise InvalidQuery('"transforms" has to be a list of [method, argument, …]')
    if len(value) > most:
        raise InvalidQuery(f'"transforms" can have {most} operations at most')
    for operation in value:
        if not isinstance(operation, list) or not operation or operation[0] not in METHODS:
            name = operation[0] if isinstance(operation, list) and operation else operation
            raise InvalidQuery(f'"transforms": there is no method "{name}"')
    return value


def is_plain(given: Given) -> bool:
    """True when nothing is asked for but the file as it is."""
    return not given or (list(given) == ["transforms"] and not given["transforms"])


def check_allowed(given: Given, policy: Any, presets: Sequence[Mapping[str, Any]]) -> None:
    """Raise :class:`InvalidQuery` unless the setting ``storage_asset_transform`` allows the request."""
    if is_plain(given):
        return
    known = {*SYSTEM_PRESETS, *(preset.get("key") for preset in presets)}
    key = given.get("key")
    if policy in (None, "all"):
        if key is not None and key not in known:
            raise InvalidQuery(f'There is no preset "{key}"')
        return
    allowed = known if policy == "presets" else set(SYSTEM_PRESETS)
    if set(given) != {"key"} or key not in allowed:
        raise InvalidQuery('Only images by a preset are served here: give the name of one as "key" and nothing else')


def with_preset(given: Given, presets: Sequence[Mapping[str, Any]]) -> Given:
    """The parameters of the preset that ``key`` names, with those of the request laid over."""
    key = given.get("key")
    found = SYSTEM_PRESETS.get(str(key)) or next((preset for preset in presets if preset.get("key") == key), {})
    merged = {name: value for name, value in found.items() if name in KEYS and value is not None}
    merged |= {name: value for name, value in given.items() if value is not None}
    return merged


def operations_for(wanted: Given, row: Mapping[str, Any], accept: str) -> Operations:
    """The operations for a picture in their canonical form; empty when it is served as it is."""
    operations: Operations = [list(operation) for operation in wanted.get("transforms") or ()]
    if wanted.get("format") or wanted.get("quality") is not None:
        operations.append(
            ["toFormat", _format(wanted.get("format"), row, accept), {"quality": _known(wanted.get("quality"))}]
        )
    width, height = wanted.get("width"), wanted.get("height")
    if (width is not None or height is not None) and row.get("width") and row.get("height"):
        operations += _resize(wanted, row, width, height)
    return operations


def _format(name: Any, row: Mapping[str, Any], accept: str) -> str:
    source = str(row.get("type") or "").partition("/")[2]
    if not name:
        return source
    if name != "auto":
        return str(name)
    for offered in ("avif", "webp"):
        if f"image/{offered}" in accept:
            return offered
    return "png" if source in ("avif", "webp", "tiff") else source


def _resize(wanted: Given, row: Mapping[str, Any], width: Any, height: Any) -> Operations:
    if wanted.get("withoutEnlargement"):
        width = None if width is None else min(width, row["width"])
        height = None if height is None else min(height, row["height"])
    focal = [
        wanted.get(name) if wanted.get(name) is not None else row.get(name)
        for name in ("focal_point_x", "focal_point_y")
    ]
    options = {"fit": _known(wanted.get("fit")), "withoutEnlargement": _known(wanted.get("withoutEnlargement"))}
    if width and height and wanted.get("fit") in (None, "cover") and None not in focal and width > 0 and height > 0:
        factor = min(row["height"] / height, row["width"] / width)
        across, down = _rounded(row["width"] / factor), _rounded(row["height"] / factor)
        region = {
            "left": _within(_rounded(focal[0] / factor - width / 2), across - width),
            "top": _within(_rounded(focal[1] / factor - height / 2), down - height),
            "width": width,
            "height": height,
        }
        return [["resize", {"width": across, "height": down, **options}], ["extract", region]]
    return [["resize", {"width": _known(width), "height": _known(height), **options}]]


def _known(value: Any) -> Any:
    return UNDEFINED if value is None else value


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


def _within(value: int, most: int) -> int:
    return max(0, min(value, most))


def without_undefined(value: Any) -> Any:
    """The operations as plain values, for the image engine."""
    if isinstance(value, dict):
        return {name: without_undefined(entry) for name, entry in value.items() if entry is not UNDEFINED}
    return [without_undefined(entry) for entry in value] if isinstance(value, list) else value


def produced(operations: Operations) -> str | None:
    """The format that the operations ask for, by the name they use, or None for that of the source."""
    name: str | None = None
    for method, *arguments in operations:
        if method == "toFormat" and arguments:
            name = str(arguments[0].get("id") if isinstance(arguments[0], dict) else arguments[0])
        elif method in _MEDIA_TYPES:
            name = method
    return name


def media_type_of(format_name: str) -> str | None:
    return _MEDIA_TYPES.get(FORMATS.get(format_name.lower(), ""))
