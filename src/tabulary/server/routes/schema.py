"""``/schema``: snapshots of the data model (spec schema-and-platform §3). For admins."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from tabulary.core import json
from tabulary.core.errors import ContentTooLarge, InvalidPayload, UnsupportedMediaType
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.services.schema import SchemaService
from tabulary.services.schema_change import require_admin
from tabulary.services.schema_snapshots import check_plan, check_snapshot

_MOST_BYTES = 64 << 20
_MOST_MEMBERS = 1_000_000


def routes(platform: Platform) -> list[Route]:
    """The routes of the family."""
    return [
        Route("/schema/snapshot", snapshot, methods=["GET"]),
        Route("/schema/diff", diff, methods=["POST"]),
        Route("/schema/apply", apply, methods=["POST"]),
    ]


async def snapshot(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).snapshot())


async def diff(request: ApiRequest) -> Response:
    """What leads from here to the snapshot in the body; 204 when nothing does."""
    require_admin(request.accountability)
    given = check_snapshot(await _body(request))
    found = await _service(request).diff(given, force="force" in request.query_params)
    return respond.nothing() if found is None else respond.plain(found)


async def apply(request: ApiRequest) -> Response:
    """Carry out what ``/schema/diff`` answered."""
    require_admin(request.accountability)
    plan = check_plan(await _body(request))
    await _service(request).apply(plan, force=request.query_params.get("force") in ("true", "1"))
    return respond.nothing()


def _service(request: ApiRequest) -> SchemaService:
    return SchemaService(platform=request.platform, schema=request.schema, accountability=request.accountability)


async def _body(request: ApiRequest) -> Any:
    """The JSON body, or the one uploaded file (JSON by its type, else YAML)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return request.payload
    if kind != "multipart/form-data":
        problem = UnsupportedMediaType(kind, "Content-Type header")
        if not kind:
            del problem.extensions["mediaType"]
        raise problem
    async with request.form() as form:
        uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not uploads:
            raise InvalidPayload("No file was included in the body")
        if len(uploads) > 1:
            raise InvalidPayload("More than one file was included in the body")
        content = await uploads[0].read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ContentTooLarge
        return _parsed(content, uploads[0].content_type)


def _parsed(content: bytes, kind: str | None) -> Any:
    if kind == "application/json":
        try:
            return json.decode(content)
        except ValueError:
            raise InvalidPayload("The provided JSON is invalid") from None
    import yaml  # here, because it is slow to load and most bodies are JSON

    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InvalidPayload("The provided YAML is invalid") from None
    if b"&" in content:  # without anchors there is no more of it than was sent
        _check_extent(found)
    return found


def _check_extent(found: Any) -> None:
    """Raise :class:`InvalidPayload` for YAML whose aliases make more of it than was sent, or have no end."""
    waiting, count = [found], 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
            count += len(value)
            if count > _MOST_MEMBERS:
                raise InvalidPayload("The provided YAML is too large once its aliases are followed")
