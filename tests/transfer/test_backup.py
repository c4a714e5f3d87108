"""Backups: destroy everything, restore it, and find what was there; damaged backups change nothing."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.core.errors import InvalidPayload, UnprocessableContent
from tabulary.services.backup import BackupService

from .conftest import SETTINGS, build, every

pytestmark = pytest.mark.anyio

DATA = "CREATE TABLE {unknown} (a integer, b {blob}, c {double}, d {real}, e varchar(20) DEFAULT 'it''s %', PRIMARY KEY (a, e))"
TYPES = {
    "sqlite": {"blob": "blob", "double": "double", "real": "float"},
    "postgresql": {"blob": "bytea", "double": "double precision", "real": "real"},
    "mysql": {"blob": "longblob", "double": "double", "real": "float"},
}


def opened(url: str, folder: Path) -> Tabulary:
    return Tabulary(url, install=False, STORAGE_LOCAL_ROOT=str(folder / "uploads"), **SETTINGS)


@pytest.fixture
async def url(request: pytest.FixtureRequest, servers: Any, tmp_path: Path) -> AsyncIterator[str]:
    """A database with rows of many kinds, also in a table that the API does not serve, and two files."""
    made = await servers.installed(request.param)
    async with opened(made, tmp_path) as tabulary:
        await build(tabulary)
        long, odd = "x" * 40, "\\ \t\n\r ' \" % ü 日本 😀"
        await tabulary.items("books").create_many(
            [
                {
                    "title": odd,
                    "price": "12345678.90",
                    "in_print": True,
                    "written": "1815-12-23",
                    "extra": {"a": [odd]},
                },
                {"title": long, "author": {"name": "Jane"}, "sequels": [{"title": "2", "pages": 7}]},
                *({"title": f"T{n}"} for n in range(1200)),
            ]
        )
        kind = tabulary.platform.database.dialect.name
        async with tabulary.platform.database.transaction() as connection:
            quote = connection.dialect.quote
            await connection.execute(DATA.format(unknown=quote("un known"), **TYPES[kind]).replace("%", "%%" * 1))
            mark = {"sqlite": "?, ?, ?, ?", "postgresql": "$1, $2, $3, $4", "mysql": "%s, %s, %s, %s"}[kind]
            row = [1, bytes(range(256)), 0.1 + 0.2, 16777217 / 3]
            await connection.execute(f"INSERT INTO {quote('un known')} (a, b, c, d) VALUES ({mark})", row)
        files = tabulary.platform.service("directus_files", schema=await tabulary.schema())
        for name, content in (("a.bin", bytes(range(256)) * 5000), ("b.txt", b"")):
            await files.upload_one(content, {"filename_download": name, "type": "application/octet-stream"})
    yield made
    await servers.drop(made)


on_every_database = pytest.mark.parametrize("url", ["sqlite", "postgresql", "mysql"], indirect=True)


async def look(tabulary: Tabulary) -> dict[str, Any]:
    """Everything that must be the same afterwards."""
    async with tabulary.platform.database.connection() as connection:
        catalog = connection.dialect.catalog
        columns = [column.as_schema() for column in await catalog.columns(connection)]
        keys = sorted(map(repr, await catalog.foreign_keys(connection)))
        indexes = {
            table.name: sorted(map(repr, await catalog.indexes(connection, table.name)))
            for table in await catalog.tables(connection)
        }
        unknown = await connection.fetch_rows(f"SELECT * FROM {connection.dialect.quote('un known')}")
    files = tabulary.platform.service("directus_files", schema=await tabulary.schema())
    contents = []
    for row in await files.read_by_query({"fields": ["storage", "filename_disk", "filesize"], "sort": ["id"]}):
        content = tabulary.platform.storage.at(row["storage"]).read(row["filename_disk"])
        contents.append((row["filename_disk"], b"".join([chunk async for chunk in content])))
    rows = {name: await every(tabulary, name) for name in ("books", "authors", "directus_users", "directus_files")}
    return {"columns": columns, "keys": keys, "indexes": indexes, "rows": rows, "unknown": unknown, "files": contents}


async def destroy(url: str, servers: Any, folder: Path) -> None:
    kind = url.partition(":")[0]
    if kind == "sqlite":
        for path in Path(url.removeprefix("sqlite:///")).parent.glob(Path(url).name + "*"):
            path.unlink(missing_ok=True)  # SQLite removes its own files at the last close
    else:
        await servers.destroy(url)
        await servers._run(kind, f"CREATE DATABASE {url.rpartition('/')[2]}")
    for path in sorted((folder / "uploads").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


@on_every_database
async def test_destroyed_and_restored(url: str, servers: Any, tmp_path: Path) -> None:
    path = tmp_path / "all.backup"
    async with opened(url, tmp_path) as tabulary:
        before = await look(tabulary)
        report = await BackupService(platform=tabulary.platform).create(path)
    assert (report.files, report.left_out) == (2, [])
    assert path.stat().st_mode & 0o077 == 0
    await destroy(url, servers, tmp_path)
    async with opened(url, tmp_path) as tabulary:
        assert not await tabulary.is_installed()
        service = BackupService(platform=tabulary.platform)
        restored = await service.restore(path)
        assert restored.tables == report.tables
        assert await look(tabulary) == before
        key = await tabulary.items("books").create_one({"title": "after"})
        assert key > max(book["id"] for book in before["rows"]["books"])
        with pytest.raises(UnprocessableContent):
            await service.restore(path)
        assert "after" in {book["title"] for book in await every(tabulary, "books")}
        await service.restore(path, overwrite=True)
        assert await look(tabulary) == before


@on_every_database
async def test_work_goes_on_while_it_is_saved(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as tabulary:
        service, books = BackupService(platform=tabulary.platform), tabulary.items("books")
        seen: dict[str, int] = {}
        saving = asyncio.ensure_future(service.create(tmp_path / "x.backup", watch=seen.__setitem__))
        written = 0
        while not saving.done():
            await books.create_one({"title": f"meanwhile {written}"})
            written += 1
        await saving
        assert written > 0
        assert len(seen) > 2
        manifest = await service.verify(tmp_path / "x.backup")
        assert manifest["dialect"] == tabulary.platform.database.dialect.name


def spoiled(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a backup in which members are changed, or left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def other_kind(name: str, content: bytes) -> bytes:
    if name != "manifest.json":
        return content
    manifest = json.loads(content)
    return json.dumps({**manifest, "dialect": "mysql" if manifest["dialect"] != "mysql" else "sqlite"}).encode()


def fewer_rows(name: str, content: bytes) -> bytes:
    if name != "manifest.json":
        return content
    manifest = json.loads(content)
    table = next(table for table in manifest["tables"] if table.endswith("books"))
    return json.dumps({**manifest, "tables": {**manifest["tables"], table: 1}}).encode()


@on_every_database
async def test_damaged_backups_change_nothing(url: str, tmp_path: Path) -> None:
    good = tmp_path / "good.backup"
    async with opened(url, tmp_path) as tabulary:
        service = BackupService(platform=tabulary.platform)
        await service.create(good)
        before = await look(tabulary)
        changed = spoiled(good, tmp_path / "1", lambda n, c: c[:-1] + b"!" if n.startswith("files/") and c else c)
        lacking = spoiled(good, tmp_path / "2", lambda n, c: None if n.startswith("files/") else c)
        nameless = spoiled(good, tmp_path / "3", lambda n, c: None if n == "manifest.json" else c)
        newer = spoiled(good, tmp_path / "4", lambda n, c: b'{"tabulary": 99}' if n == "manifest.json" else c)
        foreign = spoiled(good, tmp_path / "5", other_kind)
        cut = tmp_path / "6"
        cut.write_bytes(good.read_bytes()[:-2000])
        for path in (changed, lacking, nameless, newer, foreign, cut):
            with pytest.raises(InvalidPayload):
                await service.restore(path, overwrite=True)
        assert await look(tabulary) == before
        if tabulary.platform.database.dialect.transactional_ddl:
            with pytest.raises(UnprocessableContent):
                await service.restore(spoiled(good, tmp_path / "7", fewer_rows), overwrite=True)
            assert await look(tabulary) == before


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_files_that_are_missing_are_named(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as tabulary:
        stored = [p for p in (tmp_path / "uploads").rglob("*") if p.is_file()]
        stored[0].unlink()
        service = BackupService(platform=tabulary.platform)
        report = await service.create(tmp_path / "x.backup")
        assert report.files == len(stored) - 1
        assert len(report.left_out) == 1
        assert stored[0].name in report.left_out[0]
        without = await service.create(tmp_path / "y.backup", files=False)
        assert without.files == 0


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_backup_that_fails_leaves_nothing(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as tabulary:

        def full(name: str, size: int) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError):
            await BackupService(platform=tabulary.platform).create(tmp_path / "x.backup", watch=full)
    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_what_postgresql_has_more_of(url: str, servers: Any, tmp_path: Path) -> None:
    """Types, keys and counters of PostgreSQL's own; views and functions are named as left out."""
    statements = [
        "CREATE TYPE mood AS ENUM ('so', 'la la')",
        "CREATE SEQUENCE loose START 5 INCREMENT 3",
        "SELECT nextval('loose')",
        "CREATE TABLE kinds (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, m mood NOT NULL DEFAULT 'so', "
        "n int CHECK (n > 0), twice int GENERATED ALWAYS AS (n * 2) STORED, at timestamptz(3) DEFAULT now(), "
        "codes text[] , r numrange, j jsonb, EXCLUDE USING gist (r WITH &&))",
        "CREATE INDEX kinds_part ON kinds (n DESC, lower(codes[1])) WHERE n > 3",
        "COMMENT ON COLUMN kinds.n IS 'it''s a number'",
        "INSERT INTO kinds (n, codes, r, j) VALUES (4, ARRAY['a', NULL], '[1,2)', '{\"a\": 1}')",
        "CREATE VIEW seen AS SELECT n FROM kinds",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ]
    facts = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'kinds'::regclass ORDER BY 1",
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'kinds'::regclass ORDER BY 1",
        "SELECT attname, attidentity, attgenerated, format_type(atttypid, atttypmod), attnotnull "
        "FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attnum > 0 ORDER BY attnum",
        "SELECT to_jsonb(k)::text FROM kinds k",
        "SELECT last_value, is_called FROM loose",
    )
    path = tmp_path / "x.backup"

    async def look_closer(tabulary: Tabulary) -> list[Any]:
        async with tabulary.platform.database.connection() as connection:
            return [await connection.fetch_rows(sql) for sql in facts]

    async with opened(url, tmp_path) as tabulary:
        async with tabulary.platform.database.connection(write=True) as connection:
            for statement in statements:
                await connection.execute(statement)
        before = await look_closer(tabulary)
        report = await BackupService(platform=tabulary.platform).create(path)
        assert report.left_out == ["function one", "view seen"]
    await destroy(url, servers, tmp_path)
    async with opened(url, tmp_path) as tabulary:
        await BackupService(platform=tabulary.platform).restore(path)
        assert await look_closer(tabulary) == before
        async with tabulary.platform.database.connection(write=True) as connection:
            assert await connection.fetch_value("INSERT INTO kinds (n) VALUES (1) RETURNING id") == 2
            await connection.execute("CREATE DOMAIN posint AS int CHECK (VALUE > 0)")
            await connection.execute("CREATE TABLE picky (p posint)")
        with pytest.raises(UnprocessableContent, match=r"picky\.p"):
            await BackupService(platform=tabulary.platform).create(path)
