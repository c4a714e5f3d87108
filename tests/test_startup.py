"""A start loads what a start needs: libraries of rare requests come with the first such request."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "aiosmtplib", "alembic", "asyncmy", "asyncpg", "croniter", "granian", "graphql", "httpx2", "jwt", "liquid", "mako", "markdown_it",
    "nh3", "obstore", "opentelemetry", "prometheus_client", "pyvips", "redis", "rich", "tabulary.services.import_yaml", "yaml",
)  # fmt: skip

HELP = "from tabulary.cli.main import cli; cli.main(['--help'], standalone_mode=False)"
COMMAND = "import tabulary.cli.start"
SERVER = """
import asyncio, httpx2
before = set(sys.modules)
from tabulary import Tabulary

async def answers():
    async with Tabulary("sqlite:///:memory:", SECRET="x") as tabulary:
        transport = httpx2.ASGITransport(app=tabulary.asgi)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/server/ping")).text == "pong"
            assert (await client.get("/server/info")).status_code == 200

asyncio.run(answers())
for name in before:
    sys.modules.pop(name, None)
"""


def loaded_by(program: str) -> set[str]:
    """The modules of a fresh interpreter after a program."""
    code = f"import sys\n{program}\nprint('MODULES', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("program", [HELP, COMMAND, SERVER], ids=["help", "command", "installed server"])
def test_what_a_start_does_not_load(program: str) -> None:
    assert loaded_by(program).isdisjoint(HEAVY)


def test_help_does_not_load_the_server() -> None:
    assert "sqlalchemy" not in loaded_by(HELP)
