"""``tabulary export`` and ``tabulary import``: collections to files and back, with a bar that shows how far it is."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from tabulary.access.accountability import Accountability
from tabulary.cli.session import opened, run
from tabulary.core.errors import ErrorGroup
from tabulary.items.query import Query
from tabulary.services import export_formats, exporting, import_formats
from tabulary.services.importing import ImportService

_SUFFIXES = {".csv": "csv", ".json": "json", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml"}
_SYSTEM = Accountability(admin=True)
"""Who works here: somebody who may do everything, but whose items are checked by the rules of their fields."""


@click.command("export")
@click.argument("collection")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="-")
@click.option(
    "--format", "kind", type=click.Choice(export_formats.FORMATS), help="Default: what FILE ends with, or csv."
)
@click.option("--fields", help="Fields to write, parted by commas; dots follow relations.")
@click.option("--filter", "filter_", help="Only items that match, as JSON.")
@click.option("--search", help="Only items that contain the text.")
@click.option("--sort", help="Fields to sort by, parted by commas; - before a name sorts it down.")
@click.option("--limit", type=click.IntRange(0), help="Items at most. Default: all.")
def export(collection: str, file: Path, kind: str | None, **query: Any) -> None:
    """Write the items of COLLECTION to FILE (standard output without one).

    FILE appears when it is complete, and then replaces what was there.
    """
    chosen = kind or _SUFFIXES.get(file.suffix.lower(), "csv")
    asked = {name.rstrip("_"): value for name, value in query.items() if value is not None}
    run(_export(collection, file, chosen, {"limit": -1, **asked}))


async def _export(collection: str, file: Path, kind: str, raw: dict[str, Any]) -> None:
    async with opened() as tabulary:
        schema = await tabulary.schema()
        if collection not in schema.collections:
            raise click.ClickException(f'There is no collection "{collection}"')
        query = Query.parse(raw, tabulary.settings)
        service = tabulary.platform.service(collection, schema=schema, accountability=_SYSTEM)
        total = await tabulary.platform.reader.count(schema, collection, _SYSTEM, query)
        total = total if query.root.limit is None else min(total, query.root.limit)
        columns = (MofNCompleteColumn(), TimeRemainingColumn())
        with _output(file) as target, _progress(f"Exporting {collection}", total, *columns) as advance:
            async for piece in exporting.content(service, query, kind, columns="requested", progress=advance):
                target.write(piece)


@click.command("import")
@click.argument("collection")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--format", "kind", type=click.Choice(import_formats.FORMATS), help="Default: what FILE ends with.")
def import_(collection: str, file: Path, kind: str | None) -> None:
    """Create the items of FILE in COLLECTION, or update those whose key exists: all of them, or none.

    FILE may be - for standard input.
    """
    chosen = kind or _SUFFIXES.get(file.suffix.lower())
    if chosen is None:
        raise click.ClickException("Say with --format what is in the file: csv, json, xml or yaml")
    count = run(_import(collection, file, chosen))
    click.echo(f"{count} items imported into {collection}.", err=True)


async def _import(collection: str, file: Path, kind: str) -> int:
    async with opened() as tabulary:
        schema = await tabulary.schema()
        if collection not in schema.collections:
            raise click.ClickException(f'There is no collection "{collection}"')
        service = ImportService(platform=tabulary.platform, schema=schema, accountability=_SYSTEM)
        fields = schema.collections[collection].fields.values()
        texts = frozenset(field.field for field in fields if field.type in ("string", "text"))
        with _input(file) as source:
            size = os.fstat(source.fileno()).st_size

            def read() -> Iterator[import_formats.Item]:
                source.seek(0)
                return import_formats.items(kind, source, texts)

            with _progress(f"Importing {collection}", size, TaskProgressColumn(), DownloadColumn()) as advance:
                try:
                    return await service.run(collection, read, lambda _: advance(source.tell()))
                except ErrorGroup as problem:
                    raise click.ClickException(_report(problem)) from None


def _report(problem: ErrorGroup) -> str:
    lines = "\n".join(f"  {error.message}" for error in problem.errors)
    return f"Nothing was imported, because of\n{lines}"


# --- files --------------------------------------------------------------------------------------
@contextlib.contextmanager
def _output(file: Path) -> Iterator[BinaryIO]:
    """Standard output, or a file that takes its name when all is written."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    growing = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with growing.open("xb") as target:
            yield target
        os.replace(growing, file)
    finally:
        growing.unlink(missing_ok=True)


@contextlib.contextmanager
def _input(file: Path) -> Iterator[BinaryIO]:
    """The file; standard input as a file that can be read twice."""
    if str(file) != "-":
        with file.open("rb") as source:
            yield source
        return
    with tempfile.TemporaryFile() as copy:
        while block := sys.stdin.buffer.read(1 << 20):
            copy.write(block)
        copy.seek(0)
        yield copy


@contextlib.contextmanager
def _progress(text: str, total: int, *columns: ProgressColumn) -> Iterator[Any]:
    """A bar on standard error, which is only there when people look; yields what moves it to a place."""
    console = Console(stderr=True)
    with Progress(
        TextColumn(text), BarColumn(), *columns, console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(text, total=total)
        yield lambda done: progress.update(task, completed=done)
