"""What is to be done to an image, read and checked before anything is decoded.

Operations arrive as ``[method, argument, …]`` with the names, arguments and meaning of the sharp 0.34 API (spec files
§3.7). They fill in a form rather than make a chain: of several ``resize`` the last counts, and the engine works in its
own fixed order, in which only the places of ``rotate`` and ``extract`` relative to ``resize`` matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulary.core.images.arguments import Arguments, InvalidOperation
from tabulary.core.images.colours import BLACK, Colour

FITS = ("cover", "contain", "fill", "inside", "outside")
FORMATS = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png", "webp": "webp", "tiff": "tiff", "tif": "tiff", "avif": "avif"}
"""Names of formats that can be produced, and what they mean."""

_KERNELS = ("nearest", "linear", "cubic", "mitchell", "lanczos2", "lanczos3", "mks2013", "mks2021")
_SPACES = ("srgb", "b-w", "rgb16", "grey16", "lab", "cmyk", "hsv", "lch", "scrgb", "xyz")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an image, in pixels from its upper left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Resize:
    """A target size; what is None follows from the other side."""

    width: int | None
    height: int | None
    fit: str
    position: str
    background: Colour
    kernel: str
    without_enlargement: bool
    without_reduction: bool


@dataclass(frozen=True, slots=True)
class Output:
    """A format to produce and the encoder's options as they were given."""

    format: str
    options: Mapping[str, Any]


@dataclass
class Recipe:
    """Everything that an image goes through. Fields are empty for what was not asked for."""

    rotation: float | None = None
    rotation_background: Colour = BLACK
    rotate_first: bool = False
    flip: bool = False
    flop: bool = False
    trim: tuple[Colour | None, float] | None = None
    extract_before: Region | None = None
    resize: Resize | None = None
    extract_after: Region | None = None
    extend: tuple[int, int, int, int] | None = None
    extend_with: str = "background"
    extend_background: Colour = BLACK
    flatten: Colour | None = None
    negate: bool | None = None
    gamma: tuple[float, float] | None = None
    greyscale: bool = False
    median: int | None = None
    threshold: tuple[int, bool] | None = None
    blur: float | None = None
    convolve: tuple[int, list[float], float, float] | None = None
    recomb: list[list[float]] | None = None
    modulate: tuple[float, float, float, float] | None = None
    sharpen: tuple[float, ...] | None = None
    linear: tuple[list[float], list[float]] | None = None
    normalise: tuple[float, float] | None = None
    clahe: tuple[int, int, int] | None = None
    bandbool: str | None = None
    tint: Colour | None = None
    extract_channel: int | None = None
    remove_alpha: bool = False
    ensure_alpha: float | None = None
    colour_space: str | None = None
    output: Output | None = None
    turned: bool = field(default=False)
    """True when a rotation was asked for, which switches the turning by EXIF orientation off."""

    @classmethod
    def of(cls, operations: Sequence[Sequence[Any]]) -> Recipe:
        """Read operations. Raises :class:`InvalidOperation` with the method and what is wrong about it."""
        recipe = cls()
        for operation in operations:
            method = operation[0] if isinstance(operation, Sequence) and operation else None
            handler = METHODS.get(method) if isinstance(method, str) else None
            if handler is None:
                raise InvalidOperation(f'There is no transformation "{method}"')
            handler(recipe, Arguments(str(method), list(operation[1:])))
        return recipe


# --- geometry -----------------------------------------------------------------------------------
def _resize(recipe: Recipe, given: Arguments) -> None:
    width, height = given.optional_size(0, "width"), given.optional_size(1, "height")
    options = given.options(2 if not isinstance(given.value(0), Mapping) else 0)
    recipe.resize = Resize(
        width,
        height,
        options.choice("fit", FITS, "cover"),
        str(options.get("position") if options.get("position") is not None else options.get("gravity") or "centre"),
        options.colour("background", BLACK),
        options.choice("kernel", _KERNELS, "lanczos3"),
        options.flag("withoutEnlargement"),
        options.flag("withoutReduction"),
    )
    if recipe.rotation is not None:
        recipe.rotate_first = True


def _extract(recipe: Recipe, given: Arguments) -> None:
    options = given.options(0)
    left, top = options.whole("left", 0), options.whole("top", 0)
    region = Region(left, top, options.whole("width", 1), options.whole("height", 1))
    if recipe.resize is not None or recipe.extract_before is not None:
        recipe.extract_after = region
    else:
        recipe.extract_before = region
    if recipe.rotation is not None and recipe.resize is None:
        recipe.rotate_first = True


def _extend(recipe: Recipe, given: Arguments) -> None:
    if isinstance(given.value(0), int | float):
        edge = given.whole(0, 0, 20_000)
        recipe.extend = (edge, edge, edge, edge)
        return
    options = given.options(0)
    top, bottom, left, right = (options.whole(side, 0, 20_000, 0) for side in ("top", "bottom", "left", "right"))
    recipe.extend = (top, bottom, left, right)
    recipe.extend_with = options.choice("extendWith", ("background", "copy", "repeat", "mirror"), "background")
    recipe.extend_background = options.colour("background", BLACK)


def _trim(recipe: Recipe, given: Arguments) -> None:
    if isinstance(given.value(0), int | float):
        recipe.trim = (None, given.number(0, 0, 10_000))
        return
    options = given.options(0)
    background = options.colour("background", BLACK) if options.get("background") is not None else None
    recipe.trim = (background, options.number("threshold", 0, 10_000, 10.0))


def _rotate(recipe: Recipe, given: Arguments) -> None:
    if given.value(0) is None:
        return
    recipe.rotation = given.number(0, -1e6, 1e6) % 360
    recipe.rotation_background = given.options(1).colour("background", BLACK)
    recipe.turned = True


# --- colour and sharpness -----------------------------------------------------------------------
def _sharpen(recipe: Recipe, given: Arguments) -> None:
    if given.value(0) is None:
        recipe.sharpen = ()
        return
    if isinstance(given.value(0), Mapping):
        options = given.options(0)
        names = (("m1", 1.0), ("m2", 2.0), ("x1", 2.0), ("y2", 10.0), ("y3", 20.0))
        sigma = options.number("sigma", 0.000001, 10)
        recipe.sharpen = (sigma, *(options.number(name, 0, 1_000_000, default) for name, default in names))
        return
    sigma = given.number(0, 0.01, 10_000)
    recipe.sharpen = (sigma, given.number(1, 0, 10_000, 1.0), given.number(2, 0, 10_000, 2.0), 2.0, 10.0, 20.0)


def _median(recipe: Recipe, given: Arguments) -> None:
    recipe.median = given.whole(0, 1, 1000, 3)


def _blur(recipe: Recipe, given: Arguments) -> None:
    value = given.value(0)
    if value is False:
        recipe.blur = None
    elif value is None or value is True:
        recipe.blur = -1.0  # the engine's own mild blur
    elif isinstance(value, Mapping):
        recipe.blur = given.options(0).number("sigma", 0.3, 1000)
    else:
        recipe.blur = given.number(0, 0.3, 1000)


def _flatten(recipe: Recipe, given: Arguments) -> None:
    if given.value(0) is False:
        recipe.flatten = None
    else:
        recipe.flatten = (given.options(0) if isinstance(given.value(0), Mapping) else given.none()).colour(
            "background", BLACK
        )


def _gamma(recipe: Recipe, given: Arguments) -> None:
    gamma = given.number(0, 1, 3, 2.2)
    recipe.gamma = (gamma, given.number(1, 1, 3, gamma))


def _negate(recipe: Recipe, given: Arguments) -> None:
    if isinstance(given.value(0), Mapping):
        recipe.negate = given.options(0).flag("alpha", True)
    else:
        recipe.negate = None if given.value(0) is False else True


def _normalise(recipe: Recipe, given: Arguments) -> None:
    options = given.options(0)
    lower, upper = options.number("lower", 0, 99, 1.0), options.number("upper", 1, 100, 99.0)
    if lower >= upper:
        raise InvalidOperation('"normalise": "lower" has to be less than "upper"')
    recipe.normalise = (lower, upper)


def _clahe(recipe: Recipe, given: Arguments) -> None:
    options = given.options(0)
    recipe.clahe = (options.whole("width", 1), options.whole("height", 1), options.whole("maxSlope", 0, 100, 3))


def _convolve(recipe: Recipe, given: Arguments) -> None:
    options = given.options(0)
    width, height = options.whole("width", 3, 1001), options.whole("height", 3, 1001)
    kernel = options.numbers("kernel", width * height)
    scale = options.number("scale", -1e9, 1e9, sum(kernel)) or 1.0
    recipe.convolve = (width, kernel, scale, options.number("offset", -1e9, 1e9, 0.0))


def _threshold(recipe: Recipe, given: Arguments) -> None:
    value = given.value(0)
    level = 128 if value is None or value is True else 0 if value is False else given.whole(0, 0, 255)
    options = given.options(1)
    recipe.threshold = (level, options.flag("greyscale", True) and options.flag("grayscale", True))


def _linear(recipe: Recipe, given: Arguments) -> None:
    factors, offsets = given.one_or_more(0), given.one_or_more(1)
    factors = factors or [1.0] * max(1, len(offsets))
    offsets = offsets or [0.0] * len(factors)
    if len(factors) != len(offsets):
        raise InvalidOperation('"linear": the two lists have to be of the same length')
    recipe.linear = (factors, offsets)


def _recomb(recipe: Recipe, given: Arguments) -> None:
    rows = given.value(0)
    square = (
        isinstance(rows, list)
        and len(rows) in (3, 4)
        and all(isinstance(r, list) and len(r) == len(rows) for r in rows)
    )
    if not square or any(isinstance(v, bool) or not isinstance(v, int | float) for row in rows for v in row):
        raise InvalidOperation('"recomb" takes a matrix of 3x3 or 4x4 numbers')
    recipe.recomb = [[float(v) for v in row] for row in rows]


def _modulate(recipe: Recipe, given: Arguments) -> None:
    options = given.options(0)
    recipe.modulate = (
        options.number("brightness", 0, 1e6, 1.0),
        options.number("saturation", 0, 1e6, 1.0),
        options.number("hue", -1e6, 1e6, 0.0) % 360,
        options.number("lightness", -1e6, 1e6, 0.0),
    )


def _tint(recipe: Recipe, given: Arguments) -> None:
    recipe.tint = given.colour(0)


def _ensure_alpha(recipe: Recipe, given: Arguments) -> None:
    recipe.ensure_alpha = given.number(0, 0, 1, 1.0)


def _extract_channel(recipe: Recipe, given: Arguments) -> None:
    names = {"red": 0, "green": 1, "blue": 2, "alpha": 3}
    value = given.value(0)
    recipe.extract_channel = names[value] if isinstance(value, str) and value in names else given.whole(0, 0, 4)


def _colour_space(recipe: Recipe, given: Arguments) -> None:
    recipe.colour_space = given.choice(0, _SPACES)


def _to_format(recipe: Recipe, given: Arguments) -> None:
    wanted = given.value(0)
    name = wanted.get("id") if isinstance(wanted, Mapping) else wanted
    _set_output(recipe, given, str(name), given.options(1).given)


def _set_output(recipe: Recipe, given: Arguments, name: str, options: Mapping[str, Any]) -> None:
    wanted = FORMATS.get(name.lower())
    if wanted is None:
        raise InvalidOperation(f'"{given.method}": "{name}" is no format that can be produced')
    checked = Arguments(given.method, [options]).options(0)
    if options.get("quality") is not None:
        checked.whole("quality", 1, 100)
    recipe.output = Output(wanted, dict(options))


def _format(name: str) -> Handler:
    return lambda recipe, given: _set_output(recipe, given, name, given.options(0).given)


def _switch(name: str) -> Handler:
    def handler(recipe: Recipe, given: Arguments) -> None:
        setattr(recipe, name, given.value(0) is not False)

    return handler


Handler = Callable[[Recipe, Arguments], None]

METHODS: Mapping[str, Handler] = {
    "toFormat": _to_format,
    **{name: _format(name) for name in ("jpeg", "png", "tiff", "webp", "avif")},
    "resize": _resize,
    "extend": _extend,
    "extract": _extract,
    "trim": _trim,
    "rotate": _rotate,
    "flip": _switch("flip"),
    "flop": _switch("flop"),
    "sharpen": _sharpen,
    "median": _median,
    "blur": _blur,
    "flatten": _flatten,
    "gamma": _gamma,
    "negate": _negate,
    "normalise": _normalise,
    "normalize": _normalise,
    "clahe": _clahe,
    "convolve": _convolve,
    "threshold": _threshold,
    "linear": _linear,
    "recomb": _recomb,
    "modulate": _modulate,
    "tint": _tint,
    "greyscale": _switch("greyscale"),
    "grayscale": _switch("greyscale"),
    "toColorspace": _colour_space,
    "toColourspace": _colour_space,
    "removeAlpha": _switch("remove_alpha"),
    "ensureAlpha": _ensure_alpha,
    "extractChannel": _extract_channel,
    "bandbool": lambda recipe, given: setattr(recipe, "bandbool", given.choice(0, ("and", "or", "eor"))),
}
"""The operations that a request may name, in the words of the sharp API."""
