"""Files: rows of ``directus_files`` and the content that belongs to them (spec files §3.1–§3.4).

Permissions and rules speak before a byte is stored; then the content comes in, and its row last, in one transaction
with all that only the content tells. Until then nobody sees it: a process that is killed leaves no half a file.
"""

from __future__ import annotations

import logging
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.events import Action
from tabulary.core.storage import UNFINISHED, StorageError
from tabulary.database.connection import Connection
from tabulary.items.blueprint import CREATE, UPDATE
from tabulary.items.filter import conjunction, parse_filter
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, MutationOptions, QueryOptions
from tabulary.items.query import Query
from tabulary.items.validation import check_fields, process_payload
from tabulary.services.file_contents import Arrival, Content, FileContents, answering
from tabulary.services.file_names import disk_name, extension_of, matches_type
from tabulary.services.items import ItemsService
from tabulary.services.reading import Item

logger = logging.getLogger("tabulary.files")

FILES = "directus_files"
_STORED = ("id", "storage", "filename_disk", "type", "metadata", "description", "tags", "title")


class FilesService(ItemsService):
    """``directus_files``."""

    @property
    def contents(self) -> FileContents:
        """The storage behind the rows."""
        return FileContents(self.platform)

    # --- content ----------------------------------------------------------------------------
    async def upload_one(
        self, content: Content, data: Mapping[str, Any], key: Key | None = None, options: MutationOptions | None = None
    ) -> Key:
        """Store a file, or with ``key`` replace the content of one; its key. Emits ``files.upload``.

        Args:
            content: the bytes, or a stream of them; never held in memory as a whole.
            data: columns of the row; ``filename_download`` and ``type`` have to be among them.
            key: the file to replace. Raises :class:`Forbidden` when there is none.
            options: as for any write.

        Raises :class:`InvalidPayload` for an unknown storage location, :class:`ContentTooLarge`,
        :class:`ServiceUnavailable` when the storage does not answer, and what permissions and rules raise.
        """
        options = options or MutationOptions()
        if key is None:
            key, payload = await self._upload(content, dict(data), options)
        else:
            payload = await self._replace(key, content, dict(data), options)
        action = Action(("files.upload",), {"payload": payload, "key": key, "collection": FILES}, self.event_context)
        if options.bypass_emit_action is not None:
            options.bypass_emit_action(action)
        elif options.emit_events:
            self._emit([action])
        return key

    async def import_one(
        self,
        url: str,
        data: Mapping[str, Any] | None = None,
        options: MutationOptions | None = None,
        media_types: Sequence[str] = ("*/*",),
    ) -> Key:
        """Fetch a file from a URL and store it; its key. With the ``id`` of a file in ``data`` that one is replaced.

        Raises :class:`Forbidden` without the permission to create files, :class:`InvalidPayload` for a media type that
        is not allowed, :class:`ServiceUnavailable` when the file cannot be had.
        """
        permissions = await self.platform.access.permissions(self.accountability, self.schema, self.connection)
        if not permissions.unrestricted:
            check_fields(permissions, FILES, CREATE, [])
        from tabulary.services.file_import import fetched  # here: the HTTP client is slow to load

        given = dict(data or {})
        async with fetched(url, self.platform.settings) as file:
            self.check_media_type(file.media_type, media_types)
            payload = {"filename_download": file.name, "type": file.media_type, "title": file.title, **given}
            key = given.get("id")
            replaced = key if key is not None and await self._exists(key) else None
            return await self.upload_one(file.content, payload, replaced, options)

    def check_media_type(self, media_type: str, *allow_lists: Sequence[Any]) -> None:
        """Raise :class:`InvalidPayload` unless ``FILES_MIME_TYPE_ALLOW_LIST`` and all ``allow_lists`` have the type."""
        configured = self.platform.settings["FILES_MIME_TYPE_ALLOW_LIST"]
        everywhere = configured if isinstance(configured, list) else [configured]
        if not all(matches_type(media_type, patterns) for patterns in (everywhere, *allow_lists)):
            raise InvalidPayload(f'Files of type "{media_type}" are not accepted here')

    async def exists(self, key: Key) -> bool:
        """True when there is such a file, whoever may see it."""
        return await self._exists(key)

    async def _upload(self, content: Content, payload: Item, options: MutationOptions) -> tuple[Key, Item]:
        payload = {"storage": self.platform.storage.default, **payload}
        self.contents.driver(payload["storage"])
        if "folder" not in payload and (folder := await self._default_folder()) is not None:
            payload["folder"] = folder
        await self._check_new(payload)
        location, key = payload["storage"], str(payload.get("id") or uuid4())
        extension = extension_of(payload.get("filename_download"), payload.get("type"))
        named = payload.get("filename_disk")
        stored = f"{key}{extension}" if named is None else disk_name(named)
        # a name or a key that was asked for may be another file's: that is known when the row is written
        is_new = named is None and payload.get("id") is None
        arrival = Arrival(self.contents.driver(location), stored if is_new else _unfinished(extension))
        try:
            size = await self.contents.write(location, arrival.path, content, payload.get("type"))
            found = await self.contents.facts(location, arrival.path, payload.get("type"))
            sizes: Item = {name: found.pop(name) for name in ("width", "height") if name in found}
            unset = {name: value for name, value in found.items() if payload.get(name) is None}
            settled = {**sizes, **unset, "filename_disk": stored, "filesize": size, "uploaded_on": datetime.now(UTC)}
            chosen = replace(options, emit_events=False, overwrite_defaults={"_key": key})

            async def work(connection: Connection) -> None:
                inside = self.fork(connection=connection)
                await inside._insert(payload, chosen)
                await inside._settle(key, {**payload, **settled}, user=None)
                await arrival.move(stored)

            await self.platform.database.run_in_transaction(work, self.connection)
        except BaseException:
            await arrival.withdraw()
            raise
        return key, payload

    async def _check_new(self, payload: Item) -> None:
        """Permissions and rules speak before a byte is stored; those of the row itself when it is written."""
        if payload.get("id") is not None:
            check_keys(self.schema.collections[self.collection], [payload["id"]])
        context = (self.platform, self.schema, self.blueprint, CREATE, payload, self.accountability)
        await process_payload(*context, connection=self.connection)

    async def _replace(self, key: Key, content: Content, payload: Item, options: MutationOptions) -> Item:
        payload.pop("id", None)
        await self._check_items(UPDATE, [key], list(payload))
        row = await self._stored(key)
        if row is None:
            raise Forbidden
        location = str(payload.setdefault("storage", row["storage"]))
        extension = extension_of(payload.get("filename_download"), payload.get("type"))
        kept = posixpath.splitext(row["filename_disk"] or str(key))[0]
        stored = payload.pop("filename_disk", None) or f"{kept}{extension}"
        claimed = {} if stored == row["filename_disk"] else {"filename_disk": disk_name(stored)}
        arrival = Arrival(self.contents.driver(location), _unfinished(extension))
        try:
            size = await self.contents.write(location, arrival.path, content, payload.get("type"))
            found = await self.contents.facts(location, arrival.path, payload.get("type"))
            facts: Item = {"width": found.get("width"), "height": found.get("height")}
            if row["metadata"] is None and "metadata" not in payload:
                facts["metadata"] = found.get("metadata")
            settled = {**facts, "filename_disk": stored, "filesize": size, "uploaded_on": datetime.now(UTC)}

            async def work(connection: Connection) -> None:
                inside = self.fork(connection=connection)
                await inside._rename(key, location, claimed, payload, replace(options, emit_events=False))
                await inside._settle(key, settled, user=self._user)
                await arrival.move(stored)

            await self.platform.database.run_in_transaction(work, self.connection)
        except BaseException:
            if arrival.path != stored:
                await arrival.withdraw()
            raise
        await self._remove_replaced(row, location, stored)
        return payload

    async def _remove_replaced(self, row: Item, location: str, stored: str) -> None:
        """What the old content left: its variants, and itself where the new one has another place."""
        try:
            if (row["storage"], row["filename_disk"]) == (location, stored):
                await self.contents.remove_variants(row)
            else:
                await self.contents.remove([row])
        except Exception:
            logger.exception("the old content of file %s could not be removed", row["id"])

    # --- writes without content -------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Create the row of a file whose content is elsewhere. Raises :class:`InvalidPayload` without ``type``."""
        if not data.get("type"):
            raise InvalidPayload('"type" is required')
        return await self._insert(dict(data), options or MutationOptions())

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """As for items; another ``filename_disk`` moves the stored file, one at a time."""
        if data.get("filename_disk") is None:
            return await super().update_many(keys, data, options)
        if len(keys) != 1:
            raise InvalidPayload('"filename_disk" can be changed for one file at a time')
        check_keys(self.schema.collections[self.collection], keys)
        row = await self._stored(keys[0])
        stored = disk_name(data["filename_disk"])
        if row is None or row["filename_disk"] in (None, stored):
            await self._rename(keys[0], data.get("storage"), {"filename_disk": stored}, data, options)
        else:
            await self._rename(keys[0], data.get("storage") or row["storage"], {"filename_disk": stored}, data, options)
            if data.get("storage") in (None, row["storage"]) and row["storage"] in self.platform.storage:
                await self._move(row, stored)
        return list(keys)

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        """As for items; the stored files and all that was made of them go too, once the rows are gone."""
        check_keys(self.schema.collections[self.collection], keys)
        rows = await self._stored_many(keys)
        deleted = await super().delete_many(keys, options)
        gone = {str(key) for key in deleted}
        chosen = [row for row in rows if str(row["id"]) in gone]
        if self.connection is not None and self.connection.in_transaction:
            self.connection.after_commit(lambda: self.platform.storage.start(self._remove_contents(chosen)))
        else:
            await self._remove_contents(chosen)
        return deleted

    async def _remove_contents(self, rows: Sequence[Item]) -> None:
        try:
            await self.contents.remove(rows)
        except Exception:
            # the rows are gone and cannot be deleted a second time; the operator has to know what stayed
            logger.exception(
                "the content of deleted files could not be removed: %s", [row["filename_disk"] for row in rows]
            )

    async def _move(self, row: Item, stored: str) -> None:
        driver = self.platform.storage.at(row["storage"])
        try:
            if not await driver.exists(stored):
                await driver.move(row["filename_disk"], stored)
                await self.contents.remove_variants(row)
            elif self.platform.settings["FILES_DELETE_ORIGINAL_ON_MOVE"]:
                await self.contents.remove([row])
        except StorageError:
            await self._settle(row["id"], {"filename_disk": row["filename_disk"]}, user=self._user)
            async with answering():
                raise

    # --- rows -------------------------------------------------------------------------------
    async def _insert(self, payload: Item, options: MutationOptions) -> Key:
        """Create the row; a ``filename_disk`` in it is cleaned, in the payload too, and has to be free."""
        if payload.get("filename_disk") is None:
            return await super().create_one(payload, options)
        payload["filename_disk"] = disk_name(payload["filename_disk"])

        async def work(connection: Connection) -> Key:
            inside = self.fork(connection=connection)
            await inside._claim(payload.get("storage"), payload["filename_disk"], payload.get("id"))
            return await ItemsService.create_one(inside, payload, options)

        return await self.platform.database.run_in_transaction(work, self.connection)

    async def _rename(
        self, key: Key, location: Any, name: Item, data: Mapping[str, Any], options: MutationOptions | None
    ) -> None:
        """Update the row; a new name in ``name`` has to be free."""

        async def work(connection: Connection) -> None:
            inside = self.fork(connection=connection)
            if name:
                await inside._claim(location, name["filename_disk"], key)
            await ItemsService.update_many(inside, [key], {**data, **name}, options)

        await self.platform.database.run_in_transaction(work, self.connection)

    async def _claim(self, location: Any, name: str, key: Key | None) -> None:
        """Until the transaction ends nobody else takes the name. Raises :class:`Forbidden` when somebody has it."""
        assert self.connection is not None
        await self.connection.dialect.lock(self.connection, "file_names")
        taken: dict[str, Any] = {"filename_disk": {"_eq": name}}
        if location is not None:
            taken["storage"] = {"_eq": location}
        found = await self.fork(accountability=None).get_keys_by_query({"filter": taken, "limit": 2})
        if any(str(other) != str(key) for other in found):
            raise Forbidden

    @property
    def _user(self) -> str | None:
        return None if self.accountability is None else self.accountability.user

    async def _settle(self, key: Key, data: Mapping[str, Any], user: str | None) -> None:
        """Write as the system, without a trail: what belongs to a write that the caller has made."""
        options = MutationOptions(emit_events=False, bypass_limits=True, overwrite_defaults={"_user": user})
        columns = {name: value for name, value in data.items() if name != "id"}
        await ItemsService.update_many(self.fork(accountability=None), [key], columns, options)

    async def _stored(self, key: Key) -> Item | None:
        rows = await self._stored_many([key])
        return rows[0] if rows else None

    async def _stored_many(self, keys: Sequence[Key]) -> list[Item]:
        """What the system knows of the content of rows."""
        if not keys:
            return []
        found = await self.platform.reader.snapshot(self.schema, FILES, list(keys), self.connection, _STORED)
        return list(found.values())

    async def _default_folder(self) -> Any:
        settings = self.platform.service("directus_settings", schema=self.schema, connection=self.connection)
        query = Query.parse({"fields": ["storage_default_folder"]}, self.platform.settings)
        return (await settings.read_singleton(query)).get("storage_default_folder")

    # --- reads ------------------------------------------------------------------------------
    async def _before_read(self, query: Query, options: QueryOptions | None) -> Query:
        return await super()._before_read(await self.without_unfinished(query), options)

    async def without_unfinished(self, query: Query) -> Query:
        """The query without uploads that are still coming in (``TUS_ENABLED``). They stay in sight of the system."""
        if not self.platform.settings["TUS_ENABLED"] or self.accountability is None:
            return query
        unfinished = {"filter": {"tus_id": {"_nnull": True}}, "fields": ["id"], "limit": -1}
        parsed = Query.internal(unfinished, self.platform.settings)
        keys = await self.platform.reader.keys(self.schema, FILES, parsed, self.connection)
        permissions = await self.platform.access.permissions(self.accountability, self.schema, self.connection)
        granted = permissions.fields(FILES, "read")
        if not keys or not ({"*", "id"} & granted):
            return query
        values = list(query.values)
        condition = parse_filter({"id": {"_nin": keys}}, values, strict=False)
        root = replace(query.root, filter=conjunction([query.root.filter, condition]))
        return replace(query, root=root, values=tuple(values))


def _unfinished(extension: str) -> str:
    """A name for content that has none of its own yet."""
    return f"{UNFINISHED}{secrets.token_hex(8)}{extension}"
