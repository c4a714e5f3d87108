"""``tabulary advise``: indexes for what is read, with their measured effect."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tabulary.cli.session import opened, run
from tabulary.core import json
from tabulary.services.advice.report import Advice, Proposal

_WIDE = 1_000
_WORDS = {"helps": "would help", "made": "made", "failed": "failed", "not measured": "not measured"}


@click.command()
@click.option("--collection", "collections", multiple=True, help="Only indexes of this collection; may be repeated.")
@click.option("--apply", is_flag=True, help="Make the indexes that help.")
@click.option("--system", is_flag=True, help="Also indexes of system collections.")
@click.option("--search/--no-search", default=True, help="Also indexes that searches use (default: yes).")
@click.option(
    "--from-log",
    "log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A log in JSON (LOG_STYLE=raw) whose slow reads count, too.",
)
@click.option("--max-rows", type=click.IntRange(min=1), help="Tables with more rows are not tried (5000000).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def advise(
    collections: tuple[str, ...],
    apply: bool,
    system: bool,
    search: bool,
    log: Path | None,
    max_rows: int | None,
    as_json: bool,
) -> None:
    """Propose indexes for what is read, with their measured effect.

    Permission rules, bookmarks, relations, sort fields and searches are looked at, and the indexes that they lack are
    tried: on PostgreSQL in a transaction that is rolled back (writers of a table wait meanwhile), on SQLite on a copy.
    MariaDB can't take a try back: there, indexes are made with --apply, measured, and dropped if they bring nothing.
    """
    lines = log.read_text(errors="replace").splitlines() if log is not None else []
    advice = run(_advise(collections, apply, system, search, lines, max_rows))
    if as_json:
        click.echo(json.encode(advice.as_dict()).decode())
    else:
        _show(advice, apply)
    if advice.of("failed"):
        raise click.exceptions.Exit(1)


async def _advise(
    collections: tuple[str, ...], apply: bool, system: bool, search: bool, lines: list[str], max_rows: int | None
) -> Advice:
    async with opened() as tabulary:
        return await tabulary.advise(
            *collections, apply=apply, system=system, search=search, log=lines, most_rows=max_rows
        )


def _show(advice: Advice, apply: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    shown = advice.of("made", "failed", "helps", "not measured")
    if shown:
        console.print(_table(advice, shown))
        for proposal in shown:
            console.print(f"\n[bold]{escape(proposal.name)}[/bold] {_WORDS[proposal.status]}")
            for line in _details(proposal):
                console.print(f"  {escape(line)}", soft_wrap=True)
    else:
        console.print("No index is missing.")
    if useless := advice.of("no effect"):
        console.print("\nTried without effect:")
        for proposal in useless:
            served = f" ({proposal.problem})" if proposal.problem else ""
            console.print(f"  {escape(_place(proposal))}: {escape('; '.join(proposal.why) + served)}", soft_wrap=True)
    for note in advice.notes:
        console.print(escape(note), soft_wrap=True)
    if advice.of("helps") and not apply:
        console.print("\nNothing was changed. `tabulary advise --apply` makes what helps.")


def _table(advice: Advice, proposals: list[Proposal]) -> Table:
    unit = advice.unit
    table = Table(
        "index", "", "before", "after", f"{unit} before", f"{unit} after", "size", box=None, header_style="bold"
    )
    for proposal in proposals:
        best = proposal.best
        figures = [
            _milliseconds(best.before_ms if best else None),
            _milliseconds(best.after_ms if best else None),
            _number(best.before_work if best else None),
            _number(best.after_work if best else None),
            _size(proposal.bytes),
        ]
        table.add_row(escape(_place(proposal)), _WORDS[proposal.status], *figures)
    return table


def _details(proposal: Proposal) -> list[str]:
    lines = [f"for {why}" for why in proposal.why]
    if proposal.problem:
        lines.append(proposal.problem)
    lines += [f"{statement};" for statement in proposal.sql]
    if proposal.status == "made":
        lines.append("to undo: " + " ".join(f"{statement};" for statement in proposal.undo))
    return lines


def _place(proposal: Proposal) -> str:
    columns = f"{proposal.collection} ({', '.join(proposal.columns)})"
    return f"{columns} for searching" if proposal.kind == "search" else columns


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f} ms"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _size(value: int | None) -> str:
    return "" if value is None else f"{value / 1_048_576:,.1f} MB"
