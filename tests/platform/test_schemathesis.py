"""schemathesis plays our own OpenAPI document against a running server: nothing it thinks of may make the server fail or
give an answer that the document does not describe.

A bounded number of examples, always the same ones, as an administrator and as somebody with few rights. What they break
is fed back as a test of its own in the part that broke.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as described

from ..conftest import Servers
from ..waiting import PATIENCE, answering, free_port

EXAMPLES = int(os.environ.get("TABULARY_SCHEMATHESIS_EXAMPLES", "2"))
"""Requests for each operation, role, and kind of data (fitting or not)."""

CHECKS = [
    not_a_server_error,
    described.status_code_conformance,
    described.content_type_conformance,
    described.response_schema_conformance,
]
HYPOTHESIS: dict[str, Any] = {
    "max_examples": EXAMPLES,
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}
SETTINGS = {
    "CONFIG_PATH": "/nonexistent",
    "SECRET": "x" * 32,
    "ADMIN_EMAIL": "admin@example.com",
    "ADMIN_PASSWORD": "password",
    "ADMIN_TOKEN": "admin-static-token",
    "ACCESS_TOKEN_TTL": "1d",
    "EMAIL_TRANSPORT": "console",
    "LOGIN_STALL_TIME": "0",
    "REGISTER_STALL_TIME": "0",
    "RATE_LIMITER_REGISTRATION_ENABLED": "false",
    "RATE_LIMITER_PASSWORD_RESET_ENABLED": "false",
    "PRESSURE_LIMITER_ENABLED": "false",  # this machine may be busy
    "IMPORT_IP_DENY_LIST": "0.0.0.0/0,::/0",
    "HASH_MEMORY_COST": "1024",
    "HASH_TIME_COST": "1",
    "HASH_PARALLELISM": "1",
    "LOG_LEVEL": "error",
}
KEY = {"field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True}}
KINDS = (
    "string", "text", "integer", "bigInteger", "float", "decimal", "boolean", "date", "time", "dateTime", "timestamp",
    "json", "uuid",
)  # fmt: skip
RIGHTS = [
    {"collection": "books", "action": "read", "fields": ["id", "kind_string", "kind_json", "author"]},
    {
        "collection": "books",
        "action": "create",
        "fields": ["kind_string"],
        "validation": {"kind_string": {"_nnull": True}},
    },
    {"collection": "books", "action": "update", "fields": ["*"], "permissions": {"author": {"name": {"_eq": "Jane"}}}},
    {"collection": "authors", "action": "read", "permissions": {"name": {"_ncontains": "x"}}},
    {"collection": "directus_files", "action": "create"},
    {"collection": "directus_comments", "action": "delete"},
]


@pytest.fixture(scope="module")
def url(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on PostgreSQL, whose types are the strictest, with a small library in it."""
    database = asyncio.run(servers.create("postgresql"))
    with _serving(database, tmp_path_factory.mktemp("server")) as found:
        headers = {"Authorization": "Bearer admin-static-token"}
        with httpx2.Client(base_url=found, headers=headers, timeout=PATIENCE) as admin:
            _furnish(admin)
        yield found
    asyncio.run(servers.drop(database))


@contextmanager
def _serving(database: str, folder: Path) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, **SETTINGS, "DATABASE_URL": database, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stderr=output, stdout=output)
    try:
        yield answering(port, process, log)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _furnish(admin: httpx2.Client) -> None:
    def post(path: str, body: Any) -> Any:
        answer = admin.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def made(name: str, type: str) -> dict[str, Any]:
        return {"field": name, "type": type, "meta": {}, "schema": {}}

    plain = [made(f"kind_{kind}", kind) for kind in KINDS]
    must = {**made("must", "string"), "schema": {"is_nullable": False, "default_value": "x"}}
    secret = {**made("secret", "hash"), "meta": {"special": ["hash"]}}
    books = [KEY, *plain, must, secret, made("author", "integer"), made("sort", "integer")]
    post("/collections", {"collection": "authors", "schema": {}, "meta": {}, "fields": [KEY, made("name", "string")]})
    post("/collections", {"collection": "books", "schema": {}, "meta": {"sort_field": "sort"}, "fields": books})
    site = {"collection": "site", "schema": {}, "meta": {"singleton": True}, "fields": [KEY, made("title", "string")]}
    post("/collections", site)
    post("/fields/authors", {"field": "books", "type": "alias", "meta": {"special": ["o2m"]}})
    meta = {"many_field": "author", "one_field": "books"}
    post("/relations", {"collection": "books", "field": "author", "related_collection": "authors", "meta": meta})
    values = {"kind_decimal": 1.5, "kind_bigInteger": 2**53 + 1, "kind_json": {"a": [1]}, "kind_string": "x" * 40}
    for name in ("Jane", "Max"):
        post("/items/authors", {"name": name, "books": [values, {"kind_string": name}]})
    policy = {"name": "few rights", "app_access": True, "permissions": [{"fields": ["*"], **row} for row in RIGHTS]}
    user = {"email": "ada@example.com", "password": "password", "policies": [{"policy": policy}]}
    post("/users", user)


def _session(url: str, email: str) -> httpx2.Client:
    """A login whose token stays good whatever happens to the user's own token and password."""
    answer = httpx2.post(f"{url}/auth/login", json={"email": email, "password": "password"}, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}
    return httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE)


def _loosened(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what it does not say of answers (docs/operations.md, API page).

    Its schemas of items are the reference's, made for what is sent: in answers ``fields`` leaves members out, masked
    values are null, and exact numbers are text where the database has them exact.
    """
    for schema in document["components"]["schemas"].values():
        if "x-collection" in schema:
            schema.pop("required", None)
            schema["properties"] = {name: _answered(node) for name, node in schema["properties"].items()}
    return document


def _answered(node: dict[str, Any]) -> dict[str, Any]:
    if node.get("type") == "number" or node.get("format") == "int64":
        return {"nullable": True, "oneOf": [{"type": "string"}, {"type": node["type"]}]}
    return {**node, "nullable": True}


def _guided(document: dict[str, Any]) -> dict[str, Any]:
    """The document with names and keys that are there, so that not every request ends at the first check."""
    parameters = document["components"]["parameters"]
    parameters["Fields"]["schema"]["items"]["enum"] = ["*", "id", "*.*", "author.name", "count(books)", "nope"]
    parameters["Sort"]["schema"]["items"]["enum"] = ["id", "-id", "author.name", "nope"]
    parameters["Meta"]["schema"]["enum"] = ["*", "total_count", "filter_count", ""]
    parameters["Limit"]["schema"]["maximum"] = parameters["Page"]["schema"]["maximum"] = 2**40
    for path, node in document["paths"].items():
        if path.startswith("/items/") and path.endswith("/{id}"):
            node["parameters"][0]["schema"]["enum"] = [1, 2, 3, 4, 2**63]
    return document


FITTING, UNFIT = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


def _problems(schema: Any, url: str, token: str, modes: Iterable[Any], statuses: Counter[int]) -> Iterator[str]:
    """What goes wrong when each operation is asked a few times, in each mode: with data that fits, and that does not."""
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in modes:

            @settings(**HYPOTHESIS)
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                answer = case.call(base_url=url, headers={"Authorization": token}, timeout=PATIENCE)
                statuses[answer.status_code] += 1
                case.validate_response(answer, checks=CHECKS)

            try:
                ask()
            except FailureGroup as found:
                yield f"{operation.label}: {found}"
            except Unsatisfiable:
                assert mode is UNFIT, f"{operation.label}: nothing can be made for it"


@pytest.mark.parametrize(
    ("who", "modes"), [("admin", (FITTING, UNFIT)), ("ada", (FITTING,))], ids=["admin", "few rights"]
)
def test_nothing_breaks_and_every_answer_is_described(url: str, who: str, modes: Iterable[Any]) -> None:
    with _session(url, f"{who}@example.com") as client:
        token = client.headers["Authorization"]
        document = _guided(_loosened(client.get("/server/specs/oas").json()))
    statuses = Counter[int]()
    problems = list(_problems(schemathesis.openapi.from_dict(document), url, token, modes, statuses))
    assert not problems, "\n\n".join(problems)
    assert statuses[200] > 20 and statuses[400] > 20 and statuses[401] < 20, statuses
