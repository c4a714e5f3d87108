"""Backups of a whole platform: the database and the stored files in one archive (:mod:`backup_archive`).

The database is saved as it is at one moment, then the files that it speaks of. A restore first proves the archive, then
replaces the database, then the files; it refuses a database that is not empty unless it may overwrite it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulary.core import json
from tabulary.core.errors import InvalidPayload, UnprocessableContent
from tabulary.core.storage import ObjectMissing
from tabulary.database.dump import DumpError, chunks
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.services.backup_archive import ArchiveReader, ArchiveWriter, Watch, reading, writing
from tabulary.services.exporting import parts
from tabulary.version import __version__

_FILES = "files/"


@dataclass
class BackupReport:
    """What a backup holds: rows by table, the number of files, and what could not be part of it."""

    tables: dict[str, int]
    files: int = 0
    left_out: list[str] = field(default_factory=list)


class BackupService:
    """Backups of one platform, on behalf of its operator."""

    def __init__(self, *, platform: Platform) -> None:
        self.platform = platform

    async def create(self, path: Path, *, files: bool = True, watch: Watch | None = None) -> BackupReport:
        """Write a backup to ``path``, which appears when it is complete.

        Args:
            files: whether the stored files go with the database.

        Raises :class:`UnprocessableContent` for a database that cannot be saved faithfully, ``OSError`` for the disk.
        """
        dialect = self.platform.database.dialect
        with writing(path, watch or _nobody) as archive:
            try:
                async with self.platform.database.connection() as connection:
                    saved = await dialect.dump.save(connection, archive)
            except DumpError as problem:
                raise UnprocessableContent(str(problem)) from problem
            report = BackupReport(dict(saved.tables), left_out=list(saved.left_out))
            if files:
                await self._save_files(archive, report)
            archive.finish(
                {
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "version": __version__,
                    "dialect": dialect.name,
                    "tables": report.tables,
                    "files": report.files if files else None,
                    "left_out": report.left_out,
                }
            )
        return report

    async def verify(self, path: Path, watch: Watch | None = None) -> dict[str, Any]:
        """The manifest of a backup whose members are all as they were. Raises :class:`InvalidPayload`."""
        with reading(path, watch or _nobody) as archive:
            await asyncio.to_thread(archive.verify)
            return archive.manifest

    async def restore(self, path: Path, *, overwrite: bool = False, watch: Watch | None = None) -> BackupReport:
        """Make the platform what it was. No server may be running on the database meanwhile.

        Raises :class:`InvalidPayload` for a damaged backup or one of another kind of database, and
        :class:`UnprocessableContent` for a database that is not empty and may not be overwritten. Then nothing changed.
        """
        with reading(path, watch or _nobody) as archive:
            await asyncio.to_thread(archive.verify)
            await self._check_target(archive, overwrite)
            try:
                async with self.platform.database.connection(write=True) as connection:
                    await connection.dialect.dump.load(connection, archive, archive.manifest["tables"])
            except DumpError as problem:
                raise UnprocessableContent(str(problem)) from problem
            finally:
                self.platform.database.versions.forget()
            await self.platform.database.versions.reset()
            report = BackupReport(archive.manifest["tables"], left_out=archive.manifest["left_out"])
            for name in archive.manifest["members"]:
                if name.startswith(_FILES):
                    await self._restore_file(archive, name)
                    report.files += 1
        return report

    async def _check_target(self, archive: ArchiveReader, overwrite: bool) -> None:
        dialect, manifest = self.platform.database.dialect, archive.manifest
        if manifest["dialect"] != dialect.name:
            raise InvalidPayload(f"The backup is of a {manifest['dialect']} database, this is a {dialect.name} one")
        locations = {name.split("/")[1] for name in manifest["members"] if name.startswith(_FILES)}
        unknown = sorted(location for location in locations if location not in self.platform.storage)
        if unknown:
            raise UnprocessableContent(
                f"STORAGE_LOCATIONS lacks {', '.join(unknown)}, where files of the backup belong"
            )
        async with self.platform.database.connection() as connection:
            if await dialect.catalog.tables(connection) and not overwrite:
                raise UnprocessableContent(
                    "The database is not empty. Restore into an empty one, or allow to overwrite it"
                )

    # --- files ------------------------------------------------------------------------------
    async def _save_files(self, archive: ArchiveWriter, report: BackupReport) -> None:
        async for location, stored in self._stored():
            if location not in self.platform.storage:
                report.left_out.append(f"file {stored}: there is no storage location {location}")
                continue
            name = f"{_FILES}{location}/{stored}"
            if name in archive.members:
                continue
            content = self.platform.storage.at(location).read(stored)
            try:
                first = await anext(content, b"")
            except ObjectMissing:
                report.left_out.append(f"file {stored}: it is missing in {location}")
                continue
            with archive.member(name) as member:
                await asyncio.to_thread(member.write, first)
                async for chunk in content:
                    await asyncio.to_thread(member.write, chunk)
            report.files += 1

    async def _stored(self) -> AsyncIterator[tuple[str, str]]:
        """Location and path of the content of all files."""
        service = self.platform.service("directus_files", schema=await self.platform.schemas.current())
        query = Query.parse({"fields": ["storage", "filename_disk"], "limit": -1}, self.platform.settings)
        async for part in parts(service, query):
            for row in json.decode(part):
                if row["filename_disk"]:
                    yield row["storage"], row["filename_disk"]

    async def _restore_file(self, archive: ArchiveReader, name: str) -> None:
        _, location, stored = name.split("/", 2)
        with archive.open(name) as file:
            await self.platform.storage.at(location).write(stored, chunks(file))


def _nobody(name: str, size: int) -> None:
    """Watches nothing."""
