"""``tabulary access``: why somebody may or may not do something, as ``GET /permissions/explain`` tells it."""

from __future__ import annotations

from typing import Any

import click

from tabulary.cli.session import opened, run
from tabulary.core import json
from tabulary.services.explain import ACTIONS, Explanation, Question


@click.group()
def access() -> None:
    """Look into policies and permissions."""


@access.command()
@click.argument("collection")
@click.option("--user", help="Key or address of a user; the public without it.")
@click.option("--action", type=click.Choice(ACTIONS), default="read", show_default=True)
@click.option("--key", help="One item.")
@click.option("--ip", help="Where the user is, for policies that ask for it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(collection: str, user: str | None, action: str, key: str | None, ip: str | None, as_json: bool) -> None:
    """Tell which policies and rules let a user do something with a COLLECTION, and as which SQL."""
    told = run(_explain(Question(collection, action, user, key, ip)))
    click.echo(json.encode(told).decode() if as_json else "\n".join(_lines(told)))


async def _explain(question: Question) -> dict[str, Any]:
    async with opened() as tabulary:
        return await Explanation(tabulary.platform, await tabulary.schema()).explain(question)


def _lines(told: dict[str, Any]) -> list[str]:
    user = told["user"]
    who = f"{user['email'] or user['id']} ({user['status']})" if user else "The public"
    item = f" {told['key']}" if told["key"] is not None else ""
    lines = [
        f"{who} {'may' if told['allowed'] else 'may not'} {told['action']} {told['collection']}{item}",
        f"  {told['reason']}",
        "Policies:",
    ]
    for policy in told["policies"]:
        flags = "".join(f", {name} access" for name in ("admin", "app") if policy[f"{name}_access"])
        away = "" if policy["in_force"] else ", not from this address"
        lines.append(f"  {policy['name']} through {_way(policy['through'])}{flags}{away}")
    for row in told.get("rows", ()):
        match = {True: ", holds", False: ", does not hold", None: ""}[row.get("matches")]
        lines.append(
            f"Permission {row['id'] or ''} of {row['policy']}{match}: {', '.join(row['fields']) or 'no fields'}"
        )
        if row.get("sql"):
            lines += [f"  {' '.join(row['sql'].split())}", f"  with {json.encode(row['values']).decode()}"]
    for verdict in ("granted", "by item", "masked", "refused"):
        names = [name for name, found in told.get("fields", {}).items() if found == verdict]
        if names:
            lines.append(f"Fields {verdict}: {', '.join(names)}")
    return lines


def _way(through: dict[str, Any]) -> str:
    if "role" in through:
        return f"the role {through['role']}"
    return "the user itself" if "user" in through else "the public"
