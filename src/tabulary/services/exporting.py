"""Reading whole collections part by part, and exports that end as a stored file (spec items-and-query §9.1, §9.2).

A list of any length is read in parts that hold a connection only while they are read: a client that is slow to take a
download, or a storage that is slow to take an upload, keeps nobody else waiting. Parts follow each other by primary key
or by cursor, so that the millionth item costs what the first did; by offset where an order has no places to go on from.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import Forbidden, InvalidPayload, TabularyError
from tabulary.items.paging import has_places
from tabulary.items.plan import Node, Part, Plain, ToMany, ToOne
from tabulary.items.planner import Planner
from tabulary.items.platform import Platform
from tabulary.items.query import EXPORTS, Query
from tabulary.schema.overview import Schema
from tabulary.services.export_formats import ColumnPath, Document, document
from tabulary.services.items import ItemsService
from tabulary.services.notices import notify

logger = logging.getLogger("tabulary.transfer")

FIRST_PART = 500
"""Items that the first part holds at most: soon there, and enough to know how large an item is."""
PART_BYTES = 2 << 20
"""About what a part weighs. Parts shrink when items are large; ``EXPORT_BATCH_SIZE`` is their most."""
_COUNTABLE_KEYS = frozenset({"integer", "bigInteger", "string", "uuid"})
"""Types of keys whose wire format is exact, so that a key out of an answer finds its place again."""

Progress = Callable[[int], None]

_TYPES = {
    "csv": "text/csv",
    "csv_utf8": "text/csv; charset=utf-8",
    "json": "application/json",
    "xml": "text/xml",
    "yaml": "text/yaml",
}


async def parts(service: ItemsService, query: Query, progress: Progress | None = None) -> AsyncIterator[bytes]:
    """The items of a query as JSON lists, part by part; the first part comes even when it is empty.

    ``progress`` is called with the number of items that were asked for up to now. What the service's caller may not see
    is not in them. Raises what reading raises.
    """
    most = max(1, int(service.platform.settings["EXPORT_BATCH_SIZE"]))
    size, limit = min(FIRST_PART, most), query.root.limit
    adds_rows = type(service).read_by_query is not ItemsService.read_by_query  # its own, once to each answer
    if query.root.aggregate or query.root.group or adds_rows or (limit is not None and limit <= size):
        yield (await service.read_json_by_query(query)).encode()
        return
    walk = await _walk(service, query)
    taken = 0
    while limit is None or taken < limit:
        size = size if limit is None else min(size, limit - taken)
        part = (await walk.read(size)).encode()
        if taken and part.strip() == b"[]":
            return
        yield part
        taken += size
        if progress is not None:
            progress(taken)
        if walk.at_end:
            return
        size = max(1, min(most, size * 4, size * PART_BYTES // max(1, len(part))))


async def content(
    service: ItemsService, query: Query, kind: str, *, columns: str = "found", progress: Progress | None = None
) -> AsyncIterator[bytes]:
    """The file of a query's items in the format ``kind``.

    Args:
        columns: of a csv file: those that the items turn out to have (``found``) or those ``requested``.
        progress: called with the number of items that have been read up to now.

    Raises what reading raises, before the first piece or between two.
    """
    with await _document(service, query, kind, columns) as file:
        async for part in parts(service, query, progress):
            if piece := await asyncio.to_thread(file.add, part):
                yield piece
        rest = file.finish()
        while piece := await asyncio.to_thread(lambda: next(rest, b"")):
            yield piece


# --- the way through a list ---------------------------------------------------------------------
@dataclass
class _ByOffset:
    """Parts counted from the front of the list."""

    service: ItemsService
    query: Query
    at_end: bool = False
    _passed: int = 0

    async def read(self, size: int) -> str:
        offset = self.query.offset + self._passed
        self._passed += size
        root = replace(self.query.root, limit=size, offset=1 if offset else 0)
        return await self.service.read_json_by_query(replace(self.query, root=root, offset=offset))


@dataclass
class _ByKey:
    """Parts between two keys. Where a part ends is asked first, so that no part needs its keys in the answer."""

    service: ItemsService
    query: Query
    primary: str
    descending: bool
    at_end: bool = False
    _last: Any = None

    async def read(self, size: int) -> str:
        reader, service = self.service.platform.reader, self.service
        ahead = self.query.within(self.primary, after=self._last, descending=self.descending)
        end = replace(ahead.with_fields(self.primary), offset=size - 1)
        end = replace(end, root=replace(end.root, limit=1, offset=1 if size > 1 else 0))
        found = await reader.read(service.schema, service.collection, end, service.accountability, service.connection)
        if found:
            last = found[0][self.primary]
            ahead = self.query.within(self.primary, after=self._last, upto=last, descending=self.descending)
            self._last = last
        else:
            self.at_end = True
        return await service.read_json_by_query(ahead.with_limit(size))


@dataclass
class _ByCursor:
    """Parts that begin where the last one ended, in any order that has places."""

    service: ItemsService
    query: Query
    at_end: bool = False

    async def read(self, size: int) -> str:
        page = await self.service.read_page(self.query.with_limit(size))
        self.query, self.at_end = replace(self.query, cursor=page.next or "", offset=0), page.next is None
        return json.encode(page.items).decode()


async def _walk(service: ItemsService, query: Query) -> _ByOffset | _ByKey | _ByCursor:
    base = service.schema.collections.get(service.collection)
    if base is None:
        raise Forbidden(f'Collection "{service.collection}" doesn\'t exist or you may not access it.')
    permissions = await service.platform.access.permissions(service.accountability, service.schema, service.connection)
    rows = permissions.of_action(base.collection, "read")

    def shown(name: str) -> bool:
        """True when the caller sees the field in every item."""
        return permissions.unrestricted or all(row.grants(name) for row in rows)

    sort, by_default = query.root.sort, (base.sort_field or base.primary,)
    if not shown(base.primary) or not (sort or shown(by_default[0])):
        return _ByOffset(service, query)
    in_order = sort or by_default
    by_key = in_order in ((base.primary,), (f"-{base.primary}",))
    if by_key and not query.offset and base.primary_field.type in _COUNTABLE_KEYS and not query.root.alias:
        return _ByKey(service, query, base.primary, in_order[0].startswith("-"))
    planner = Planner(service.schema, permissions, service.platform.reader.limits, query.backlink)
    if has_places(planner, base.collection, query):
        return _ByCursor(service, replace(query, cursor=""))
    if not by_key:  # items that are equal in the given order keep their places from part to part
        query = replace(query, root=replace(query.root, sort=(*in_order, base.primary)))
    return _ByOffset(service, query)


# --- columns ------------------------------------------------------------------------------------
async def _document(service: ItemsService, query: Query, kind: str, columns: str) -> Document:
    if not kind.startswith("csv") or query.root.aggregate or query.root.group:
        return document(kind)
    permissions = await service.platform.access.permissions(service.accountability, service.schema, service.connection)
    planner = Planner(service.schema, permissions, service.platform.reader.limits, query.backlink)
    node = planner.root(service.collection, query.root)
    if columns == "requested":
        return document(kind, _arranged(_columns(node), query.root.fields or ()))
    return document(kind, list(_columns(node)) if _is_flat(node) else None)


def _columns(node: Node) -> Iterable[ColumnPath]:
    """A column for each value; a to-one relation has those of its item, a list is one."""
    for output in node.outputs:
        if isinstance(output.member, ToOne):
            yield from ((output.key, *path) for path in _columns(output.member.node))
        else:
            yield (output.key,)


def _arranged(columns: Iterable[ColumnPath], fields: Sequence[str]) -> list[ColumnPath]:
    """The columns in the order in which they were asked for; plans have plain fields first."""
    asked = [field.replace(":", ".").split(".") for field in fields]

    def place(column: ColumnPath) -> int:
        for place, steps in enumerate(asked):
            if all(step in ("*", name) for step, name in zip(steps, column, strict=False)):
                return place
        return len(asked)

    return sorted(columns, key=place)


def _is_flat(node: Node) -> bool:
    """True when no value can be an object, so that all items have the same columns."""
    return all(
        isinstance(o.member, Part | ToMany)
        or (isinstance(o.member, Plain) and o.member.field.type != "json" and "geometry" not in o.member.field.type)
        for o in node.outputs
    )


# --- to a file of the platform ------------------------------------------------------------------
class ExportService:
    """Exports on behalf of someone, who must be allowed to create files."""

    def __init__(self, *, platform: Platform, schema: Schema, accountability: Accountability | None = None) -> None:
        self.platform = platform
        self.schema = schema
        self.accountability = accountability

    async def export_to_file(
        self, collection: str, query: Mapping[str, Any], kind: str, file: Mapping[str, Any] | None = None
    ) -> Any:
        """Store the items of a raw query as a file; its key.

        Args:
            query: all items are meant where it has no ``limit``.
            file: columns of the file's row, over the defaults.

        Raises :class:`InvalidPayload` for an unknown format, and what reading and uploading raise.
        """
        if kind not in EXPORTS:
            raise InvalidPayload(f'"format" has to be one of {", ".join(EXPORTS)}')
        parsed = Query.parse(query, self.platform.settings)
        if query.get("limit") is None:
            parsed = parsed.with_limit(None)
        now = datetime.now()
        title = f"export-{collection}-{now:%Y%m%d}-{now.hour}{now.minute}{now.second}"
        name = f"{title}.{kind.split('_')[0]}"
        row = {"title": title, "filename_download": name, "type": _TYPES[kind], **(file or {})}
        source = self._service(collection)
        return await self._service("directus_files").upload_one(content(source, parsed, kind, columns="requested"), row)

    async def run(
        self, collection: str, query: Mapping[str, Any], kind: str, file: Mapping[str, Any] | None = None
    ) -> None:
        """:meth:`export_to_file` in the background: the caller is notified of the file, or of what went wrong."""
        try:
            key = await self.export_to_file(collection, query, kind, file)
        except asyncio.CancelledError:
            await notify(self, f"Your export of {collection} failed", "The server was stopped before it was done.")
            raise
        except Exception as problem:
            reason = problem.message if isinstance(problem, TabularyError) else "An unexpected error occurred."
            if not isinstance(problem, TabularyError):
                logger.exception("the export of %s failed", collection)
            await notify(self, f"Your export of {collection} failed", reason)
            return
        message = f"Find it in the file library: {json.encode(key).decode()}"
        await notify(self, f"Your export of {collection} is ready", message, collection="directus_files", item=str(key))

    def _service(self, collection: str) -> Any:
        return self.platform.service(collection, schema=self.schema, accountability=self.accountability)
