"""``tabulary export|import|schema|state|backup``, run as people run them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SOURCES = Path(__file__).parents[2] / "src"
Run = Callable[..., subprocess.CompletedProcess[str]]
SNAPSHOT = """
version: 1
directus: 11.17.4
vendor: sqlite
collections:
  - {collection: books, meta: {collection: books, note: Novels}, schema: {name: books}}
fields:
  - collection: books
    field: id
    type: integer
    meta: {collection: books, field: id}
    schema: {name: id, table: books, data_type: integer, is_primary_key: true, has_auto_increment: true}
  - collection: books
    field: title
    type: string
    meta: {collection: books, field: title, validation: {title: {_nnull: true}}}
    schema: {name: title, table: books, data_type: varchar, max_length: 255, is_nullable: true}
relations: []
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "PYTHONPATH": str(SOURCES),
        "DATABASE_URL": f"sqlite:///{tmp_path}/cli.db",
        "SECRET": "0123456789abcdef0123456789abcdef",
        "HASH_MEMORY_COST": "1024",
        "HASH_TIME_COST": "1",
    }

    def run_(*arguments: str, given: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tabulary", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**environment, **settings},
            capture_output=True,
            text=True,
            timeout=600,
            input=given,
        )

    return run_


@pytest.fixture
def books(run: Run, tmp_path: Path) -> Run:
    """A database with books in it."""
    assert run("bootstrap", ADMIN_EMAIL="admin@example.org", ADMIN_PASSWORD="secret").returncode == 0
    (tmp_path / "model.yaml").write_text(SNAPSHOT)
    assert run("schema", "apply", "model.yaml", "-y").returncode == 0
    done = run("import", "books", "-", "--format", "csv", given='title\nEmma\n"A ""quoted"" one"\n')
    assert (done.returncode, done.stderr) == (0, "2 items imported into books.\n")
    return run


def test_schema(run: Run, tmp_path: Path) -> None:
    run("database", "install")
    (tmp_path / "model.yaml").write_text(SNAPSHOT)
    tried = run("schema", "apply", "model.yaml", "--dry-run")
    assert tried.returncode == 0
    assert tried.stdout.startswith("Collections:\n  - Create books\nFields:\n  - Create books.id\n")
    assert "CREATE TABLE books" in tried.stdout
    assert run("count", "books").returncode == 1
    asked = run("schema", "apply", "model.yaml", given="n\n")
    assert asked.returncode == 1
    assert run("count", "books").returncode == 1
    applied = run("schema", "apply", "model.yaml", given="y\n")
    assert applied.returncode == 0
    assert "Snapshot applied successfully" in applied.stdout
    assert run("schema", "apply", "model.yaml", "-y").stdout == "No changes to apply.\n"
    assert run("schema", "diff", "model.yaml").stdout == "No changes to apply.\n"
    taken = run("schema", "snapshot", "--format", "json")
    assert [c["collection"] for c in json.loads(taken.stdout)["collections"]] == ["books"]
    assert run("schema", "snapshot", "model.yaml", given="n\n").returncode == 1
    assert run("schema", "snapshot", "model.yaml", "-y").returncode == 0
    assert yaml.safe_load((tmp_path / "model.yaml").read_text())["fields"][1]["field"] == "title"
    (tmp_path / "empty.json").write_text('{"version": 1, "directus": "9.9.9", "vendor": "mysql"}')
    gone = run("schema", "diff", "empty.json")
    assert "  - Delete books" in gone.stdout
    assert "Deleted with all that is stored in them: books" in gone.stderr
    assert run("schema", "diff", "empty.json", "--ignoreRules", "books").stdout == "No changes to apply.\n"
    assert json.loads(run("schema", "diff", "empty.json", "--json").stdout)["collections"][0]["collection"] == "books"


def test_files_out_and_in(books: Run, tmp_path: Path) -> None:
    assert books("export", "books").stdout == '"id","title"\n1,"Emma"\n2,"A ""quoted"" one"'
    names = ("b.json", "b.csv", "b.xml", "b.yaml")
    for name in names:
        assert books("export", "books", name, "--fields", "title").returncode == 0
    for name in names:
        assert books("import", "books", name).stderr == "2 items imported into books.\n"
    with (tmp_path / "b.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["title"], ["Emma"], ['A "quoted" one']]
    chosen = books(
        "export", "books", "--filter", '{"title": {"_eq": "Emma"}}', "--sort", "-id", "--limit", "2", "--format", "json"
    )
    assert json.loads(chosen.stdout) == [{"id": 9, "title": "Emma"}, {"id": 7, "title": "Emma"}]
    assert books("count", "books").stdout == "10\n"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_imports_that_fail_say_where(books: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('[{"title": "ok"}, {"title": null}, {"title": null}]')
    failed = books("import", "books", "bad.json")
    assert failed.returncode == 1
    assert "rows 2 to 3" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert books("count", "books").stdout == "2\n"
    for arguments in (("import", "books", "model.txt"), ("import", "nope", "bad.json"), ("export", "nope")):
        assert books(*arguments).returncode == 1
    unknown = books("import", "books", "bad.json", "--format", "xlsx")
    assert unknown.returncode == 1


def test_state(books: Run, tmp_path: Path) -> None:
    assert books("state", "export", "state.yaml").returncode == 0
    assert books("state", "plan", "state.yaml", "--check").stdout == "No changes to apply.\n"
    assert books("roles", "create", "--role", "Editors", "--app").returncode == 0
    kept = books("state", "plan", "state.yaml", "--check")
    assert (kept.returncode, kept.stdout) == (0, "No changes to apply.\n")
    assert "roles Editors" in kept.stderr
    dropping = books("state", "plan", "state.yaml", "--allow-drop", "--check", "--sql")
    assert dropping.returncode == 1
    assert "  - Delete Editors" in dropping.stdout
    assert "DELETE FROM directus_roles" in dropping.stdout
    assert books("count", "directus_roles").stdout == "2\n"
    assert books("state", "apply", "state.yaml", "--allow-drop", given="n\n").returncode == 1
    assert books("state", "apply", "state.yaml", "--allow-drop", "-y").returncode == 0
    assert books("count", "directus_roles").stdout == "1\n"
    (tmp_path / "bad.yaml").write_text("tabulary: 7")
    assert books("state", "plan", "bad.yaml").returncode == 1


def test_backup(books: Run, tmp_path: Path) -> None:
    saved = books("backup", "create", "x.backup")
    assert (saved.returncode, saved.stderr) == (0, "")
    assert "rows and 0 files saved" in saved.stdout
    assert "complete and unchanged" in books("backup", "verify", "x.backup").stdout
    assert books("backup", "restore", "x.backup").returncode == 1
    (tmp_path / "cli.db").unlink()
    for path in tmp_path.glob("cli.db-*"):
        path.unlink()
    assert books("backup", "restore", "x.backup").returncode == 0
    assert books("count", "books").stdout == "2\n"
    assert books("backup", "restore", "x.backup", "--overwrite", given="n\n").returncode == 1
    assert books("backup", "restore", "x.backup", "--overwrite", "-y").returncode == 0
    (tmp_path / "x.backup").write_bytes(b"nothing")
    broken = books("backup", "verify", "x.backup")
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
