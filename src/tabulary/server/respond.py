"""Answers: data, nothing, or a download. Every data route ends here (spec items-and-query §2, §9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from tabulary.core import json
from tabulary.server import export

if TYPE_CHECKING:
    from tabulary.server.request import ApiRequest

JSON_TYPE = "application/json; charset=utf-8"
_DATA_HEADERS = {"Vary": "Origin, Cache-Control", "Cache-Control": "no-cache"}
_RAW_DATA_HEADERS = [
    *((name.lower().encode(), value.encode()) for name, value in _DATA_HEADERS.items()),
    (b"content-type", JSON_TYPE.encode()),
]


class DataResponse(Response):
    """A JSON answer of a data route. Nearly all answers are one, so it skips Starlette's building of headers."""

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [*_RAW_DATA_HEADERS, (b"content-length", b"%d" % len(body))]


class JsonText(str):
    """JSON text straight from the engine, not to be encoded again."""


def data(request: ApiRequest, value: Any, *, meta: Mapping[str, Any] | None = None) -> Response:
    """``{"meta", "data"}`` with status 200, or the value as a file when the query asks for an export.

    Args:
        request: the call that is answered; its query decides about exports.
        value: what to send; :class:`JsonText` goes out as it is.
        meta: counts, when they were asked for.
    """
    if kind := request.query.export:
        rows = json.decode(str(value)) if isinstance(value, JsonText) else value
        return export.download(export.subject(request), rows, kind)
    head = '{"data":' if meta is None else f'{{"meta":{json.encode(meta).decode()},"data":'
    text = value if isinstance(value, JsonText) else json.encode(value).decode()
    return DataResponse(f"{head}{text}}}".encode())


def plain(value: Any, *, cached: bool = True) -> Response:
    """``{"data": value}`` from routes that take no query. ``cached=False`` leaves the cache headers out."""
    body = b'{"data":%b}' % json.encode(value)
    return DataResponse(body) if cached else Response(body, 200, media_type=JSON_TYPE)


def nothing() -> Response:
    """204: done, and there is nothing to show (or nothing that the caller may see)."""
    return Response(None, 204, _DATA_HEADERS)
