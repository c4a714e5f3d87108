"""``/utils/import/:collection`` and ``/utils/export/:collection`` (spec items-and-query §9.2, §9.3).

An upload is kept in a temporary file before its first row is written: no transaction waits for a slow client, and what
goes on in the background does not need the request any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from tempfile import SpooledTemporaryFile
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.durations import size
from tabulary.core.errors import Forbidden, InvalidPayload, InvalidQuery, ServiceUnavailable, UnsupportedMediaType
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.multipart import FilePart, is_multipart, parts
from tabulary.server.request import ApiRequest
from tabulary.services import import_formats
from tabulary.services.exporting import ExportService
from tabulary.services.import_formats import Reader
from tabulary.services.importing import ImportService, Turnstile

_MEDIA_TYPES = {"application/json": "json", "text/csv": "csv", "application/vnd.ms-excel": "csv"}
_IN_MEMORY = 1 << 20

Upload = SpooledTemporaryFile[bytes]


def routes(platform: Platform) -> list[Route]:
    """The routes of one application, which share the count of running imports."""
    turnstile = Turnstile(int(platform.settings["IMPORT_MAX_CONCURRENCY"]))

    async def import_(request: ApiRequest) -> Response:
        return await import_file(request, turnstile)

    return [
        Route("/utils/import/{collection}", import_, methods=["POST"]),
        Route("/utils/export/{collection}", export_to_file, methods=["POST"]),
    ]


async def import_file(request: ApiRequest, turnstile: Turnstile) -> Response:
    """Import the first file of a form: csv or JSON by its type, or what ``?format=`` says.

    With ``?background=true`` the answer comes as soon as the file is here, and the result is a notification.
    """
    collection: str = request.path_params["collection"]
    service = ImportService(platform=request.platform, schema=request.schema, accountability=request.accountability)
    await service.check(collection)
    if not is_multipart(request):
        raise UnsupportedMediaType(request.headers.get("content-type", ""), "Content-Type header")
    turnstile.enter()
    upload: Upload = SpooledTemporaryFile(max_size=_IN_MEMORY, dir=request.platform.settings["TEMP_PATH"])  # noqa: SIM115
    closing = _Closing(upload, turnstile)
    try:
        kind = await _received(request, upload)
        read = _reader(upload, kind, _texts(request, collection))
        if request.query_params.get("background") == "true":
            request.platform.jobs.start(closing.around(service.run_in_background(collection, read)))
        else:
            await closing.around(service.run(collection, read))
    except BaseException:
        closing.close()
        raise
    return Response(b"", 200)


async def export_to_file(request: ApiRequest) -> Response:
    """Store a file of items in the background; its reader is notified."""
    collection: str = request.path_params["collection"]
    body: dict[str, Any] = request.payload if isinstance(request.payload, dict) else {}
    for name, kind in (("query", dict), ("format", str)):
        if body.get(name) is None:
            raise InvalidPayload(f'"{name}" is required')
        if not isinstance(body[name], kind):
            raise InvalidPayload(f'"{name}" must be of type {"object" if kind is dict else "string"}')
    file = body.get("file")
    if file is not None and not isinstance(file, dict):
        raise InvalidPayload('"file" must be of type object')
    if collection not in request.schema.collections:
        raise Forbidden(f'Collection "{collection}" doesn\'t exist or you may not access it.')
    service = ExportService(platform=request.platform, schema=request.schema, accountability=request.accountability)
    request.platform.jobs.start(service.run(collection, body["query"], body["format"], file))
    return respond.nothing()


async def _received(request: ApiRequest, upload: Upload) -> str:
    """Copy the first file of the form; its format. Raises :class:`UnsupportedMediaType`."""
    wanted = request.query_params.get("format")
    if wanted is not None and wanted not in import_formats.FORMATS:
        raise InvalidQuery(f'"format" has to be one of {", ".join(import_formats.FORMATS)}')
    most_text = size(request.platform.settings["MAX_PAYLOAD_SIZE"]) or _IN_MEMORY
    async for part in parts(request, most_text):
        if isinstance(part, FilePart):
            kind = wanted or _MEDIA_TYPES.get(part.media_type)
            if kind is None:
                raise UnsupportedMediaType(part.media_type, "file import")
            async for chunk in part.content:
                try:
                    await asyncio.to_thread(upload.write, chunk)
                except OSError as problem:
                    reason = f"The folder of TEMP_PATH can't be written: {problem.strerror}"
                    raise ServiceUnavailable("files", reason) from problem
            return kind
    raise InvalidPayload("No file was included in the body")


def _texts(request: ApiRequest, collection: str) -> frozenset[str]:
    fields = request.schema.collections[collection].fields.values()
    return frozenset(field.field for field in fields if field.type in ("string", "text"))


def _reader(upload: Upload, kind: str, texts: frozenset[str]) -> Reader:
    def read() -> Any:
        upload.seek(0)
        return import_formats.items(kind, upload, texts)  # type: ignore[arg-type]

    return read


class _Closing:
    """Lets go of what an import occupies, once, however it ends."""

    def __init__(self, upload: Upload, turnstile: Turnstile) -> None:
        self._steps: list[Callable[[], object]] = [turnstile.leave, upload.close]

    async def around(self, work: Awaitable[object]) -> None:
        try:
            await work
        finally:
            self.close()

    def close(self) -> None:
        while self._steps:
            self._steps.pop()()
