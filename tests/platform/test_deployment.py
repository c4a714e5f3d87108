"""Dockerfile, compose file and nginx configuration: what can be checked of them without an engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tabulary.cli.main import _COMMANDS
from tabulary.core.settings_defaults import DEFAULTS, GROUP_PREFIXES

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = {
    "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    found: list[list[tuple[str, str]]] = []
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines() if line[:1] != "#")):
        name, _, rest = line.partition(" ")
        assert name in INSTRUCTIONS, line
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest.strip()))
    return found


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def nginx() -> str:
    return re.sub(r"#.*", "", (ROOT / "deploy/nginx.conf").read_text())


def last(stage: list[tuple[str, str]], name: str) -> str:
    return [rest for instruction, rest in stage if instruction == name][-1]


# --- Dockerfile ---------------------------------------------------------------------------------
def test_the_image_is_slim_and_runs_as_nobody_special(stages: list[list[tuple[str, str]]]) -> None:
    bases = [last(stage, "FROM").split()[0] for stage in stages]
    assert all(re.fullmatch(r"[a-z]+:\d+(\.\d+)*-slim", base) for base in bases), bases
    final = stages[-1]
    assert last(final, "USER") == "1000" and final.index(("USER", "1000")) < len(final) - 1
    assert not any("apt-get" in rest or "pip install" in rest for name, rest in final if name == "RUN")
    copied = [rest for name, rest in final if name == "COPY"]
    assert copied == ["--from=build /opt/tabulary /opt/tabulary"], "only what the build made"


def test_what_the_build_copies_is_there(stages: list[list[tuple[str, str]]]) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    assert ignored[0] == "*"
    for rest in (rest for stage in stages for name, rest in stage if name == "COPY" and "--from" not in rest):
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            allowed = [line[1:] for line in ignored if line[0] == "!"]
            assert any(source == name or source.startswith(f"{name}/") for name in allowed), source
    assert any(fnmatch("src/tabulary/studio/dist", line) for line in ignored), "the Studio is built in the image"


def test_it_starts_what_there_is_and_stops_as_it_should(stages: list[list[tuple[str, str]]]) -> None:
    final = stages[-1]
    assert json.loads(last(final, "ENTRYPOINT")) == ["tabulary"] and json.loads(last(final, "CMD"))[0] in _COMMANDS
    assert last(final, "STOPSIGNAL") == "SIGTERM" and last(final, "EXPOSE") == str(DEFAULTS["PORT"])
    names = re.findall(r"(\w+)=", last(final, "ENV"))
    known = {name for name in names if not name.startswith("PYTHON")} - {"PATH"}
    assert known <= set(DEFAULTS) and "STORAGE_LOCAL_ROOT" in known


def test_the_health_check_asks_the_server(stages: list[list[tuple[str, str]]]) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if len(asked) == 1 else 503)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    command = json.loads(last(stages[-1], "HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "python"
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        run = [sys.executable, *command[1:]]
        results = [
            subprocess.run(run, env={"PORT": str(server.server_port)}, capture_output=True).returncode for _ in range(2)
        ]
        server.shutdown()
    assert asked == ["/server/ping"] * 2 and results[0] == 0 != results[1]


# --- compose ------------------------------------------------------------------------------------
def test_services_volumes_and_conditions_fit_together(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {"database", "redis", "nginx", "tabulary-1", "tabulary-2"} <= set(services)
    for name, service in services.items():
        is_ours = service["image"] == "tabulary"
        assert is_ours or re.search(r":\d", service["image"]), f"{name} has no version"
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (ROOT / source).is_file() if source.startswith(".") else source in compose["volumes"], volume
        for needed, how in service.get("depends_on", {}).items():
            other = services[needed]
            if how["condition"] == "service_healthy":
                assert other["image"] == "tabulary" or "healthcheck" in other, f"{name} waits for {needed} for ever"
            else:
                assert how["condition"] == "service_completed_successfully" and other["restart"] == "no"
    published = [name for name, service in services.items() if "ports" in service]
    assert published == ["nginx"]


def test_our_processes_are_set_up_alike_and_without_secrets_of_ours(compose: dict[str, Any]) -> None:
    ours = [service for service in compose["services"].values() if service["image"] == "tabulary"]
    assert len(ours) == 3 and all(service["environment"] == ours[0]["environment"] for service in ours)
    settings = ours[0]["environment"]
    assert [n for n in settings if n not in DEFAULTS and not n.startswith(GROUP_PREFIXES)] == []
    assert all(isinstance(value, str) for value in settings.values()), "compose takes texts"
    for name in ("SECRET", "DB_PASSWORD", "ADMIN_PASSWORD"):
        assert settings[name].startswith(f"${{{name}:?"), "has to be given"
    for store in ("CACHE_STORE", "RATE_LIMITER_STORE"):
        assert settings[store] == "redis", "two processes"
    for service in ours:
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service.get("command", ["start"])[0] in _COMMANDS
    shutdown = int(settings["SERVER_SHUTDOWN_TIMEOUT"]) / 1000
    assert shutdown < int(ours[0]["stop_grace_period"].removesuffix("s")), "killed while it still works"


# --- nginx --------------------------------------------------------------------------------------
def test_nginx_hands_on_to_both_processes_with_upgrades(nginx: str, compose: dict[str, Any]) -> None:
    assert nginx.count("{") == nginx.count("}")
    for line in filter(None, (line.strip() for line in nginx.splitlines())):
        assert line[-1] in "{};", f"not ended: {line}"
    upstream = re.search(r"upstream tabulary {(.*?)}", nginx, re.DOTALL)
    assert upstream is not None
    servers = re.findall(r"server (\S+):8055", upstream[1])
    assert set(servers) == {name for name in compose["services"] if name.startswith("tabulary-")}
    assert "ip_hash" not in nginx, "not sticky"
    for directive in (
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_request_buffering off;",
        "client_max_body_size 0;",
    ):
        assert directive in nginx
