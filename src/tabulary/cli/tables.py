"""What commands print: a table for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tabulary.core import json

_WIDE = 1_000


def show(found: Mapping[str, Any] | Sequence[Mapping[str, Any]], as_json: bool, only: str | None = None) -> None:
    """Print rows as a table, or one member (``only``) of a single one; as JSON when that was asked for."""
    if as_json:
        click.echo(json.encode(found).decode())
    elif isinstance(found, Mapping):
        click.echo(found[only] if only else json.encode(found).decode())
    else:
        _print_table(found)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        click.echo("Nothing found.")
        return
    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*(escape(_shown(value)) for value in row.values()))
    # programs that read a table want it whole
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
