"""Images: sizes and metadata read, pictures transformed, in few threads and within limits (spec files §3.7, §3.8).

libvips (the extra ``images``) does the work, the same engine that the reference has. :class:`Images` belongs to one
Tabulary object; its threads are started with the first image.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from tabulary.core.errors import ServiceUnavailable
from tabulary.core.images import engine
from tabulary.core.images.arguments import InvalidOperation
from tabulary.core.images.engine import Header, ImageTooLarge, Limits, OutOfTime, UnreadableImage
from tabulary.core.images.library import vips
from tabulary.core.images.recipe import FORMATS, METHODS, Recipe
from tabulary.core.settings import Settings

__all__ = [
    "FORMATS",
    "METHODS",
    "Header",
    "ImageTooLarge",
    "Images",
    "InvalidOperation",
    "OutOfTime",
    "Recipe",
    "UnreadableImage",
]

T = TypeVar("T")

STRICTNESS = ("none", "truncated", "error", "warning")
"""What a decoder may take offence at, from nothing to everything (``ASSETS_INVALID_IMAGE_SENSITIVITY_LEVEL``)."""


class Images:
    """Image work of one Tabulary object, with the limits of its settings (``ASSETS_TRANSFORM_*``)."""

    def __init__(self, settings: Settings) -> None:
        seconds = round((settings.duration("ASSETS_TRANSFORM_TIMEOUT") or 7500) / 1000)
        strictness = str(settings["ASSETS_INVALID_IMAGE_SENSITIVITY_LEVEL"])
        self.limits = Limits(
            int(settings["ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION"]),
            float(min(max(seconds, 1), 3600)),
            strictness if strictness in STRICTNESS else "warning",
        )
        self._most = int(settings["ASSETS_TRANSFORM_MAX_CONCURRENT"])
        self._under_way = 0

    @property
    def available(self) -> bool:
        """False when the image library is not installed."""
        return bool(vips.is_installed)

    async def describe(self, path: Path) -> Header:
        """The header of an image file. Raises :class:`UnreadableImage`; without library :class:`ServiceUnavailable`."""
        return await self._run(lambda: engine.describe(path))

    async def transform(self, source: Path, target: Path, recipe: Recipe, fallback: str) -> None:
        """Make one image of another, as :func:`tabulary.core.images.engine.transform`.

        Raises :class:`ServiceUnavailable` when too much is under way already, or when there is no library.
        """
        if self._under_way >= self._most:
            raise ServiceUnavailable("files", "Too many images are being transformed; try again in a moment")
        self._under_way += 1
        try:
            await self._run(lambda: engine.transform(source, target, recipe, fallback, self.limits))
        finally:
            self._under_way -= 1

    async def _run(self, work: Callable[[], T]) -> T:
        if not self.available:
            raise ServiceUnavailable(
                "images", 'Transforming images needs the package "pyvips": install "tabulary[images]"'
            )
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        # a finished picture is asked for again as a stored file: remembering operations only costs memory
        vips.cache_set_max(0)
        return ThreadPoolExecutor(min(4, os.cpu_count() or 1), "tabulary-images")
