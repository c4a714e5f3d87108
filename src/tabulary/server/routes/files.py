"""``/files``: items with content (spec files §3.1–§3.4). Multipart bodies are uploads, JSON bodies are rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.durations import size
from tabulary.core.errors import InvalidPayload
from tabulary.core.events import Action
from tabulary.items.counting import counts
from tabulary.items.options import MutationOptions
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.server import multipart, respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes import tus
from tabulary.server.routes.resource import Resource
from tabulary.services.file_names import formatted_title, stem_of
from tabulary.services.file_tus import ResumableUploads

_SPOKEN = {"null": None, "true": True, "false": False}
_IMPORT_KEYS = {"url", "data", "options"}


class Files(Resource):
    """The files, with uploads, replacement and import."""

    def routes(self) -> list[Route]:
        return [Route(f"{self.path}/import", self.import_one, methods=["POST"]), *super().routes()]

    # --- uploads ----------------------------------------------------------------------------
    async def create(self, request: ApiRequest) -> Response:
        if not multipart.is_multipart(request):
            return await super().create(request)
        query, service = request.query, self.service(request)
        keys = await self._received(request, service)
        if len(keys) == 1:
            return await self.after_one(request, service, keys[0], query)
        return await self.after_many(request, service, keys, query)

    async def update_one(self, request: ApiRequest) -> Response:
        if not multipart.is_multipart(request):
            return await super().update_one(request)
        query, service, key = request.query, self.service(request), request.path_params["key"]
        if request.accountability.admin and not await service.exists(key):
            return respond.nothing()  # as a JSON update of what is not there: nothing to do, nothing is stored
        await self._received(request, service, key)
        await service.update_one(key, {})  # announces the update that the new content is
        return await self.after_one(request, service, key, query)

    async def _received(self, request: ApiRequest, service: Any, key: str | None = None) -> list[Any]:
        """Store the files of a form in order; their keys. When one fails, those before it go again.

        Raises :class:`InvalidPayload` when there is no file in the form.
        """
        keys: list[Any] = []
        actions: list[Action] = []
        options = MutationOptions(bypass_emit_action=actions.append)
        try:
            async for file, fields in _files(request):
                service.check_media_type(file.media_type)
                title = formatted_title(stem_of(file.filename))
                data = {"filename_download": file.filename, "type": file.media_type, **fields}
                if key is None:
                    data["title"] = title if fields.get("title") is None else fields["title"]
                keys.append(await service.upload_one(file.content, data, key, options))
            if not keys:
                raise InvalidPayload("The form holds no file; put one in after the fields that belong to it")
        except BaseException:
            if key is None and keys:
                quiet = MutationOptions(emit_events=False, bypass_limits=True)
                await service.fork(accountability=None).delete_many(keys, quiet)
            raise
        service._emit(actions)
        return keys

    async def import_one(self, request: ApiRequest) -> Response:
        """``POST /files/import``: fetch a file from a URL."""
        query, service = request.query, self.service(request)
        url, data, media_types = _import_of(request.payload)
        key = await service.import_one(url, data, media_types=media_types)
        return await self.after_one(request, service, key, query)

    # --- reads ------------------------------------------------------------------------------
    async def counts(self, request: ApiRequest, query: Query) -> dict[str, Any] | None:
        reader, caller, narrowed = request.platform.reader, request.accountability, self.service(request)
        return await counts(reader, request.schema, self.collection, caller, query, narrowed.without_unfinished)


async def _files(request: ApiRequest) -> AsyncIterator[tuple[multipart.FilePart, dict[str, Any]]]:
    """Each file of a form with the fields in front of it."""
    most_text = size(request.platform.settings["MAX_PAYLOAD_SIZE"]) or 1 << 20
    fields: dict[str, Any] = {}
    async for part in multipart.parts(request, most_text):
        if isinstance(part, multipart.Field):
            fields[part.name] = _SPOKEN.get(part.value.strip(), part.value)
        else:
            yield part, fields
            fields = {}


def _import_of(payload: Any) -> tuple[str, dict[str, Any], list[str]]:
    """The parts of an import's body. Raises :class:`InvalidPayload`."""
    if not isinstance(payload, dict) or not set(payload) <= _IMPORT_KEYS:
        raise InvalidPayload('An import takes "url", "data" and "options", nothing else')
    url, data, options = payload.get("url"), payload.get("data", {}), payload.get("options", {})
    if not isinstance(url, str) or not url:
        raise InvalidPayload('"url" is required and has to be a text')
    if not isinstance(data, dict):
        raise InvalidPayload('"data" has to be an object of fields')
    media_types = options.get("filterMimeType", ["*/*"]) if isinstance(options, dict) else None
    if not isinstance(media_types, list) or not all(isinstance(pattern, str) for pattern in media_types):
        raise InvalidPayload('"options.filterMimeType" has to be a list of media types such as image/*')
    return url, data, media_types


def routes(platform: Platform, uploads: ResumableUploads) -> list[Route]:
    resumable = tus.routes(platform, uploads) if platform.settings["TUS_ENABLED"] else []
    return [*resumable, *Files("/files", "directus_files").routes()]
