"""``/docs``: a page to read and try the caller's OpenAPI document. Everything on it comes from this package, no CDN.

The viewer is Swagger UI (Apache 2.0, its licence lies beside it); the page around it takes a token and fetches the
document with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

FOLDER: Final = Path(__file__).parent / "viewer"
_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
}
_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # the viewer sets sizes as inline styles
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    ]
)


class DocsPage:
    """The page and its files, read from the package once."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def routes(self) -> dict[str, Callable[[Scope], Response]]:
        """What answers each exact path."""
        return {"/docs": self.page, **{f"/docs/{name.lower()}": self.file for name in _FILES}}

    def page(self, scope: Scope) -> Response:
        """The page. Its links are relative and need an address without a slash at the end."""
        if scope["path"].endswith("/"):
            return Response(None, 301, {"Location": "../docs"})
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
        return Response(self._content("page.html"), 200, headers, media_type="text/html; charset=utf-8")

    def file(self, scope: Scope) -> Response:
        """One of the page's files."""
        name = scope["path"].rstrip("/").rpartition("/")[2].lower()
        return Response(self._content(name), 200, {"Cache-Control": "public, max-age=3600"}, media_type=_FILES[name])

    def _content(self, name: str) -> bytes:
        if name not in self._contents:
            self._contents[name] = (FOLDER / name).read_bytes()
        return self._contents[name]
