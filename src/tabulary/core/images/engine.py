"""Recipes carried out with libvips: streaming where the operations allow it, in a fixed order, within limits.

All of this runs in a worker thread (:mod:`tabulary.core.images`). Files are opened as sources, never by a name that
libvips would take apart, and only formats that the first bytes prove are handed to a decoder.
"""

from __future__ import annotations

import math
import mmap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulary.core.images import adjustments
from tabulary.core.images.arguments import InvalidOperation
from tabulary.core.images.colours import Colour
from tabulary.core.images.encoders import save
from tabulary.core.images.exif import Groups, parse_exif
from tabulary.core.images.library import vips
from tabulary.core.images.recipe import Recipe, Region, Resize

_MAX_SIDE = 65_535
_GRAVITY = ("centre", "top", "right top", "right", "right bottom", "bottom", "left bottom", "left", "left top")
_COMPASS = {"north": "top", "northeast": "right top", "east": "right", "southeast": "right bottom", "south": "bottom",
            "southwest": "left bottom", "west": "left", "northwest": "left top", "center": "centre"}  # fmt: skip
_INTERESTING = {"entropy": "entropy", "attention": "attention", "16": "entropy", "17": "attention"}


class UnreadableImage(Exception):
    """The bytes are no image of a supported format, or a broken one."""


class ImageTooLarge(Exception):
    """The image, or the one to be made, has more pixels than the limit allows."""


class OutOfTime(Exception):
    """The work took longer than the limit allows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``side``: greatest width and height of a source, its square the pixels; ``seconds``: of one transformation."""

    side: int
    seconds: float
    strictness: str


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says about itself: size as shown, its EXIF tags, and its other blocks of metadata."""

    width: int
    height: int
    exif: Groups
    iptc: bytes | None
    xmp: bytes | None
    icc: bytes | None


def sniff(start: bytes) -> str | None:
    """The format that the first bytes of a file prove, among those we decode."""
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "webp"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if start.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "tiff"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"miaf"):
        return "avif"
    return None


def describe(path: Path) -> Header:
    """The header of an image; no pixel is decoded. Raises :class:`UnreadableImage`."""
    image = _load(path, "sequential", "none")
    width, height = _shown_size(image)

    def block(name: str) -> bytes | None:
        return bytes(image.get(name)) if image.get_typeof(name) else None

    return Header(
        width, height, _exif(path, block("exif-data")), block("iptc-data"), block("xmp-data"), block("icc-profile-data")
    )


def _exif(path: Path, block: bytes | None) -> Groups:
    if block is not None:
        return parse_exif(block)
    with path.open("rb") as file:
        if sniff(file.read(32)) != "tiff":
            return {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # a TIFF file is one such block
            return parse_exif(content)


def transform(source: Path, target: Path, recipe: Recipe, fallback: str, limits: Limits) -> None:
    """Write the image that the recipe makes of ``source`` to ``target``, in its format or in ``fallback``.

    Raises :class:`InvalidOperation` when the recipe cannot work on this image, :class:`ImageTooLarge`,
    :class:`OutOfTime` and :class:`UnreadableImage`.
    """
    deadline = time.monotonic() + limits.seconds
    try:
        work = _Work(source, recipe, limits, deadline)
        image = work.result()
        _check_size(image.width, image.height, limits)
        if recipe.output is not None:
            save(image, target, recipe.output.format, recipe.output.options)
        else:
            save(image, target, fallback, {})
        work.watched.clear()
    except vips.Error as problem:
        raise _explained(problem, deadline) from problem


def _explained(problem: Any, deadline: float) -> Exception:
    detail = str(getattr(problem, "detail", "")).strip().partition("\n")[0]
    if time.monotonic() > deadline:
        return OutOfTime("The transformation takes too long")
    if any(word in detail for word in ("extract_area", "bad extract", "extract_band", "crop", "too large", "too big")):
        return InvalidOperation(f"The image does not allow it: {detail}")
    return UnreadableImage("The image cannot be read to its end")


def _load(path: Path, access: str, strictness: str) -> Any:
    with path.open("rb") as file:
        if sniff(file.read(32)) is None:
            raise UnreadableImage("The file is no image of a known format")
    try:
        return vips.Image.new_from_source(_source(path), "", access=access, fail_on=strictness)
    except vips.Error as problem:
        raise UnreadableImage("The file is no image that can be read") from problem


def _source(path: Path) -> Any:
    return vips.Source.new_from_file(str(path))


def _orientation(image: Any) -> int:
    return int(image.get("orientation")) if image.get_typeof("orientation") else 1


def _shown_size(image: Any) -> tuple[int, int]:
    turned = _orientation(image) >= 5
    return (image.height, image.width) if turned else (image.width, image.height)


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.side**2 or max(width, height) > _MAX_SIDE:
        raise ImageTooLarge(f"{width} x {height} pixels are more than the limit of {limits.side} x {limits.side}")


class _Work:
    """One image on its way through its recipe."""

    def __init__(self, source: Path, recipe: Recipe, limits: Limits, deadline: float) -> None:
        self.source, self.recipe, self.limits, self.deadline = source, recipe, limits, deadline
        self.roams = bool(
            recipe.rotation is not None or recipe.flip or recipe.trim or recipe.normalise or recipe.clahe
            or recipe.extract_before or recipe.extract_after
        )  # fmt: skip
        """True when pixels are not needed from top to bottom only."""
        self.watched: list[Any] = []
        """Kept until all is saved: the library calls back into them."""

    def result(self) -> Any:
        """The finished image, most of it not computed yet: that happens while it is saved."""
        header = _load(self.source, "sequential", self.limits.strictness)
        _check_size(header.width, header.height, self.limits)
        recipe = self.recipe
        early = (
            recipe.trim
            or recipe.extract_before
            or recipe.gamma
            or (recipe.rotate_first and recipe.rotation is not None)
        )
        if recipe.resize is not None and not early and not _crops_cleverly(recipe.resize):
            image = self._resized_while_loading(header, recipe.resize)
        else:
            image = self._before_resize()
            if recipe.resize is not None:
                image = self._resized(image, recipe.resize)
        if not recipe.rotate_first:
            image = self._turned(self._flipped(image))
        if recipe.extract_after is not None:
            image = _cut(image, recipe.extract_after)
        return adjustments.apply(image, recipe)

    # --- up to the resize -------------------------------------------------------------------
    def _resized_while_loading(self, header: Any, resize: Resize) -> Any:
        """The decoder itself makes the image smaller where it can: the usual case, and by far the cheapest."""
        turned = self.recipe.turned
        width, height = (header.width, header.height) if turned else _shown_size(header)
        wide, high = self._scaled(width, height, resize)
        image = vips.Image.thumbnail_source(
            _source(self.source),
            wide,
            height=high,
            size="force",
            no_rotate=turned,
            option_string=f"[fail_on={self.limits.strictness}]",
        )
        image = adjustments.early(adjustments.in_rgb(self._watched(image)), self.recipe)
        return self._settled(self._fitted(image, resize))

    def _before_resize(self) -> Any:
        recipe = self.recipe
        roams = self.roams or recipe.resize is not None
        image = self._watched(_load(self.source, "random" if roams else "sequential", self.limits.strictness))
        if not recipe.turned and _orientation(image) > 1:
            image = self._watched(_load(self.source, "random", self.limits.strictness)).autorot()
        if recipe.rotate_first:
            image = self._flipped(self._turned(image))
        if recipe.trim is not None:
            image = _trimmed(image, recipe.trim)
        if recipe.extract_before is not None:
            image = _cut(image, recipe.extract_before)
        return adjustments.early(adjustments.in_rgb(image), recipe)

    def _resized(self, image: Any, resize: Resize) -> Any:
        strategy = _INTERESTING.get(resize.position) if resize.fit == "cover" else None
        wide, high = self._scaled(image.width, image.height, resize)
        image = image.thumbnail_image(wide, height=high, size="force", no_rotate=True)
        if strategy and resize.width and resize.height:
            image = self._watched(image).copy_memory()
            return image.smartcrop(min(resize.width, wide), min(resize.height, high), interesting=strategy)
        return self._settled(self._fitted(image, resize))

    def _scaled(self, width: int, height: int, resize: Resize) -> tuple[int, int]:
        wide, high = scaled_size(width, height, resize)
        _check_size(wide, high, self.limits)
        return wide, high

    def _fitted(self, image: Any, resize: Resize) -> Any:
        """Crop or pad a scaled image to the very size that was asked for."""
        if resize.width is None or resize.height is None:
            return image
        if resize.fit == "cover":
            width, height = min(image.width, resize.width), min(image.height, resize.height)
            left, top = _placed(image.width - width, image.height - height, resize.position)
            return image.crop(left, top, width, height)
        if resize.fit == "contain":
            width, height = max(image.width, resize.width), max(image.height, resize.height)
            _check_size(width, height, self.limits)
            left, top = _placed(width - image.width, height - image.height, resize.position, up=False)
            image, background = adjustments.with_background(image, resize.background)
            return image.embed(left, top, width, height, extend="background", background=background)
        return image

    # --- turning ----------------------------------------------------------------------------
    def _flipped(self, image: Any) -> Any:
        if self.recipe.flip:
            image = image.flipver()
        return image.fliphor() if self.recipe.flop else image

    def _turned(self, image: Any) -> Any:
        angle = self.recipe.rotation
        if angle is None:
            return image
        if angle % 90 == 0:
            return image.rot(f"d{int(angle)}") if angle else image
        image, background = adjustments.with_background(adjustments.in_rgb(image), self.recipe.rotation_background)
        return image.rotate(angle, background=background)

    # --- evaluation -------------------------------------------------------------------------
    def _settled(self, image: Any) -> Any:
        """Computed now when later steps want pixels in any order; the image is small by then."""
        return image.copy_memory() if self.roams else image

    def _watched(self, image: Any) -> Any:
        """Stop the computation at the deadline."""

        def look(watched: Any, _progress: Any) -> None:
            if time.monotonic() > self.deadline:
                watched.set_kill(True)

        image = image.copy()
        image.set_progress(True)
        image.signal_connect("eval", look)
        self.watched.append(image)
        return image


def scaled_size(width: int, height: int, resize: Resize) -> tuple[int, int]:
    """The size to scale an image to, before cropping or padding."""
    across = width / resize.width if resize.width else None
    down = height / resize.height if resize.height else None
    if resize.fit == "fill":
        across, down = across or 1.0, down or 1.0
    elif across is not None and down is not None:
        across = down = min(across, down) if resize.fit in ("cover", "outside") else max(across, down)
    else:
        across = down = across if across is not None else down if down is not None else 1.0
    if resize.without_enlargement:
        across, down = max(1.0, across), max(1.0, down)
    if resize.without_reduction:
        across, down = min(1.0, across), min(1.0, down)
    return max(1, math.floor(width / across + 0.5)), max(1, math.floor(height / down + 0.5))


def _crops_cleverly(resize: Resize) -> bool:
    return resize.fit == "cover" and resize.position in _INTERESTING


def _placed(across: int, down: int, position: str, *, up: bool = True) -> tuple[int, int]:
    """Where something lies within more room, ``across`` and ``down`` being what is left over."""
    name = _COMPASS.get(position, position)
    if name.isdigit() and int(name) < len(_GRAVITY):
        name = _GRAVITY[int(name)]
    words = name.split()
    if not words or not set(words) <= {"centre", "top", "bottom", "left", "right"}:
        raise InvalidOperation(f'"resize": there is no position "{position}"')
    half = 1 if up else 0
    left = 0 if "left" in words else across if "right" in words else (across + half) // 2
    top = 0 if "top" in words else down if "bottom" in words else (down + half) // 2
    return left, top


def _cut(image: Any, region: Region) -> Any:
    if region.left + region.width > image.width or region.top + region.height > image.height:
        raise InvalidOperation(
            f'"extract": the region lies outside of the image of {image.width} x {image.height} pixels'
        )
    return image.crop(region.left, region.top, region.width, region.height)


def _trimmed(image: Any, trim: tuple[Colour | None, float]) -> Any:
    """Without the border of one colour, by default that of the first pixel; as it is when nothing would be left."""
    colour, threshold = trim
    plain = adjustments.in_rgb(image)
    if plain.hasalpha():
        plain = plain.flatten()
    background = list(colour[:3])[: plain.bands] if colour else plain.getpoint(0, 0)
    left, top, width, height = plain.find_trim(threshold=threshold, background=background)
    return image.crop(left, top, width, height) if width and height else image
