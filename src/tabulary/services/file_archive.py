"""Several files as one ZIP, written while it is sent (spec files §3.9)."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.storage import ObjectMissing
from tabulary.items.keys import check_keys
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.overview import Schema

FILES, FOLDERS = "directus_files", "directus_folders"
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_PACKED = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "video/", "audio/", "application/zip",
           "application/gzip", "application/pdf")  # fmt: skip
"""Media types that do not get smaller by packing them again."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive, or an empty folder when there is no row."""

    path: str
    row: Row | None


class FileArchives:
    """Collects what a caller may read and packs it."""

    def __init__(self, platform: Platform, schema: Schema, accountability: Accountability | None) -> None:
        self.platform, self.schema, self.accountability = platform, schema, accountability

    # --- what goes in -----------------------------------------------------------------------
    async def of_files(self, ids: Any) -> list[Entry]:
        """The entries of chosen files.

        Raises :class:`InvalidPayload` when ``ids`` is no list of keys or nothing of it can be read, :class:`Forbidden`
        for callers who may read no files at all.
        """
        if not isinstance(ids, list) or not ids:
            raise InvalidPayload('"ids" has to be a list of at least one key')
        try:
            check_keys(self.schema.collections[FILES], ids)
        except Forbidden:
            raise InvalidPayload('"ids" contains something that is no key of a file') from None
        rows = await self._readable(FILES, {"id": {"_in": ids}})
        if not rows:
            raise InvalidPayload("There is none of these files")
        return _named("", rows)

    async def of_folder(self, key: str) -> tuple[str, list[Entry]]:
        """The name of a folder and the entries of all that is in it and in its folders.

        Raises :class:`Forbidden` when the folder cannot be read, :class:`InvalidPayload` when it holds nothing.
        """
        check_keys(self.schema.collections[FOLDERS], [key])
        root = await self._readable(FOLDERS, {"id": {"_eq": key}})
        if not root:
            raise Forbidden
        entries = await self._inside(key, "", {key})
        if not any(entry.row for entry in entries):
            raise InvalidPayload("There are no files in this folder")
        files, empty = [e for e in entries if e.row], [e for e in entries if not e.row]
        return str(root[0].get("name") or key), [*files, *empty]

    async def _inside(self, key: str, path: str, seen: set[str]) -> list[Entry]:
        entries = _named(path, await self._readable(FILES, {"folder": {"_eq": key}}))
        for folder in await self._readable(FOLDERS, {"parent": {"_eq": key}}):
            if folder["id"] in seen:  # a circle of folders is possible in the data
                continue
            seen.add(folder["id"])
            inner = f"{path}{_safe(folder.get('name') or folder['id'])}/"
            entries += await self._inside(folder["id"], inner, seen) or [Entry(inner, None)]
        return entries

    async def _readable(self, collection: str, filter_: Mapping[str, Any]) -> list[dict[str, Any]]:
        raw = {"filter": filter_, "fields": ["*"], "limit": -1}
        query = Query.internal(raw, self.platform.settings)
        rows = await self.platform.reader.read(self.schema, collection, query, self.accountability)
        return [row for row in rows if row.get("id")]

    # --- packing ----------------------------------------------------------------------------
    async def packed(self, entries: Sequence[Entry]) -> AsyncIterator[bytes]:
        """The archive in chunks; only a little of one file is in memory at a time."""
        sink = _Sink()
        with zipfile.ZipFile(sink, "w") as archive:
            for entry in entries:
                if entry.row is None:
                    archive.writestr(zipfile.ZipInfo(entry.path, _now()), b"")
                else:
                    async for chunk in self._added(archive, sink, entry.path, entry.row):
                        yield chunk
        yield sink.taken()

    async def _added(self, archive: zipfile.ZipFile, sink: _Sink, path: str, row: Row) -> AsyncIterator[bytes]:
        stored = await self.platform.reader.snapshot(
            self.schema, FILES, [row["id"]], None, ("id", "storage", "filename_disk", "type")
        )
        found = next(iter(stored.values()), {})
        if not found.get("filename_disk") or found["storage"] not in self.platform.storage:
            return
        info = zipfile.ZipInfo(path, _now())
        packed = str(found.get("type") or "").startswith(_PACKED)
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        try:
            with archive.open(info, "w", force_zip64=True) as file:
                async for chunk in self.platform.storage.at(found["storage"]).read(found["filename_disk"]):
                    await asyncio.to_thread(file.write, chunk)
                    yield sink.taken()
        except ObjectMissing:
            return


class _Sink(io.RawIOBase):
    """Takes what the archive writes until it is sent."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


def stamp() -> str:
    """The moment in the name of an archive: date, then hours, minutes and seconds as plain numbers."""
    now = datetime.now()
    return f"{now:%Y%m%d}-{now.hour}{now.minute}{now.second}"


def _now() -> tuple[int, int, int, int, int, int]:
    now = datetime.now()
    return now.year, now.month, now.day, now.hour, now.minute, now.second


def _named(path: str, rows: Iterable[Row]) -> list[Entry]:
    """Entries of one folder; a name that repeats gets a number behind it."""
    counts: dict[str, int] = {}
    entries = []
    for row in rows:
        name = _safe(row.get("filename_download") or row["id"])
        repeated = counts.get(name, 0)
        counts[name] = repeated + 1
        entries.append(Entry(f"{path}{name} ({repeated})" if repeated else f"{path}{name}", row))
    return entries


def _safe(name: Any) -> str:
    """A name that every file system takes, and that leads nowhere else."""
    return _UNSAFE.sub("", str(name)).strip(". ") or "_"
