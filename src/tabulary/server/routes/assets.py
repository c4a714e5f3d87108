"""``/assets``: the content of files, for browsers (spec files §3.6, §3.9)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tabulary.core.errors import RangeNotSatisfiable
from tabulary.items.platform import Platform
from tabulary.server import querystring
from tabulary.server.disposition import disposition
from tabulary.server.layers import content_policy
from tabulary.server.request import ApiRequest
from tabulary.services.assets import Asset, AssetsService
from tabulary.services.file_archive import FileArchives, stamp

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*(?:,.*)?", re.IGNORECASE)
_KEY_LENGTH = 36
_DOCUMENTS = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml")
"""Media types that a browser shows as a page of its own."""


class Assets:
    """The routes of assets."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.service = AssetsService(platform)
        settings = platform.settings
        changes = settings.group("ASSETS_CONTENT_SECURITY_POLICY_").get("directives", {})
        self._policy = content_policy({"default-src": "'none'"}, changes)
        self._max_age = (settings.duration("ASSETS_CACHE_TTL") or 0) // 1000
        self._revalidate = bool(settings["ASSETS_CACHE_REVALIDATE"])

    def routes(self) -> list[Route]:
        return [
            Route("/assets/files", self.files, methods=["POST"]),
            Route("/assets/folder/{key}", self.folder, methods=["POST"]),
            Route("/assets/{key}", self.asset, methods=["GET"]),
            Route("/assets/{key}/{name}", self.asset, methods=["GET"]),
        ]

    async def asset(self, request: ApiRequest) -> Response:
        """``GET /assets/:id/:filename?``."""
        raw = querystring.parse(request.url.query)
        wanted = await self.service.parse(raw, request.schema)
        key = request.path_params["key"][:_KEY_LENGTH]
        accept = request.headers.get("accept", "")
        found = await self.service.find(key, wanted, accept, request.schema, request.accountability)
        name = request.path_params.get("name") or found.name or key
        headers = {
            "Content-Type": _content_type(found.media_type),
            "Content-Disposition": disposition("attachment" if "download" in raw else "inline", name),
            "Cache-Control": self._cache_control(request),
            "Vary": "Origin, Cache-Control" + (", Accept" if wanted.get("format") == "auto" else ""),
            "Accept-Ranges": "bytes",
            "Content-Security-Policy": self._policy_for(found.media_type),
            "X-Content-Type-Options": "nosniff",
        }
        if found.modified is not None:
            headers["ETag"] = f'"{int(found.modified.timestamp())}"'
            headers["Last-Modified"] = format_datetime(found.modified.astimezone(UTC), usegmt=True)
            if self._revalidate and _is_known(request, headers["ETag"], found):
                return Response(
                    None, 304, {n: v for n, v in headers.items() if n not in ("Content-Type", "Content-Disposition")}
                )
        part = None if wanted else _range_of(request, headers.get("ETag"), found.size)
        return _sent(request, found, headers, part)

    def _cache_control(self, request: ApiRequest) -> str:
        if _from_studio(request, str(self.platform.settings["PUBLIC_URL"] or "/")):
            return "no-store"
        caller = request.accountability
        anonymous = caller.user is None and caller.role is None and caller.share is None
        age = "max-age=0, must-revalidate" if self._revalidate else f"max-age={self._max_age}"
        return f"{'public' if anonymous else 'private'}, {age}"

    def _policy_for(self, media_type: str) -> str:
        """Pages get no scripts by the policy; the sandbox keeps them from forms and from our origin as well."""
        return f"{self._policy};sandbox" if media_type.partition(";")[0].lower() in _DOCUMENTS else self._policy

    # --- archives ---------------------------------------------------------------------------
    async def files(self, request: ApiRequest) -> Response:
        """``POST /assets/files``: chosen files as a ZIP."""
        archives = FileArchives(self.platform, request.schema, request.accountability)
        ids = request.payload.get("ids") if isinstance(request.payload, dict) else None
        entries = await archives.of_files(ids)
        return _archive(f"files-{stamp()}.zip", archives.packed(entries))

    async def folder(self, request: ApiRequest) -> Response:
        """``POST /assets/folder/:id``: a folder with all that is in it as a ZIP."""
        archives = FileArchives(self.platform, request.schema, request.accountability)
        name, entries = await archives.of_folder(request.path_params["key"])
        return _archive(f"folder-{name}-{stamp()}.zip", archives.packed(entries))


def _archive(name: str, content: AsyncIterator[bytes]) -> Response:
    headers = {"Content-Disposition": disposition("attachment", name), "Cache-Control": "no-store"}
    return StreamingResponse(content, 200, headers, "application/zip")


def _sent(request: ApiRequest, found: Asset, headers: dict[str, str], part: tuple[int, int] | None) -> Response:
    start, end = part or (0, found.size)
    headers["Content-Length"] = str(end - start)
    status = 200
    if part is not None:
        status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{found.size}"
    if request.method == "HEAD":
        return Response(None, status, headers)
    return StreamingResponse(found.read(start, end), status, headers)


def _range_of(request: ApiRequest, tag: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last, or None for all of them. Raises :class:`RangeNotSatisfiable`."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range", tag) != tag:
        return None
    first, last = (int(text) if text else None for text in match.groups())
    wanted = {name: value for name, value in (("start", first), ("end", last)) if value is not None}
    if first is None and last is not None:
        start, end = max(0, size - last), size
    else:
        start, end = first or 0, size if last is None else min(last + 1, size)
    if not wanted or start >= end:
        raise RangeNotSatisfiable(wanted)
    return start, end


def _is_known(request: ApiRequest, tag: str, found: Asset) -> bool:
    """True when the client has this version already."""
    if (tags := request.headers.get("if-none-match")) is not None:
        return tags.strip() == "*" or tag in (entry.strip().removeprefix("W/") for entry in tags.split(","))
    since: Any = request.headers.get("if-modified-since")
    if since is None or found.modified is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment >= found.modified.replace(microsecond=0)


def _from_studio(request: ApiRequest, public_url: str) -> bool:
    """True for requests of the Studio, whose pictures must be fresh after an edit."""
    referer = urlsplit(request.headers.get("referer", ""))
    public = urlsplit(public_url)
    same_host = not public.netloc or referer.netloc == public.netloc
    return same_host and f"{referer.path}/".startswith(f"{public.path.rstrip('/')}/admin/")


def _content_type(media_type: str) -> str:
    """The type as it is stored, unless it could break the header."""
    if not re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;[ -~]*)?", media_type):
        return "application/octet-stream"
    return media_type


def routes(platform: Platform) -> list[Route]:
    return Assets(platform).routes()
