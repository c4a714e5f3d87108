"""The command line, run as people run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from ..waiting import PATIENCE, free_port, wait_for

SOURCES = Path(__file__).parents[2] / "src"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "PYTHONPATH": str(SOURCES),
        "DATABASE_URL": f"sqlite:///{tmp_path}/cli.db",
        "SECRET": "0123456789abcdef0123456789abcdef",
        "HASH_MEMORY_COST": "1024",
        "HASH_TIME_COST": "1",
    }


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    def run_(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tabulary", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**environment, **settings}, capture_output=True, text=True, timeout=600
        )

    return run_


def test_version_and_help(run: Run) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version").stdout)
    assert run("-v").stdout == run("--version").stdout
    helped = run("--help")
    assert helped.returncode == 0
    for command in ("start", "bootstrap", "database", "users", "roles", "count", "security", "config"):
        assert command in helped.stdout
        assert run(command, "--help").returncode == 0


def test_what_is_wrong_is_one_line_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    for arguments in (["nope"], ["users", "create"], ["count"], ["count", "books"]):
        answer = run(*arguments)
        assert answer.returncode == 1
        assert answer.stderr
        assert "Traceback" not in answer.stderr
    unreachable = run("count", "books", DATABASE_URL="postgresql://nobody:hidden@127.0.0.1:1/none")
    assert unreachable.returncode == 1
    assert "hidden" not in unreachable.stderr + unreachable.stdout
    assert "Traceback" not in unreachable.stderr


def test_keys_and_secrets(run: Run) -> None:
    assert uuid.UUID(run("security", "key:generate").stdout).version == 4
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", run("security", "secret:generate").stdout)


def test_bootstrap_is_idempotent(run: Run) -> None:
    first = run("bootstrap", ADMIN_EMAIL="a@example.com", ADMIN_PASSWORD="password")
    assert (first.returncode, first.stdout) == (0, "Installed.\nAdministrator: a@example.com\n")
    assert run("count", "directus_users").stdout == "1\n"
    again = run("bootstrap", ADMIN_EMAIL="b@example.com", ADMIN_PASSWORD="password")
    assert (again.returncode, again.stdout) == (0, "The database is installed already.\n")
    assert run("count", "directus_users").stdout == "1\n"
    assert run("count", "directus_migrations").stdout == "101\n"


def test_install_makes_tables_only(run: Run) -> None:
    assert run("database", "migrate:latest").returncode == 1
    assert run("database", "install").returncode == 0
    assert run("count", "directus_users").stdout == "0\n"
    assert run("count", "directus_roles").stdout == "0\n"
    assert run("database", "install").returncode == 1
    assert run("database", "migrate:latest").returncode == 0


def test_users_and_roles(run: Run) -> None:
    run("database", "install")
    role = run("roles", "create", "--role", "Editors", "--app")
    assert role.returncode == 0, role.stderr
    created = run("users", "create", "--email", "u@example.com", "--password", "secret", "--role", role.stdout.strip())
    assert created.returncode == 0, created.stderr
    assert uuid.UUID(created.stdout.strip())
    assert run("users", "passwd", "--email", "U@Example.com", "--password", "other").returncode == 0
    assert run("users", "passwd", "--email", "nobody@example.com", "--password", "x").returncode == 1
    wrong = run("users", "create", "--email", "v@example.com", "--password", "x", "--role", str(uuid.uuid4()))
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr


def test_config_check_masks_secrets_and_finds_mistakes(run: Run) -> None:
    good = run("config", "check")
    assert good.returncode == 0
    assert "0123456789abcdef" not in good.stdout
    bad = run("config", "check", ACCESS_TOKEN_TTL="soon")
    assert bad.returncode == 1
    assert "ACCESS_TOKEN_TTL" in bad.stderr


def test_start_installs_serves_and_stops(tmp_path: Path, environment: dict[str, str]) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    del environment["DATABASE_URL"]
    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: _ping(port) == b"pong" or server.poll() is not None)
        assert server.returncode is None
        second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert second.returncode == 1
        assert f"127.0.0.1:{port}" in second.stderr
    finally:
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=PATIENCE)
    assert server.returncode == 0
    assert f"http://127.0.0.1:{port}" in output
    assert "Administrator: admin@example.com" in output
    assert re.search(r"Password \(shown only now\): \S{16}", output)
    assert (tmp_path / "tabulary.db").exists()


def test_start_without_an_administrator_prints_a_link_to_become_one(
    run: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    link = rf"open:\nhttp://127\.0\.0\.1:{port}/admin/setup\?token=([\w-]{{43}})\n"

    def started(*options: str, meanwhile: Callable[[], None] = lambda: None, **settings: str) -> str:
        """What the server printed."""
        server = subprocess.Popen(
            [*command, *options],
            cwd=tmp_path,
            env={**environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for(lambda: _ping(port) == b"pong" or server.poll() is not None)
            assert server.returncode is None
            meanwhile()
        finally:
            server.send_signal(signal.SIGINT)
            output, _ = server.communicate(timeout=PATIENCE)
        return output

    def set_up() -> None:
        made = run("security", "setup-link", "--json")
        tokens.append(json.loads(made.stdout)["link"].partition("?token=")[2])
        body = {"project_owner": "ada@example.com", "password": "secret", "token": tokens[0]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/server/setup", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.status == 204

    tokens: list[str] = []
    public = started("--setup-link", PUBLIC_URL="https://cms.example.com")
    assert re.search(r"open:\nhttps://cms\.example\.com/admin/setup\?token=\S{43}\n", public), public
    assert run("count", "directus_users").stdout == "0\n"
    output = started("--workers", "1", meanwhile=set_up)
    link = re.findall(rf"open:\nhttp://127\.0\.0\.1:{port}/admin/setup\?token=(\S{{43}})\n", output)
    assert len(link) == 1, "also without the option, on a database that was installed so"
    assert len(tokens[0]) == 43 and tokens[0] not in output, "the command's link went to who asked for it"
    assert "/admin/setup" not in started(ADMIN_SETUP_LINK="true")
    too_late = run("security", "setup-link")
    assert (too_late.returncode, too_late.stdout) == (1, "")
    assert "users create --admin" in too_late.stderr


def _ping(port: int) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server/ping", timeout=PATIENCE) as answer:
            return bytes(answer.read())
    except OSError:
        return None
