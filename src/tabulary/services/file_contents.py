"""Stored files: writing one from a stream within limits, looking into pictures, removing a file with its variants.

Below :mod:`tabulary.services.files`, which knows rows and permissions; here are locations, names and bytes.
"""

from __future__ import annotations

import logging
import posixpath
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulary.core.errors import ContentTooLarge, InvalidPayload, ServiceUnavailable
from tabulary.core.images import UnreadableImage
from tabulary.core.images.metadata import allowed, metadata_of
from tabulary.core.storage import Driver, ObjectMissing, ReadOnlyStorage, StorageError
from tabulary.items.platform import Platform
from tabulary.services.file_names import VARIANT, variant_prefix

logger = logging.getLogger("tabulary.files")

Content = AsyncIterable[bytes] | bytes
Row = Mapping[str, Any]

DESCRIBED = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/avif")
"""Media types of which size and metadata are read."""

_DEFAULT_METADATA = (
    "ifd0.Make",
    "ifd0.Model",
    "exif.FNumber",
    "exif.ExposureTime",
    "exif.FocalLength",
    "exif.ISOSpeedRatings",
)
_MANY = 4
"""Files from which on one listing of a whole folder is cheaper than one for each."""


@dataclass
class Arrival:
    """Content that is stored but belongs to no row yet. ``path`` is where it lies now."""

    driver: Driver
    path: str

    async def move(self, path: str) -> None:
        """Give it its name, replacing what is there. Fine when it has it."""
        if path != self.path:
            async with answering():
                await self.driver.move(self.path, path)
            self.path = path

    async def withdraw(self) -> None:
        """Take it back, because its row could not be written."""
        try:
            await self.driver.delete(self.path)
        except StorageError:
            logger.exception("what is left of a failed upload could not be removed: %s", self.path)


class FileContents:
    """The storage of a platform, as services use it; its failures are :class:`ServiceUnavailable`."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def driver(self, location: Any) -> Driver:
        """The driver of a location. Raises :class:`InvalidPayload` when there is no such location."""
        if location not in self.platform.storage:
            raise InvalidPayload(f'"storage": there is no location "{location}"')
        return self.platform.storage.at(str(location))

    # --- writing ----------------------------------------------------------------------------
    async def write(self, location: str, path: str, content: Content, media_type: str | None) -> int:
        """Store a stream; its size. Raises :class:`ContentTooLarge` beyond ``FILES_MAX_UPLOAD_SIZE``: nothing stays."""
        limit = self.platform.settings.size("FILES_MAX_UPLOAD_SIZE")
        async with answering():
            return await self.driver(location).write(path, _limited(content, limit), media_type)

    # --- reading ----------------------------------------------------------------------------
    @asynccontextmanager
    async def on_disk(self, location: str, path: str) -> AsyncIterator[Path]:
        """A stored file as one of this machine's disk: itself, or a copy for the time being."""
        driver = self.driver(location)
        if (place := driver.local_path(path)) is not None:
            yield place
            return
        with tempfile.TemporaryDirectory(prefix="tabulary-", dir=self.platform.settings["TEMP_PATH"]) as folder:
            place = Path(folder) / "original"
            with place.open("wb") as file:
                async for chunk in driver.read(path):
                    file.write(chunk)
            yield place

    async def facts(self, location: str, path: str, media_type: Any) -> dict[str, Any]:
        """What a picture tells of itself, as columns: ``width``, ``height``, ``metadata``, ``description``, ``tags``.

        Nothing for other files; for a broken picture as much as is known, for it is no reason to refuse it.
        """
        if media_type not in DESCRIBED or not self.platform.images.available:
            return {}
        try:
            async with self.on_disk(location, path) as place:
                header = await self.platform.images.describe(place)
        except (UnreadableImage, ObjectMissing):
            return {"metadata": {}}
        tree = metadata_of(header)
        paths = self.platform.settings["FILE_METADATA_ALLOW_LIST"] or _DEFAULT_METADATA
        found = {"width": header.width, "height": header.height, "metadata": allowed(tree, paths)}
        iptc = tree.get("iptc", {})
        for column, name in (("description", "caption"), ("title", "headline"), ("tags", "keywords")):
            if iptc.get(name):
                found[column] = iptc[name] if column != "tags" or isinstance(iptc[name], list) else [iptc[name]]
        return found

    # --- removing ---------------------------------------------------------------------------
    async def remove(self, rows: Iterable[Row]) -> None:
        """Remove the stored files of rows (``id``, ``storage``, ``filename_disk``) with their variants."""
        by_location: dict[str, list[Row]] = {}
        for row in rows:
            if row.get("filename_disk") and row.get("storage") in self.platform.storage:
                by_location.setdefault(row["storage"], []).append(row)
        async with answering():
            for location, some in by_location.items():
                driver = self.platform.storage.at(location)
                for row in some:
                    await driver.delete(row["filename_disk"])
                await self._remove_variants(driver, some)

    async def remove_variants(self, row: Row) -> None:
        """Remove what was made of a picture, because the picture changes or goes."""
        if row.get("filename_disk") and row.get("storage") in self.platform.storage:
            async with answering():
                await self._remove_variants(self.platform.storage.at(row["storage"]), [row])

    async def _remove_variants(self, driver: Driver, rows: list[Row]) -> None:
        prefixes = {prefix for row in rows for prefix in _prefixes(row)}
        if driver.lists_by_prefix or len(rows) <= _MANY:
            listings = prefixes
        else:
            listings = {posixpath.join(posixpath.dirname(prefix), "") for prefix in prefixes}
        for listing in listings:
            found = [path async for path in driver.paths(listing)]
            for path in found:
                ending = VARIANT.search(path)
                if ending and path[: ending.start() + 2] in prefixes:
                    await driver.delete(path)


def _prefixes(row: Row) -> set[str]:
    """How variants of a file begin, ours and those of the reference."""
    stored = row["filename_disk"]
    return {variant_prefix(str(row["id"]), stored), f"{posixpath.splitext(stored)[0]}__"}


async def _limited(content: Content, limit: int | None) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in _chunks(content):
        size += len(chunk)
        if limit is not None and size > limit:
            raise ContentTooLarge
        yield chunk


async def _chunks(content: Content) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
    else:
        async for chunk in content:
            yield chunk


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Failures of the storage as an answer; one that is set up without the right to write stays an unexpected error."""
    try:
        yield
    except (ReadOnlyStorage, ObjectMissing):
        raise
    except StorageError as problem:
        raise ServiceUnavailable("files", f"The storage does not answer: {problem}") from problem
