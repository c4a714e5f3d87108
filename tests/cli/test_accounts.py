"""``tabulary users``, ``roles``, ``security`` and ``access``: what they do, say and refuse."""

from __future__ import annotations

import re
import uuid

import pytest

from .conftest import Said, Tabulary

NOBODY = "nobody@example.com"


def refused(said: Said, *words: str) -> bool:
    """One clear error on stderr, nothing on stdout, exit code 1."""
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("Error: "), said
    assert all(word in last for word in words), said
    assert "Traceback" not in said.err
    return said.code == 1 and said.out == ""


def test_create(tabulary: Tabulary) -> None:
    key = tabulary("users", "create", "--email", "Ada@Example.org", "--password", "secret", "--admin")
    assert key.code == 0
    assert uuid.UUID(key.out.strip())
    made = tabulary(
        "users", "create", "--email", "b@example.org", "--password", "s", "--role", "administrator", "--json"
    )
    assert set(made.json) == {"id", "email", "role"}
    assert refused(tabulary("users", "create", "--email", "ADA@example.ORG", "--password", "x", "--admin"), "unique")
    assert refused(tabulary("users", "create", "--email", "x", "--password", "x", "--admin"), "email")
    assert refused(tabulary("users", "create", "--email", NOBODY, "--password", "x"), "--role", "--admin")
    assert refused(tabulary("users", "create", "--email", NOBODY, "--password", "x", "--role", "none"), "roles list")
    assert refused(tabulary("users", "create", "--password", "x", "--admin"), "--email")


def test_passwords_come_from_standard_input(tabulary: Tabulary) -> None:
    assert tabulary("users", "create", "--email", "a@example.org", "--admin", stdin="secret\nmore\n").code == 0
    assert refused(tabulary("users", "create", "--email", "b@example.org", "--admin"), "--password")
    said = tabulary("users", "passwd", "--email", "a@example.org", stdin="other\n")
    assert (said.code, said.out) == (0, "Password changed.\n")


def test_passwd(tabulary: Tabulary) -> None:
    said = tabulary("users", "passwd", "--email", "ADMIN@example.com", "--password", "other")
    assert (said.code, said.out) == (0, "Password changed.\n")
    assert set(tabulary("users", "passwd", "--email", "admin@example.com", "--password", "x", "--json").json) == {
        "id",
        "email",
    }
    assert refused(tabulary("users", "passwd", "--email", NOBODY, "--password", "x"), NOBODY)


def test_list(tabulary: Tabulary) -> None:
    tabulary("users", "create", "--email", "z@example.org", "--password", "s", "--admin")
    rows = tabulary("users", "list", "--json").json
    assert [(row["email"], row["status"], row["role"]) for row in rows] == [
        ("admin@example.com", "active", "Administrator"),
        ("z@example.org", "active", "Administrator"),
    ]
    assert set(rows[0]) == {"id", "email", "status", "role", "last_access"}
    table = tabulary("users", "list")
    assert re.search(r"z@example\.org +active +Administrator", table.out)
    assert tabulary("users", "list", "--status", "suspended", "--json").json == []
    assert tabulary("users", "list", "--status", "suspended").out == "Nothing found.\n"


def test_suspend(tabulary: Tabulary) -> None:
    assert refused(tabulary("users", "suspend", "--email", "admin@example.com"), "admin")
    tabulary("users", "create", "--email", "z@example.org", "--password", "s", "--admin")
    said = tabulary("users", "suspend", "--email", "Z@example.org")
    assert (said.code, said.out) == (0, "Suspended.\n")
    (row,) = tabulary("users", "list", "--status", "suspended", "--json").json
    assert row["email"] == "z@example.org"
    assert tabulary("users", "suspend", "--email", "z@example.org", "--json").json["id"] == row["id"]
    assert refused(tabulary("users", "suspend", "--email", NOBODY), NOBODY)


def test_invite(tabulary: Tabulary) -> None:
    sent = {"EMAIL_TRANSPORT": "console", "USER_INVITE_URL_ALLOW_LIST": "http://app.example.com/invite"}
    role = ("--role", "Administrator")
    said = tabulary("users", "invite", "a@example.org", "b@example.org", *role, **sent)
    assert (said.code, said.out.splitlines()[-1]) == (0, "Invited: a@example.org, b@example.org")
    invited = tabulary("users", "list", "--status", "invited", "--json").json
    assert [row["email"] for row in invited] == ["a@example.org", "b@example.org"]
    evil = tabulary("users", "invite", "c@example.org", *role, "--url", "http://evil.example.com/", **sent)
    assert refused(evil, "evil.example.com") or refused(evil, "URL")
    assert refused(tabulary("users", "invite", "x", *role, **sent), "email")
    assert refused(tabulary("users", "invite", "c@example.org", "--role", "none", **sent), "roles list")
    assert refused(tabulary("users", "invite", *role, **sent), "EMAILS")
    unreachable = {"EMAIL_TRANSPORT": "smtp", "EMAIL_SMTP_HOST": "127.0.0.1", "EMAIL_SMTP_PORT": "1"}
    assert refused(tabulary("users", "invite", "c@example.org", *role, **unreachable), "Mail cannot be sent")
    assert len(tabulary("users", "list", "--status", "invited", "--json").json) == 2


def test_roles(tabulary: Tabulary) -> None:
    editors = tabulary("roles", "create", "--role", "Editors", "--app")
    assert uuid.UUID(editors.out.strip())
    assert set(tabulary("roles", "create", "--role", "Readers", "--json").json) == {"id", "name", "policy"}
    rows = {row["name"]: (row["parent"], row["admin"], row["app"]) for row in tabulary("roles", "list", "--json").json}
    assert rows == {
        "Administrator": (None, True, True),
        "Editors": (None, False, True),
        "Readers": (None, False, False),
    }
    assert re.search(r"Readers +no +no", tabulary("roles", "list").out)
    assert refused(tabulary("roles", "create"), "--role")


def test_security(tabulary: Tabulary) -> None:
    for name in ("key", "key:generate"):
        assert uuid.UUID(tabulary("security", name).out).version == 4
    for name in ("secret", "secret:generate"):
        assert re.fullmatch(r"[A-Za-z0-9_-]{32}", tabulary("security", name).out)
    assert uuid.UUID(tabulary("security", "key", "--json").json["key"])
    assert len(tabulary("security", "secret", "--json").json["secret"]) == 32


def test_access_explain(tabulary: Tabulary) -> None:
    question = ("access", "explain", "directus_users")
    said = tabulary(*question, "--user", "admin@example.com", "--action", "delete")
    assert said.out.splitlines()[0] == "admin@example.com (active) may delete directus_users"
    assert "  Administrator through the role" in said.out
    told = tabulary(*question, "--json").json
    assert (told["user"], told["allowed"], told["rows"]) == (None, False, [])
    editors = tabulary("roles", "create", "--role", "Editors", "--app").out.strip()
    tabulary("users", "create", "--email", "e@example.org", "--password", "s", "--role", editors)
    said = tabulary(*question, "--user", "e@example.org", "--key", str(uuid.uuid4()))
    assert said.out.startswith("e@example.org (active) may not read directus_users")
    assert "Permission" in said.out
    assert "WHERE" in said.out
    assert "Fields refused: " in said.out
    assert refused(tabulary("access", "explain", "nowhere"), "nowhere")
    assert refused(tabulary(*question, "--user", NOBODY), NOBODY)
    assert refused(tabulary(*question, "--action", "eat"), "eat")
    assert refused(tabulary(*question, "--ip", "here"), "here")


COMMANDS = [
    *[("users", name) for name in ("create", "passwd", "list", "invite", "suspend")],
    *[("roles", name) for name in ("create", "list")],
    *[("security", name) for name in ("key", "secret")],
    ("access", "explain"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_names_every_option(tabulary: Tabulary, command: tuple[str, ...]) -> None:
    """And what it names exists: each option is known to the parser."""
    helped = tabulary(*command, "--help", DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert helped.code == 0
    assert "--json" in helped.out
    for option in re.findall(r"^  (--[a-z]+)", helped.out, re.MULTILINE):
        assert "No such option" not in tabulary(*command, option).err
    assert refused(tabulary(*command, "--nonsense"), "--nonsense")


def test_without_tables_it_says_what_to_do(tabulary: Tabulary) -> None:
    for command in (("users", "list"), ("roles", "list"), ("access", "explain", "books")):
        assert refused(tabulary(*command, DATABASE_URL="sqlite:///empty.db"), "tabulary bootstrap")
