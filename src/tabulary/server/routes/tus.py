"""``/files/tus``: resumable uploads by the TUS protocol 1.0.0 (spec files §3.11). Only there with ``TUS_ENABLED``."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import InvalidPayload
from tabulary.items.platform import Platform
from tabulary.server.body import Disconnected
from tabulary.server.request import ApiRequest
from tabulary.services.file_tus import ResumableUploads, Upload, UploadBusy, UploadMissing, WrongOffset

VERSION = "1.0.0"
_EXTENSIONS = "creation,termination,expiration"
_CONTENT_TYPE = "application/offset+octet-stream"
_SPOKEN = {"null": None, "true": True, "false": False}


class Tus:
    """The routes of resumable uploads."""

    def __init__(self, platform: Platform, uploads: ResumableUploads) -> None:
        self.platform = platform
        self.uploads = uploads

    def routes(self) -> list[Route]:
        table = (("POST", self.create), ("OPTIONS", self.options))
        one = (("HEAD", self.head), ("PATCH", self.patch), ("DELETE", self.delete), ("OPTIONS", self.options))
        return [
            *(Route("/files/tus", handler, methods=[method]) for method, handler in table),
            *(Route("/files/tus/{id}", self._protocol(handler), methods=[method]) for method, handler in one),
        ]

    def _protocol(self, handler: Any) -> Any:
        """The handler with the protocol's own answers to what goes wrong with an upload."""

        async def answer(request: ApiRequest) -> Response:
            if request.method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
                return _text(412, f"The header Tus-Resumable has to be {VERSION}")
            try:
                response: Response = await handler(request)
            except UploadMissing:
                return _text(404, "There is no such upload, or it has expired")
            except WrongOffset:
                return _text(409, "The upload stands at another offset; ask for it with HEAD")
            except UploadBusy:
                return _text(423, "Another request is adding to this upload")
            return response

        return answer

    # --- handlers ---------------------------------------------------------------------------
    async def options(self, request: ApiRequest) -> Response:
        """What this server can do."""
        headers = {"Tus-Version": VERSION, "Tus-Extension": _EXTENSIONS}
        if (limit := self.platform.settings.size("FILES_MAX_UPLOAD_SIZE")) is not None:
            headers["Tus-Max-Size"] = str(limit)
        return _answer(204, headers)

    async def create(self, request: ApiRequest) -> Response:
        """Begin an upload."""
        if request.headers.get("tus-resumable") != VERSION:
            return _text(412, f"The header Tus-Resumable has to be {VERSION}")
        if "upload-defer-length" in request.headers:
            return _text(501, "The length has to be known when an upload begins")
        length = request.headers.get("upload-length", "")
        if not (length.isascii() and length.isdigit()):
            return _text(400, "The header Upload-Length has to be a number of bytes")
        try:
            metadata = _metadata(request.headers.get("upload-metadata", ""))
            upload = await self.uploads.create(int(length), metadata, request.schema, request.accountability)
        except InvalidPayload as problem:
            return _text(400, str(problem))
        base = str(self.platform.settings["PUBLIC_URL"] or "/").rstrip("/")
        return _answer(201, {"Location": f"{base}/files/tus/{upload.id}", **_standing(upload)})

    async def head(self, request: ApiRequest) -> Response:
        """Where an upload stands."""
        upload = await self.uploads.find(request.path_params["id"], request.schema, request.accountability)
        return _answer(200, {"Upload-Length": str(upload.size), **_standing(upload)})

    async def patch(self, request: ApiRequest) -> Response:
        """Add bytes to an upload."""
        if request.headers.get("content-type") != _CONTENT_TYPE:
            return _text(403, f"The content type has to be {_CONTENT_TYPE}")
        offset = request.headers.get("upload-offset", "")
        if not (offset.isascii() and offset.isdigit()):
            return _text(403, "The header Upload-Offset has to be a number of bytes")
        upload = await self.uploads.append(
            request.path_params["id"], int(offset), _body(request), request.schema, request.accountability
        )
        return _answer(204, _standing(upload))

    async def delete(self, request: ApiRequest) -> Response:
        """Give an upload up."""
        await self.uploads.remove(request.path_params["id"], request.schema, request.accountability)
        return _answer(204, {})


async def _body(request: ApiRequest) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise Disconnected from None


def _metadata(header: str) -> dict[str, Any]:
    """The pairs of ``Upload-Metadata``: names with base64 texts. Raises :class:`InvalidPayload` for anything else."""
    found: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            value = b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidPayload(f'The upload\'s metadata "{name}" is no base64 of UTF-8') from None
        found[name] = _SPOKEN.get(value.strip(), value)
    return found


def _standing(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.offset), "Upload-Expires": format_datetime(upload.expires, usegmt=True)}
    if upload.file is not None:
        headers = {"Upload-Offset": str(upload.offset), "Directus-File-Id": upload.file}
    return headers


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(None, status, {"Tus-Resumable": VERSION, "Cache-Control": "no-store", **headers})


def _text(status: int, text: str) -> Response:
    headers = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}
    return Response(f"{text}.\n", status, headers, "text/plain; charset=utf-8")


def routes(platform: Platform, uploads: ResumableUploads) -> list[Route]:
    return Tus(platform, uploads).routes()
