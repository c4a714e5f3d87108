"""``?export=``: any data answer as a file to download (spec items-and-query §9.1).

Lists are read and sent part by part. Short ones are ordinary answers with length and ETag; longer ones are streams of
which a beginning has been read before the answer starts, so that wrong queries still get their error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from tabulary.items.query import Query
from tabulary.server.routing import path_of
from tabulary.services.export_formats import exported as exported
from tabulary.services.exporting import content

if TYPE_CHECKING:
    from tabulary.server.request import ApiRequest

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "csv_utf8": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
    "yaml": "text/yaml; charset=utf-8",
}
SHORT = 1 << 18
"""Bytes of a file that is sent at once."""

HEADERS = {"Vary": "Origin, Cache-Control", "Cache-Control": "no-cache"}


def file_name(collection: str | None, kind: str, now: datetime | None = None) -> str:
    """``books 20240131-9584.csv``: date and unpadded time of the server, as the reference names its downloads."""
    moment = now or datetime.now()
    return f"{collection or 'Export'} {moment:%Y%m%d}-{moment.hour}{moment.minute}{moment.second}.{kind.split('_')[0]}"


def subject(request: ApiRequest) -> str | None:
    """The collection that a request is about: in its path, or the system collection that its family serves."""
    named: str | None = request.path_params.get("collection")
    family = f"directus_{path_of(request.scope)[1:].partition('/')[0].lower()}"
    return named or (family if family in request.schema.collections else None)


def download(collection: str | None, data: Any, kind: str) -> Response:
    """The answer to a route whose data is at hand (decoded JSON: a list, an object or null)."""
    return _whole(exported(data, kind), _headers(collection, kind))


async def download_list(service: Any, query: Query, collection: str | None) -> Response:
    """The answer to a route that lists the items of ``service``. Raises what reading raises."""
    assert query.export is not None
    headers = _headers(collection, query.export)
    pieces = content(service, query, query.export)
    begun: list[bytes] = []
    async for piece in pieces:
        begun.append(piece)
        if sum(map(len, begun)) > SHORT:
            return StreamingResponse(_all(begun, pieces), 200, headers)
    return _whole(b"".join(begun), headers)


async def _all(begun: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while begun:
        yield begun.pop(0)
    async for piece in rest:
        yield piece


def _whole(body: bytes, headers: dict[str, str]) -> Response:
    if not body:
        del headers["Content-Type"]
    return Response(body, 200, headers)


def _headers(collection: str | None, kind: str) -> dict[str, str]:
    name = file_name(collection, kind).replace('"', "'")
    return {
        **HEADERS,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Type": MEDIA_TYPES[kind],
    }
