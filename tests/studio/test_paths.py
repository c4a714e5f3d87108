"""The Studio has no door of its own: every path in its sources is a route of the API that other clients use, too.

The routes are those whose rights ``tests/server/test_denial.py`` judges, caller by caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabulary import Tabulary

from ..server.test_denial import routes_of

# Only there when login providers are configured; the page asks for their list first.
OF_PROVIDERS = ("GET", "auth/login/{}")
SOURCES = Path(__file__).parents[2] / "studio" / "src"
CALL = re.compile(r"""\b(?:api\.(get|list|post|patch|delete)(?:<[^(]*>)?|(upload|url))\((?:\s*)(["'`])(.*?)\3(.*)""")
"""A request with its path written out. Paths of items come from ``pathOf`` and are below."""
PLAN = re.compile(r"""\bpath: (["`])(.*?)\1, ?body""")
"""A step of a change of the data model: always a POST."""
METHODS = {
    "get": "GET",
    "list": "GET",
    "url": "GET",
    "post": "POST",
    "patch": "PATCH",
    "delete": "DELETE",
    "upload": "POST",
}


def used() -> Iterator[tuple[str, str, str]]:
    """Method, path (placeholders as ``{}``) and where it stands."""
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix not in (".ts", ".vue") or path.name == "client.ts":
            continue
        text = path.read_text("utf-8")
        for method, other, _, written, rest in CALL.findall(text):
            verb = "PATCH" if '"PATCH"' in rest else METHODS[method or other]
            yield verb, plain(written), path.name
        for _, written in PLAN.findall(text):
            yield "POST", plain(written), path.name
    for method in ("GET", "POST", "PATCH", "DELETE"):
        yield method, "items/{}", "client.ts"


def plain(written: str) -> str:
    path = re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "{}", written).partition("?")[0]
    return re.sub(r"(?<=[^/])\{\}$", "", path)


def fits(path: str, pattern: str) -> bool:
    """Whether the written path can be meant by the route; a placeholder of ours needs one of theirs."""
    mine, theirs = path.split("/"), pattern.strip("/").split("/")
    return len(mine) == len(theirs) and all(
        a == b or (b.startswith("{") and a != "") for a, b in zip(mine, theirs, strict=True)
    )


@pytest.mark.anyio
async def test_every_path_is_a_route_of_the_api(tmp_path: Path) -> None:
    async with Tabulary(f"sqlite:///{tmp_path / 'paths.db'}", SECRET="s" * 32) as tabulary:
        routes = [tuple(route.split(" ", 1)) for route in await routes_of(tabulary)]
    paths = list(used())
    assert len(paths) > 60
    strange = {
        f"{where}: {method} /{path}"
        for method, path, where in paths
        if (method, path) != OF_PROVIDERS and not any(m == method and fits(path, pattern) for m, pattern in routes)
    }
    assert strange == set()


def test_a_path_that_is_no_route_would_be_found() -> None:
    assert fits("items/{}/{}", "/items/{collection}/{key}")
    assert not fits("studio/{}", "/items/{collection}")
    assert not fits("users/me", "/users/me/tfa/enable")
