"""Assets: what a caller gets to see of a file's content, as it is or transformed (spec files §3.6, §3.7).

A transformed picture is made once, stored beside the original under the hash of its operations, and served from there.
"""

from __future__ import annotations

import asyncio
import posixpath
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.errors import (
    Forbidden,
    IllegalAssetTransformation,
    InvalidQuery,
    ServiceUnavailable,
    UnprocessableContent,
)
from tabulary.core.images import FORMATS, ImageTooLarge, InvalidOperation, OutOfTime, Recipe, UnreadableImage
from tabulary.core.object_hash import object_hash
from tabulary.core.storage import Driver, ObjectMissing, Stat
from tabulary.items.keys import check_keys
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.overview import Schema
from tabulary.services import file_transforms as transforms
from tabulary.services.file_contents import FileContents, answering
from tabulary.services.file_names import variant_prefix

FILES = "directus_files"
PUBLIC_SETTINGS = ("project_logo", "public_background", "public_foreground", "public_favicon")
"""Settings whose files everybody may see: the log-in page shows them."""

_ROW = ("id", "storage", "filename_disk", "filename_download", "type", "width", "height", "focal_point_x",
        "focal_point_y", "modified_on", "tus_id")  # fmt: skip
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Asset:
    """Content to be served. ``name`` and ``modified`` are None when the caller may not read those columns."""

    driver: Driver
    path: str
    size: int
    media_type: str
    name: str | None
    modified: datetime | None

    def read(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, and without, ``end``."""
        return self.driver.read(self.path, start, end)


class AssetsService:
    """The assets of one platform. It knows the pictures being made, so there is one of it for an application."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.contents = FileContents(platform)
        self._being_made: dict[tuple[str, str], asyncio.Task[None]] = {}

    # --- what is asked for ------------------------------------------------------------------
    async def parse(self, raw: Mapping[str, Any], schema: Schema) -> transforms.Given:
        """The transformation that query parameters ask for, with its preset.

        Raises :class:`InvalidQuery` for nonsense and for what the setting ``storage_asset_transform`` does not allow.
        """
        most = int(self.platform.settings["ASSETS_TRANSFORM_MAX_OPERATIONS"])
        given = transforms.parse_given(raw, most)
        if transforms.is_plain(given):
            return given
        settings = await self._settings(schema, "storage_asset_transform", "storage_asset_presets")
        stored = settings.get("storage_asset_presets")
        presets = [preset for preset in stored if isinstance(preset, dict)] if isinstance(stored, list) else []
        transforms.check_allowed(given, settings.get("storage_asset_transform"), presets)
        wanted = transforms.with_preset(given, presets)
        transforms.check_operations(wanted.get("transforms") or [], max(most, len(transforms.SYSTEM_PRESETS)))
        return wanted

    async def find(
        self, key: str, wanted: transforms.Given, accept: str, schema: Schema, accountability: Accountability | None
    ) -> Asset:
        """The asset of a file, transformed as :meth:`parse` said.

        Raises :class:`Forbidden` when there is no such file, no content, or no permission to read it,
        :class:`InvalidQuery` when the transformation makes no sense, :class:`IllegalAssetTransformation` when the
        picture is too large for it, :class:`ServiceUnavailable` when storage or engine do not answer in time.
        """
        check_keys(schema.collections[FILES], [key])
        row = await self._row(schema, key)
        trusted = accountability is None or accountability.admin
        visible = (row or {}) if trusted else await self._visible(schema, key, accountability)
        if row is None or not row["filename_disk"] or row["tus_id"] or row["storage"] not in self.platform.storage:
            raise Forbidden
        driver = self.platform.storage.at(row["storage"])
        path, media_type = row["filename_disk"], row["type"] or "application/octet-stream"
        operations = []
        if row["type"] in transforms.TRANSFORMABLE:
            operations = transforms.operations_for(wanted, row, accept)
        async with answering():
            try:
                if operations:
                    stat, path = await self._variant(driver, row, operations)
                    media_type = transforms.media_type_of(transforms.produced(operations) or "") or media_type
                else:
                    stat = await driver.stat(path)
            except ObjectMissing:
                raise Forbidden from None
        modified = _moment(visible.get("modified_on"))
        return Asset(driver, path, stat.size, media_type, visible.get("filename_download"), modified)

    async def _row(self, schema: Schema, key: str) -> dict[str, Any] | None:
        found = await self.platform.reader.snapshot(schema, FILES, [key], None, _ROW)
        return next(iter(found.values()), None)

    async def _visible(self, schema: Schema, key: str, accountability: Accountability | None) -> Mapping[str, Any]:
        """The columns that the caller may read. Raises :class:`Forbidden` when the file is out of sight."""
        query = Query.parse({"fields": ["*"]}, self.platform.settings).with_key("id", [key], False)
        try:
            rows = await self.platform.reader.read(schema, FILES, query, accountability)
        except Forbidden:
            rows = []
        if rows:
            return rows[0]
        settings = await self._settings(schema, *PUBLIC_SETTINGS)
        if key.lower() not in {str(value).lower() for value in settings.values() if value}:
            raise Forbidden
        return (await self.platform.reader.read(schema, FILES, query, None) or [{}])[0]

    async def _settings(self, schema: Schema, *names: str) -> Mapping[str, Any]:
        query = Query.parse({"fields": list(names), "limit": 1}, self.platform.settings)
        rows = await self.platform.reader.read(schema, "directus_settings", query, None)
        return rows[0] if rows else {}

    # --- variants ---------------------------------------------------------------------------
    async def _variant(
        self, driver: Driver, row: Mapping[str, Any], operations: transforms.Operations
    ) -> tuple[Stat, str]:
        """A transformed picture: found, or made by the first who asks while the others wait for it."""
        try:
            recipe = Recipe.of(transforms.without_undefined(operations))
        except InvalidOperation as problem:
            raise InvalidQuery(str(problem)) from None
        self._check_size(row)
        made = transforms.produced(operations)
        stored = row["filename_disk"]
        extension = f".{made}" if made else posixpath.splitext(stored)[1]
        path = f"{variant_prefix(str(row['id']), stored)}{object_hash(operations)}{extension}"
        try:
            return await driver.stat(path), path
        except ObjectMissing:
            pass
        place = (row["storage"], path)
        task = self._being_made.get(place)
        if task is None:
            task = asyncio.ensure_future(self._make(driver, row, recipe, path, made))
            self._being_made[place] = task
            task.add_done_callback(lambda _: self._being_made.pop(place, None))
        await asyncio.shield(task)
        return await driver.stat(path), path

    def _check_size(self, row: Mapping[str, Any]) -> None:
        most = self.platform.images.limits.side
        width, height = row["width"], row["height"]
        if not width or not height:
            raise IllegalAssetTransformation("Its width and height are not known")
        if width > most or height > most:
            raise IllegalAssetTransformation(f"It has more than {most} pixels in width or height")

    async def _make(self, driver: Driver, row: Mapping[str, Any], recipe: Recipe, path: str, made: str | None) -> None:
        source_format = FORMATS.get(str(row["type"]).partition("/")[2], "png")
        with tempfile.TemporaryDirectory(prefix="tabulary-", dir=self.platform.settings["TEMP_PATH"]) as folder:
            target = Path(folder) / "variant"
            async with self.contents.on_disk(row["storage"], row["filename_disk"]) as source:
                if not await asyncio.to_thread(source.is_file):
                    raise ObjectMissing("There is no such file")
                await self._transform(source, target, recipe, source_format)
            await driver.write(path, _read(target), transforms.media_type_of(made or source_format))

    async def _transform(self, source: Path, target: Path, recipe: Recipe, source_format: str) -> None:
        try:
            await self.platform.images.transform(source, target, recipe, source_format)
        except InvalidOperation as problem:
            raise InvalidQuery(str(problem)) from None
        except ImageTooLarge as problem:
            raise IllegalAssetTransformation(str(problem)) from None
        except OutOfTime as problem:
            raise ServiceUnavailable("files", str(problem)) from None
        except UnreadableImage as problem:
            raise UnprocessableContent(str(problem)) from None


async def _read(place: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(place.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


def _moment(value: Any) -> datetime | None:
    """The moment of a column as it was read: what has no time zone is local time."""
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
