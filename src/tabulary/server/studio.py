"""The Studio at ``/admin``: the files that ``studio/`` was built into, and the page for all addresses below.

The page is the same for every address, since the application routes by itself. Its ``<base>`` is set here, so that one
build works below any path: mounted in another application or behind a proxy's prefix. Hashed assets never change and
are kept for a year; the page is asked for each time. Nothing here needs a user: what the Studio shows comes from the
REST API, with the session of whoever uses it.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tabulary.core.settings import Settings

DIST = Path(__file__).resolve().parent.parent / "studio" / "dist"

_BASE = '<base href="/admin/" />'
_FOREVER = "public, max-age=31536000, immutable"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        # Positions of menus and the look of the code editor are inline styles; scripts have no such exception.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)


@dataclass(frozen=True)
class _Built:
    """A build: its page and the files that may be served. Only these: no path of a request reaches the file system."""

    changed: int
    page: str
    files: frozenset[str]


class Studio:
    """ASGI layer that answers ``/admin`` itself and hands everything else on.

    Args:
        app: what answers all other paths.
        settings: of the platform: ``SERVE_APP`` switches the Studio off, ``PUBLIC_URL`` may name a path prefix.
        folder: the built files; without an ``index.html`` in it, a page says how to build them.
    """

    def __init__(self, app: ASGIApp, settings: Settings, folder: Path = DIST) -> None:
        self.app = app
        self.folder = folder
        self.prefix = urlsplit(str(settings["PUBLIC_URL"])).path.rstrip("/")
        self.enabled = bool(settings["SERVE_APP"])
        self._built: _Built | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _inner_path(scope) if scope["type"] == "http" else ""
        if not self.enabled or not (path == "/admin" or path.startswith("/admin/")):
            await self.app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            response = Response(status_code=405, headers={"Allow": "GET, HEAD"})
        else:
            response = self._answer(path.removeprefix("/admin").strip("/"), scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        await response(scope, receive, send)

    def _answer(self, name: str, scope: Scope) -> Response:
        built = self._current()
        if built is None:
            return Response(_NOT_BUILT, 503, media_type="text/html; charset=utf-8")
        if name in built.files:
            return self._file(name, scope, built.files)
        if name.startswith("assets/"):
            # A page from before an upgrade asks for what is gone; the page itself would be no script.
            return Response(status_code=404)
        base = escape(f"{self.prefix or scope.get('root_path', '')}/admin/", quote=True)
        page = built.page.replace(_BASE, f'<base href="{base}" />', 1)
        return Response(page, media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})

    def _file(self, name: str, scope: Scope, files: frozenset[str]) -> Response:
        headers = {"Cache-Control": _FOREVER if name.startswith("assets/") else "no-cache", "Vary": "Accept-Encoding"}
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        accepted = next((value for key, value in scope["headers"] if key == b"accept-encoding"), b"").decode("latin-1")
        for encoding, suffix in _ENCODINGS:
            if encoding in accepted and name + suffix in files:
                headers["Content-Encoding"] = encoding
                return FileResponse(self.folder / (name + suffix), headers=headers, media_type=kind)
        return FileResponse(self.folder / name, headers=headers, media_type=kind)

    def _current(self) -> _Built | None:
        """What is built, read again after a new build: one look at the page's time each request."""
        index = self.folder / "index.html"
        try:
            changed = index.stat().st_mtime_ns
        except OSError:
            return None
        if self._built is None or self._built.changed != changed:
            found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
            files = frozenset(str(PurePosixPath(path)) for path in found) - {"index.html"}
            self._built = _Built(changed, index.read_text("utf-8"), files)
        return self._built


def _inner_path(scope: Scope) -> str:
    """The path below the mount point."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Studio not built</title>
<h1>The Studio has not been built</h1>
<p>This installation was made from the sources without it. Run <code>npm ci &amp;&amp; npm run build</code> in
<code>studio/</code> (Node 20 or newer), or install a wheel, which contains it. The REST API works without it.</p>
"""
