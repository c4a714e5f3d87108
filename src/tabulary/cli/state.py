"""``tabulary state``: data model, rights, settings, presets and translations as one file, planned and applied."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml

from tabulary.app import Tabulary
from tabulary.cli.session import opened, run
from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.services.dry_run import tried
from tabulary.services.export_formats import exported
from tabulary.services.state import StatePlan, StateService

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ALLOW_DROP = click.option("--allow-drop", is_flag=True, help="Also delete what the file does not have.")


@click.group()
def state() -> None:
    """Keep data model, rights, settings, presets and translations in a file."""


@state.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--format", "kind", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.option("-y", "--yes", is_flag=True, help="Replace the file without asking.")
def export(path: Path | None, kind: str, yes: bool) -> None:
    """Write the state to PATH, or to standard output. It holds no content, no users and no secrets."""
    if path is not None and path.exists() and not yes:
        click.confirm(f"{path} exists. Replace it?", abort=True)
    content = exported(run(_export()), kind)
    if path is None:
        click.echo(content.decode(), nl=not content.endswith(b"\n"))
    else:
        path.write_bytes(content)
        click.echo(f"State saved to {path}", err=True)


async def _export() -> dict[str, Any]:
    async with opened() as tabulary:
        return await StateService(platform=tabulary.platform, schema=await tabulary.schema()).export()


@state.command()
@click.argument("path", type=_FILE)
@_ALLOW_DROP
@click.option("--sql", is_flag=True, help="The statements too.")
@click.option("--check", is_flag=True, help="Exit with 1 when anything would change.")
def plan(path: Path, allow_drop: bool, sql: bool, check: bool) -> None:
    """Show what applying PATH would change."""
    if run(_plan(_load(path), allow_drop, sql)) and check:
        raise SystemExit(1)


async def _plan(given: Any, allow_drop: bool, sql: bool) -> bool:
    async with opened() as tabulary:
        found = await _planned(tabulary, given, allow_drop)
        if found and sql:
            for statement in await tried(tabulary.platform, partial(_run, tabulary, found)):
                click.echo(statement)
        return bool(found)


@state.command()
@click.argument("path", type=_FILE)
@_ALLOW_DROP
@click.option("-y", "--yes", is_flag=True, help="Apply without asking.")
def apply(path: Path, allow_drop: bool, yes: bool) -> None:
    """Make the state what PATH says: all of it, or nothing. Without --allow-drop nothing is deleted."""
    run(_apply(_load(path), allow_drop, yes))


async def _apply(given: Any, allow_drop: bool, yes: bool) -> None:
    async with opened() as tabulary:
        found = await _planned(tabulary, given, allow_drop)
        if not found:
            return
        if not yes:
            click.confirm("Apply these changes?", abort=True)
        await _run(tabulary, found, None)
        click.echo("State applied.")


async def _planned(tabulary: Tabulary, given: Any, allow_drop: bool) -> StatePlan:
    """The plan, shown."""
    service = StateService(platform=tabulary.platform, schema=await tabulary.schema())
    found = await service.plan(given, allow_drop=allow_drop)
    click.echo("\n".join(found.lines()) if found else "No changes to apply.")
    if found.dropped:
        click.echo(f"Deleted, with what is stored in it: {', '.join(found.dropped)}", err=True)
    if found.kept:
        click.echo(f"Not in the file, but kept (--allow-drop deletes): {', '.join(found.kept)}", err=True)
    return found


async def _run(tabulary: Tabulary, found: StatePlan, connection: Connection | None) -> None:
    schema = await tabulary.schema()
    await StateService(platform=tabulary.platform, schema=schema, connection=connection).apply(found)


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return yaml.safe_load(text) if path.suffix.lower() in (".yaml", ".yml") else json.decode(text)
    except (ValueError, yaml.YAMLError) as problem:
        raise click.ClickException(f"{path} can't be read: {problem}") from None
