"""The public JavaScript client against our server: scripts for Node that get its modules and say what they saw as JSON.

The client is installed once, by npm, into pytest's cache; ``TABULARY_TEST_SDK`` may name a folder that has it already.
A script begins with::

    const { sdk, WebSocket, given } = await import(process.argv[2]); // given: the arguments of run()
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("@directus/sdk@21.3.0", "ws@8.18.3")
"""The client of the version that we are compatible with, and sockets for Node."""

_START = """
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const require = createRequire(import.meta.url);
export const sdk = await import(pathToFileURL(require.resolve("@directus/sdk")).href);
export const WebSocket = require("ws");
export const given = process.argv.slice(3);
"""


@dataclass(frozen=True)
class Sdk:
    """A folder with the client."""

    folder: Path

    async def run(self, script: Path, *given: str, seconds: float = 300) -> Any:
        """Run a script with arguments; the JSON that it prints. Fails with its errors when it does not end well, or in time."""
        pipe = asyncio.subprocess.PIPE
        start = self.folder / "start.mjs"
        process = await asyncio.create_subprocess_exec("node", script, str(start), *given, stdout=pipe, stderr=pipe)
        late = asyncio.get_running_loop().call_later(seconds, process.kill)
        out, problem = await process.communicate()
        late.cancel()
        assert process.returncode == 0, f"the script ended with {process.returncode}: {problem.decode()}"
        return json.loads(out)


def install(cache: Path) -> Sdk:
    """The client in a folder of the cache. Without Node or npm's registry its tests are skipped, with CI=true they fail."""
    folder = Path(os.environ.get("TABULARY_TEST_SDK") or cache)
    try:
        if not (folder / "node_modules" / "ws").exists():
            _install(folder)
        if shutil.which("node") is None:
            raise OSError("there is no node")
    except (OSError, subprocess.SubprocessError) as problem:
        text = f"the JavaScript client was not installed: {getattr(problem, 'stderr', None) or problem}"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    (folder / "start.mjs").write_text(_START)
    return Sdk(folder)


def _install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
