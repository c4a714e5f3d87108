"""Resumable uploads: files that arrive in several requests (TUS 1.0.0, spec files §3.11).

The upload is a row of ``directus_files`` with ``tus_id`` and its state in ``tus_data``; the bytes wait in the first
storage location as an unfinished object. Requests for one upload take turns within a process; the offset that each of
them names keeps those of other processes from mixing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import ContentTooLarge, Forbidden, InvalidPayload
from tabulary.core.events import Action
from tabulary.core.storage import Driver, ObjectMissing, StorageError
from tabulary.database.connection import Connection
from tabulary.items.blueprint import CREATE, DELETE, UPDATE
from tabulary.items.options import MutationOptions
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.items.validation import check_fields
from tabulary.schema.overview import Schema
from tabulary.services.file_contents import answering
from tabulary.services.file_names import extension_of
from tabulary.services.files import FILES, FilesService
from tabulary.services.items import ItemsService
from tabulary.services.schedules import Schedules

logger = logging.getLogger("tabulary.files")

_FIELDS = ("id", "tus_id", "tus_data", "uploaded_by", "filename_disk", "storage", "type")
_QUIET = MutationOptions(emit_events=False, bypass_limits=True, skip_tracking=True)
_TURN_SECONDS = 30
_SWEEP_SECONDS = 60


class UploadMissing(Exception):
    """There is no such upload, or it is somebody else's, or it has expired."""


class WrongOffset(Exception):
    """The bytes do not continue where the upload stands."""


class UploadBusy(Exception):
    """Another request is adding to the upload."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Where an upload stands. ``file`` is the key of the finished file, None until then."""

    id: str
    size: int
    offset: int
    metadata: Mapping[str, Any]
    expires: datetime
    file: str | None = None


class ResumableUploads:
    """The unfinished uploads of one platform."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._swept = 0.0

    # --- requests ---------------------------------------------------------------------------
    async def create(
        self, size: int, metadata: Mapping[str, Any], schema: Schema, caller: Accountability | None
    ) -> Upload:
        """Begin an upload of ``size`` bytes; ``metadata`` holds the columns of the row as texts.

        Raises :class:`InvalidPayload` without ``filename_download``, :class:`ContentTooLarge`, :class:`Forbidden`.
        """
        limit = self.platform.settings.size("FILES_MAX_UPLOAD_SIZE")
        if limit is not None and size > limit:
            raise ContentTooLarge
        if not metadata.get("filename_download"):
            raise InvalidPayload('The upload\'s metadata needs "filename_download"')
        files = self._files(schema, caller)
        row = {"type": "application/octet-stream", "title": metadata["filename_download"], **metadata}
        files.check_media_type(str(row["type"]))
        await self.remove_expired(schema)
        upload = Upload(secrets.token_hex(16), size, 0, dict(metadata), self._expiry())

        async def work(connection: Connection) -> None:
            inside = files.fork(connection=connection)
            key, replaced = await self._begin(inside, {"storage": self.platform.storage.default, **row})
            stored = f"{key}{extension_of(row['filename_download'], row['type'])}"
            columns = {"tus_id": upload.id, "filesize": size, "filename_disk": stored}
            await self._save(schema, key, upload, replaced, columns, connection)

        await self.platform.database.run_in_transaction(work)
        if size == 0:
            return await self.append(upload.id, 0, _nothing(), schema, caller)
        return upload

    async def find(self, id: str, schema: Schema, caller: Accountability | None) -> Upload:
        """Where an upload stands; one that has all its bytes becomes a file. Raises :class:`UploadMissing`."""
        _, upload = await self._find(id, schema, caller, "read")
        if upload.offset < upload.size:
            return upload
        async with self._turn(id):  # the process that took the last bytes has ended before it was done with them
            row, upload = await self._find(id, schema, caller, "read")
            return await self._finish(schema, caller, row, upload)

    async def append(
        self, id: str, offset: int, content: AsyncIterable[bytes], schema: Schema, caller: Accountability | None
    ) -> Upload:
        """Add bytes; with the last of them the upload becomes a file.

        What arrived before a stream broke off stays. Raises :class:`UploadMissing`, :class:`WrongOffset`,
        :class:`UploadBusy`, :class:`ContentTooLarge` for more bytes than were announced.
        """
        async with self._turn(id):
            row, upload = await self._find(id, schema, caller, UPDATE)
            if offset != upload.offset:
                raise WrongOffset
            driver = self._driver(row)
            arrived = _Counted(content, upload.size - offset)
            async with answering():
                try:
                    await driver.append(row["filename_disk"], offset, arrived)
                except StorageError:
                    raise  # how much of it was stored nobody knows: it goes on where it stood
                except Exception:
                    await self._advance(schema, row, upload, offset + arrived.size)
                    raise
            upload = await self._advance(schema, row, upload, offset + arrived.size)
            return await self._finish(schema, caller, row, upload) if upload.offset == upload.size else upload

    async def remove(self, id: str, schema: Schema, caller: Accountability | None) -> None:
        """Give an upload up. Raises :class:`UploadMissing`."""
        async with self._turn(id):
            row, _ = await self._find(id, schema, caller, DELETE)
            await self._discard(schema, row)

    async def remove_expired(self, schema: Schema, *, at_once: bool = False) -> int:
        """Remove uploads that nobody continued in time; how many there were. Looks once a minute at most."""
        if not at_once and time.monotonic() - self._swept < _SWEEP_SECONDS:
            return 0
        self._swept = time.monotonic()
        expired = [
            row for row in await self._rows(schema, {"_nnull": True}) if _state(row)["expires"] < datetime.now(UTC)
        ]
        for row in expired:
            if row["tus_id"] in self._turns:
                continue  # a chunk is just arriving
            try:
                await self._end(schema, row)
            except Exception:  # of one; the others have to go all the same
                logger.exception("an expired upload could not be removed: %s", row["filename_disk"])
        return len(expired)

    async def clean_up(self) -> int:
        """:meth:`remove_expired`, for the schedule."""
        return await self.remove_expired(await self.platform.schemas.current(), at_once=True)

    async def _end(self, schema: Schema, row: Mapping[str, Any]) -> None:
        """Drop an expired upload; one that has all its bytes becomes a file. (Whether its uploader may still replace
        another one nobody can tell.)"""
        state = _state(row)
        if 0 < state["size"] == state["offset"] and state["replaces"] is None:
            await self._finish(schema, None, row, _upload(row["tus_id"], state))
        else:
            await self._discard(schema, row)

    # --- steps ------------------------------------------------------------------------------
    async def _begin(self, files: FilesService, row: dict[str, Any]) -> tuple[Any, Any]:
        """The row that an upload begins with, and the key of the file that it will replace, if any."""
        replaced = row.get("id")
        if replaced is None or not await files.exists(replaced):
            return await files._insert(row, MutationOptions(emit_events=False)), None
        del row["id"]
        await files._check_items(UPDATE, [replaced], [name for name in row if name != "storage"])
        options = replace(_QUIET, overwrite_defaults={"_user": files._user})
        return await ItemsService.create_one(files.fork(accountability=None), row, options), replaced

    async def _find(
        self, id: str, schema: Schema, caller: Accountability | None, action: str
    ) -> tuple[dict[str, Any], Upload]:
        await self._check_permission(schema, caller, action)
        rows = await self._rows(schema, {"_eq": id})
        if not rows or (caller is not None and rows[0]["uploaded_by"] != caller.user):
            raise UploadMissing
        state = _state(rows[0])
        if state["expires"] < datetime.now(UTC):
            await self._discard(schema, rows[0])
            raise UploadMissing
        return rows[0], _upload(id, state)

    async def _check_permission(self, schema: Schema, caller: Accountability | None, action: str) -> None:
        permissions = await self.platform.access.permissions(caller, schema)
        if not permissions.unrestricted:
            check_fields(permissions, FILES, action if action != UPDATE else self._action(permissions), [])

    @staticmethod
    def _action(permissions: Any) -> str:
        """Whoever may create files may also continue to create one."""
        return UPDATE if permissions.allows(FILES, UPDATE) else CREATE

    async def _advance(self, schema: Schema, row: Mapping[str, Any], upload: Upload, offset: int) -> Upload:
        moved = Upload(upload.id, upload.size, offset, upload.metadata, self._expiry())
        await self._save(schema, row["id"], moved, _state(row)["replaces"], {})
        return moved

    async def _save(
        self,
        schema: Schema,
        key: str,
        upload: Upload,
        replaced: str | None,
        columns: Mapping[str, Any],
        connection: Connection | None = None,
    ) -> None:
        state = {
            "id": upload.id,
            "size": upload.size,
            "offset": upload.offset,
            "metadata": upload.metadata,
            "expires": upload.expires.isoformat(),
            "replaces": replaced,
        }
        files = self._files(schema, None).fork(connection=connection)
        await files._settle(key, {**columns, "tus_data": state}, user=None)

    async def _finish(
        self, schema: Schema, caller: Accountability | None, row: Mapping[str, Any], upload: Upload
    ) -> Upload:
        """Make a file of a complete upload, or new content of the file that it replaces."""
        files, system, driver = self._files(schema, caller), self._files(schema, None), self._driver(row)
        async with answering():
            if not await _is_stored(driver, row["filename_disk"], upload.size):
                await driver.finish(row["filename_disk"], row["type"])
        found = await files.contents.facts(row["storage"], row["filename_disk"], row["type"])
        key = str(row["id"])
        done: dict[str, Any] = {"filesize": upload.size, "tus_id": None, "tus_data": None}
        if replaced := _state(row)["replaces"]:
            sizes = {"width": found.get("width"), "height": found.get("height")}
            await self._take_over(files, replaced, row, upload, sizes)
            await ItemsService.delete_many(system, [key], _QUIET)
            key = replaced
        else:
            empty = {
                name: value for name, value in found.items() if upload.metadata.get(name) is None and name != "title"
            }
            await system._settle(key, {**empty, **done}, user=None)
        payload = {**upload.metadata, "filesize": upload.size}
        files._emit(
            [Action(("files.upload",), {"payload": payload, "key": key, "collection": FILES}, files.event_context)]
        )
        return Upload(upload.id, upload.size, upload.size, upload.metadata, upload.expires, key)

    async def _take_over(
        self, files: FilesService, key: str, row: Mapping[str, Any], upload: Upload, facts: Mapping[str, Any]
    ) -> None:
        await files._check_items(UPDATE, [key], ["filename_download", "type"])  # the row's state may be anybody's word
        old = await files._stored(key)
        if old is None:
            raise Forbidden
        stored = old["filename_disk"] or row["filename_disk"]
        async with answering():
            await self._driver(row).move(row["filename_disk"], stored)
        await files._remove_replaced(old, row["storage"], stored)
        columns = {
            "filename_download": upload.metadata["filename_download"],
            "type": row["type"],
            "storage": row["storage"],
        }
        await files._settle(
            key, {**columns, **facts, "filename_disk": stored, "filesize": upload.size}, user=files._user
        )

    async def _discard(self, schema: Schema, row: Mapping[str, Any]) -> None:
        try:
            await self._driver(row).discard(row["filename_disk"])
        except StorageError:
            logger.exception("the bytes of an upload that was given up could not be removed: %s", row["filename_disk"])
        await ItemsService.delete_many(self._files(schema, None), [row["id"]], _QUIET)

    # --- parts ------------------------------------------------------------------------------
    def _files(self, schema: Schema, caller: Accountability | None) -> FilesService:
        service: FilesService = self.platform.service(FILES, schema=schema, accountability=caller)
        return service

    def _driver(self, row: Mapping[str, Any]) -> Driver:
        return self.platform.storage.at(row["storage"])

    def _expiry(self) -> datetime:
        lifetime = self.platform.settings.duration("TUS_UPLOAD_EXPIRATION") or 600_000
        return datetime.now(UTC) + timedelta(milliseconds=lifetime)

    async def _rows(self, schema: Schema, condition: Mapping[str, Any]) -> list[dict[str, Any]]:
        raw = {"filter": {"tus_id": condition}, "fields": list(_FIELDS), "limit": -1}
        query = Query.internal(raw, self.platform.settings)
        return await self.platform.reader.read(schema, FILES, query, None)

    @asynccontextmanager
    async def _turn(self, id: str) -> AsyncIterator[None]:
        """One request at a time for one upload. Raises :class:`UploadBusy` after half a minute."""
        lock = self._turns[id]
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await lock.acquire()
        except TimeoutError:
            raise UploadBusy from None
        try:
            yield
        finally:
            lock.release()
            if not lock.locked():
                self._turns.pop(id, None)


def schedule_clean_up(schedules: Schedules, uploads: ResumableUploads) -> None:
    """Have expired uploads removed at the times of ``TUS_CLEANUP_SCHEDULE``, with ``TUS_ENABLED``."""
    settings = uploads.platform.settings
    if settings["TUS_ENABLED"]:
        schedules.add("expired uploads", str(settings["TUS_CLEANUP_SCHEDULE"]), uploads.clean_up)


class _Counted:
    """A stream that counts its bytes and ends with an error beyond the size that was announced."""

    def __init__(self, content: AsyncIterable[bytes], most: int) -> None:
        self._content = content
        self._most = most
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content:
            if self.size + len(chunk) > self._most:
                raise ContentTooLarge
            self.size += len(chunk)
            yield chunk


async def _is_stored(driver: Driver, path: str, size: int) -> bool:
    """True when the pieces were joined before: by a process that did not live to say so."""
    try:
        return (await driver.stat(path)).size == size
    except ObjectMissing:
        return False


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _upload(id: str, state: Mapping[str, Any]) -> Upload:
    return Upload(id, state["size"], state["offset"], state["metadata"], state["expires"])


def _state(row: Mapping[str, Any]) -> dict[str, Any]:
    """The state that ``tus_data`` holds; an unreadable one is that of an upload that expired long ago."""
    raw = row["tus_data"]
    if isinstance(raw, str):
        try:
            raw = json.decode(raw)
        except ValueError:
            raw = None
    state = dict(raw) if isinstance(raw, Mapping) else {}
    try:
        expires = datetime.fromisoformat(str(state.get("expires")))
    except ValueError:
        expires = datetime.min.replace(tzinfo=UTC)
    return {
        "size": int(state.get("size") or 0),
        "offset": int(state.get("offset") or 0),
        "metadata": state.get("metadata") or {},
        "expires": expires,
        "replaces": state.get("replaces"),
    }
