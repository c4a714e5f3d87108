"""What a recipe does to the colours and the sharpness of an image, once it has its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tabulary.core.images.colours import Colour
from tabulary.core.images.library import vips
from tabulary.core.images.recipe import Recipe

Step = Callable[[Any], Any]


def in_rgb(image: Any) -> Any:
    """The image in 8 bits of sRGB or grey, whatever space and profile it came in."""
    if image.get_typeof("icc-profile-data") and image.interpretation not in ("labs", "grey16"):
        with suppress(vips.Error):  # a broken profile: the plain numbers are what is left
            image = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8)
    if image.interpretation in ("b-w", "grey16"):
        return image.colourspace("b-w")
    return image if image.interpretation == "srgb" and image.format == "uchar" else image.colourspace("srgb")


def with_background(image: Any, colour: Colour) -> tuple[Any, Sequence[float]]:
    """The image with as many bands as it needs for the colour, and the colour in those bands."""
    red, green, blue, alpha = colour
    if alpha < 1 and not image.hasalpha():
        image = image.addalpha()
    bands = image.bands - (1 if image.hasalpha() else 0)
    if bands < 3 and not red == green == blue:
        image, bands = image.colourspace("srgb"), 3
    values = [red, green, blue] if bands >= 3 else [red]
    return image, [*values, alpha * 255] if image.hasalpha() else values


def early(image: Any, recipe: Recipe) -> Any:
    """What happens before an image is made smaller."""
    if recipe.flatten is not None and image.hasalpha():
        image = image.flatten(background=list(recipe.flatten[:3])[: max(1, image.bands - 1)])
    if recipe.negate is not None:
        image = image.invert() if recipe.negate else _on_colours(image, lambda colours: colours.invert())
    if recipe.gamma is not None:
        darker = 1.0 / recipe.gamma[0]
        image = _on_colours(image, lambda colours: colours.gamma(exponent=darker).cast("uchar"))
    return image.colourspace("b-w") if recipe.greyscale else image


def apply(image: Any, recipe: Recipe) -> Any:
    """Everything after the geometry, in the order in which sharp does it."""
    image = in_rgb(image)
    for step in _steps(recipe):
        image = step(image)
    return image


def _steps(recipe: Recipe) -> list[Step]:
    steps: list[tuple[Any, Step]] = [
        (recipe.extend, lambda image: _extended(image, recipe)),
        (recipe.median, lambda image: image.median(recipe.median)),
        (recipe.threshold, lambda image: _thresholded(image, *(recipe.threshold or (128, True)))),
        (recipe.blur, lambda image: _blurred(image, recipe.blur or 1.0)),
        (recipe.convolve, lambda image: _convolved(image, recipe)),
        (recipe.recomb, lambda image: _recombined(image, recipe.recomb or [])),
        (recipe.modulate, lambda image: _modulated(image, recipe.modulate or (1, 1, 0, 0))),
        (recipe.sharpen, lambda image: _sharpened(image, recipe.sharpen or ())),
        (
            recipe.gamma,
            lambda image: _on_colours(image, lambda c: c.gamma(exponent=(recipe.gamma or (1, 1))[1]).cast("uchar")),
        ),
        (recipe.linear, lambda image: _linear(image, *(recipe.linear or ([1.0], [0.0])))),
        (recipe.normalise, lambda image: _normalised(image, *(recipe.normalise or (1.0, 99.0)))),
        (recipe.clahe, lambda image: _equalised(image, *(recipe.clahe or (3, 3, 3)))),
        (recipe.bandbool, lambda image: getattr(image, f"band{recipe.bandbool}")().copy(interpretation="b-w")),
        (recipe.tint, lambda image: _tinted(image, recipe.tint or (0, 0, 0, 1))),
        (recipe.extract_channel, lambda image: image.extract_band(recipe.extract_channel).copy(interpretation="b-w")),
        (recipe.remove_alpha or None, _without_alpha),
        (recipe.ensure_alpha, lambda image: _with_alpha(image, recipe.ensure_alpha or 0.0)),
        (recipe.colour_space, lambda image: image.colourspace(recipe.colour_space).colourspace(_shown_space(recipe))),
    ]
    return [step for wanted, step in steps if wanted is not None]


def _shown_space(recipe: Recipe) -> str:
    return "b-w" if recipe.colour_space in ("b-w", "grey16") else "srgb"


def _on_colours(image: Any, step: Step) -> Any:
    """Apply a step to the colour bands only; the alpha band stays."""
    if not image.hasalpha():
        return step(image)
    colours = image.extract_band(0, n=image.bands - 1)
    return step(colours).bandjoin(image.extract_band(image.bands - 1))


def _extended(image: Any, recipe: Recipe) -> Any:
    top, bottom, left, right = recipe.extend or (0, 0, 0, 0)
    image, background = with_background(image, recipe.extend_background)
    width, height = image.width + left + right, image.height + top + bottom
    return image.embed(left, top, width, height, extend=recipe.extend_with, background=background)


def _thresholded(image: Any, level: int, greyscale: bool) -> Any:
    return _on_colours(image.colourspace("b-w") if greyscale else image, lambda colours: colours >= level)


def _blurred(image: Any, sigma: float) -> Any:
    if sigma < 0:
        return image.conv(vips.Image.new_from_array([[1, 1, 1]] * 3, scale=9.0))
    return image.gaussblur(sigma)


def _convolved(image: Any, recipe: Recipe) -> Any:
    width, kernel, scale, offset = recipe.convolve or (1, [1.0], 1.0, 0.0)
    rows = [kernel[start : start + width] for start in range(0, len(kernel), width)]
    mask = vips.Image.new_from_array(rows, scale=scale, offset=offset)
    return _on_colours(image, lambda colours: colours.conv(mask).cast("uchar"))


def _recombined(image: Any, matrix: list[list[float]]) -> Any:
    image = image.colourspace("srgb") if image.bands < 3 else image
    if len(matrix) == 4:
        image = image if image.hasalpha() else image.addalpha()
        return image.recomb(vips.Image.new_from_array(matrix)).cast("uchar").copy(interpretation="srgb")
    return _on_colours(
        image, lambda c: c.recomb(vips.Image.new_from_array(matrix)).cast("uchar").copy(interpretation="srgb")
    )


def _modulated(image: Any, change: tuple[float, float, float, float]) -> Any:
    brightness, saturation, hue, lightness = change

    def step(colours: Any) -> Any:
        lch = colours.colourspace("lch").linear([brightness, saturation, 1.0], [lightness, 0.0, hue])
        return lch.copy(interpretation="lch").colourspace("srgb")

    return _on_colours(image, step)


def _sharpened(image: Any, amount: tuple[float, ...]) -> Any:
    if not amount:
        mask = vips.Image.new_from_array([[-1, -1, -1], [-1, 32, -1], [-1, -1, -1]], scale=24.0)
        return image.conv(mask).cast("uchar")
    sigma, m1, m2, x1, y2, y3 = amount
    space = image.interpretation
    return image.sharpen(sigma=sigma, m1=m1, m2=m2, x1=x1, y2=y2, y3=y3).colourspace(space)


def _linear(image: Any, factors: list[float], offsets: list[float]) -> Any:
    def step(bands: Any) -> Any:
        return bands.linear(factors, offsets, uchar=True)

    return step(image) if len(factors) == image.bands and len(factors) > 1 else _on_colours(image, step)


def _normalised(image: Any, lower: float, upper: float) -> Any:
    def step(colours: Any) -> Any:
        lab = colours.colourspace("lab")
        lightness = lab.extract_band(0)
        low, high = lightness.percent(lower) if lower else lightness.min(), lightness.percent(upper)
        if high <= low:
            return colours
        factor = 100 / (high - low)
        stretched = lightness.linear(factor, -low * factor)
        return (
            stretched.bandjoin(lab.extract_band(1, n=2)).copy(interpretation="lab").colourspace(colours.interpretation)
        )

    return _on_colours(image, step)


def _equalised(image: Any, width: int, height: int, slope: int) -> Any:
    size = min(width, image.width), min(height, image.height)
    return _on_colours(image, lambda colours: colours.hist_local(*size, max_slope=slope))


def _tinted(image: Any, colour: Colour) -> Any:
    """The lightness of the image in the hue of a colour, strongest in the middle tones."""

    def step(colours: Any) -> Any:
        pixel = (vips.Image.black(1, 1) + list(colour[:3])).copy(interpretation="srgb").colourspace("lab")
        _, a, b = pixel.getpoint(0, 0)
        lightness = colours.colourspace("lab").extract_band(0)
        weight = (lightness / 100 - 0.5) ** 2 * -4 + 1
        return lightness.bandjoin([weight * a, weight * b]).copy(interpretation="lab").colourspace("srgb")

    return _on_colours(image, step)


def _without_alpha(image: Any) -> Any:
    return image.extract_band(0, n=image.bands - 1) if image.hasalpha() else image


def _with_alpha(image: Any, alpha: float) -> Any:
    return image if image.hasalpha() else image.bandjoin(alpha * 255)
