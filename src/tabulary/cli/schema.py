"""``tabulary schema``: the data model as a file, compared and applied (spec schema-and-platform §3.4, §5)."""

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
from tabulary.schema.snapshot import LISTS, Snapshot
from tabulary.services.change_list import change_list, deletions, effective, without_rules
from tabulary.services.dry_run import tried
from tabulary.services.export_formats import exported
from tabulary.services.schema import SchemaService
from tabulary.services.schema_snapshots import check_snapshot

Diff = dict[str, list[dict[str, Any]]]


@click.group()
def schema() -> None:
    """Take, compare and apply snapshots of the data model."""


@schema.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--format", "kind", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.option("-y", "--yes", is_flag=True, help="Replace the file without asking.")
def snapshot(path: Path | None, kind: str, yes: bool) -> None:
    """Write the data model to PATH, or to standard output."""
    if path is not None and path.exists() and not yes:
        click.confirm(f"{path} exists. Replace it?", abort=True)
    content = exported(run(_snapshot()), kind)
    if path is None:
        click.echo(content.decode(), nl=not content.endswith(b"\n"))
    else:
        path.write_bytes(content)
        click.echo(f"Snapshot saved to {path}", err=True)


async def _snapshot() -> Snapshot:
    async with opened() as tabulary:
        return await (await _service(tabulary)).snapshot()


@schema.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--ignoreRules", "rules", default="", help="Collections and collection.field to pass over, by commas.")
@click.option("--json", "as_json", is_flag=True, help="As /schema/diff would answer.")
def diff(path: Path, rules: str, as_json: bool) -> None:
    """Show what applying PATH would change."""
    found = run(_diff(load(path), _rules(rules)))
    if as_json:
        click.echo(json.encode(found).decode())
    else:
        _show(found)


async def _diff(target: Snapshot, rules: list[str]) -> Diff:
    async with opened() as tabulary:
        return await _difference(tabulary, target, rules)


@schema.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-y", "--yes", is_flag=True, help="Apply without asking.")
@click.option("-d", "--dry-run", is_flag=True, help="Only show the changes, and the SQL that makes them.")
@click.option("--ignoreRules", "rules", default="", help="Collections and collection.field to pass over, by commas.")
def apply(path: Path, yes: bool, dry_run: bool, rules: str) -> None:
    """Make the data model what PATH says: all of it, or nothing."""
    run(_apply(load(path), _rules(rules), yes, dry_run))


async def _apply(target: Snapshot, rules: list[str], yes: bool, dry_run: bool) -> None:
    async with opened() as tabulary:
        difference = await _difference(tabulary, target, rules)
        _show(difference)
        if not any(difference.values()):
            return
        if dry_run:
            for statement in await tried(tabulary.platform, partial(_run, tabulary, difference)):
                click.echo(statement)
            return
        if not yes:
            click.confirm("Apply these changes?", abort=True)
        await _run(tabulary, difference, None)
        click.echo("Snapshot applied successfully")


async def _run(tabulary: Tabulary, difference: Diff, connection: Connection | None) -> None:
    service = await _service(tabulary, connection)
    await service.apply({"hash": "", "diff": difference}, force=True)


async def _difference(tabulary: Tabulary, target: Snapshot, rules: list[str]) -> Diff:
    complete: Snapshot = {name: [] for name in LISTS if name != "systemFields"} | target
    plan = await (await _service(tabulary)).diff(complete, force=True)
    return without_rules(effective(plan["diff"]), rules) if plan else {name: [] for name in LISTS}


async def _service(tabulary: Tabulary, connection: Connection | None = None) -> SchemaService:
    return SchemaService(platform=tabulary.platform, schema=await tabulary.schema(), connection=connection)


def load(path: Path) -> Any:
    """A snapshot out of a file: YAML by its name, else JSON. Raises ``ClickException`` for what cannot be one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        given = yaml.safe_load(text) if path.suffix.lower() in (".yaml", ".yml") else json.decode(text)
    except (ValueError, yaml.YAMLError) as problem:
        raise click.ClickException(f"{path} can't be read: {problem}") from None
    return check_snapshot(given)


def _show(difference: Diff) -> None:
    if not any(difference.values()):
        click.echo("No changes to apply.")
        return
    click.echo("\n".join(change_list(difference)))
    if gone := deletions(difference):
        click.echo(f"Deleted with all that is stored in them: {', '.join(gone)}", err=True)


def _rules(text: str) -> list[str]:
    return [rule.strip() for rule in text.split(",") if rule.strip()]
