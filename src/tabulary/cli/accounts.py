"""``tabulary users`` and ``tabulary roles``: accounts without a login, for who runs the machine.

Everything goes through the services, so that the rules for users hold here as well. ``--json`` prints what happened for
programs; without it, what people and scripts need.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from tabulary.app import Tabulary
from tabulary.cli.session import opened, run
from tabulary.cli.tables import show
from tabulary.core.mail.transports import PermanentFailure, TransientFailure
from tabulary.services.users import UsersService


def _password(context: click.Context, parameter: click.Parameter, given: str | None) -> str:
    """The password: asked for at a terminal, else the first line of standard input, so that no list of processes
    shows it."""
    if given is not None:
        return given
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError("No password: give --password, or a line on standard input.")
    return line


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
email_option = click.option("--email", required=True, help="In any case.")
password_option = click.option(
    "--password", callback=_password, help="Without it: asked for, or the first line of standard input."
)
_LIST = {"fields": ["id", "email", "status", "role.name", "last_access"], "sort": ["email"], "limit": -1}


@click.group()
def users() -> None:
    """Create, list, invite and suspend users and set their passwords."""


@users.command("create")
@email_option
@click.option("--role", help="Key or name of a role, as `roles list` prints them.")
@click.option("--admin", is_flag=True, help="With a role that may do everything.")
@password_option
@as_json
def create_user(email: str, role: str | None, admin: bool, password: str, as_json: bool) -> None:
    """Create an active user and print its key."""
    if admin == bool(role):
        raise click.UsageError("Say either --role or --admin.")
    show(run(_create_user(email, password, role)), as_json, "id")


async def _create_user(email: str, password: str, role: str | None) -> dict[str, Any]:
    async with opened() as tabulary:
        key = await _role_key(tabulary, role) if role else await _admin_role(tabulary)
        data = {"email": email, "password": password, "role": key, "status": "active"}
        return {"id": await tabulary.users().create_one(data), "email": email, "role": key}


@users.command("passwd")
@email_option
@password_option
@as_json
def set_password(email: str, password: str, as_json: bool) -> None:
    """Set the password of a user. All its sessions end."""
    changed = run(_change(email, password=password))
    show(changed, True) if as_json else click.echo("Password changed.")


@users.command("suspend")
@email_option
@as_json
def suspend(email: str, as_json: bool) -> None:
    """Lock a user out; `PATCH /users` with the status "active" lets it in again. The last admin stays."""
    changed = run(_change(email, status="suspended"))
    show(changed, True) if as_json else click.echo("Suspended.")


async def _change(email: str, **data: Any) -> dict[str, Any]:
    async with opened() as tabulary:
        people = await _users(tabulary)
        user = await people.get_user_by_email(email)
        if user is None:
            raise click.ClickException(f'There is no user "{email}"')
        await people.update_one(user["id"], data)
        return {"id": user["id"], "email": user["email"]}


@users.command("list")
@click.option("--status", help="Only users with this status, such as active or invited.")
@as_json
def list_users(status: str | None, as_json: bool) -> None:
    """List the users."""
    show(run(_list_users(status)), as_json)


async def _list_users(status: str | None) -> list[dict[str, Any]]:
    wanted = {"filter": {"status": {"_eq": status}}} if status else {}
    async with opened() as tabulary:
        rows = await (await _users(tabulary)).read_by_query(_LIST | wanted)
    return [row | {"role": (row["role"] or {}).get("name")} for row in rows]


@users.command("invite")
@click.argument("emails", nargs=-1, required=True)
@click.option("--role", required=True, help="Key or name of a role.")
@click.option("--url", help="Where the link leads; has to be in USER_INVITE_URL_ALLOW_LIST.")
@click.option("--subject", help="Subject of the mail.")
@as_json
def invite(emails: tuple[str, ...], role: str, url: str | None, subject: str | None, as_json: bool) -> None:
    """Invite users by mail; who is invited already gets another mail."""
    invited = run(_invite(emails, role, url, subject))
    show(invited, True) if as_json else click.echo(f"Invited: {', '.join(emails)}")


async def _invite(emails: tuple[str, ...], role: str, url: str | None, subject: str | None) -> dict[str, Any]:
    async with opened() as tabulary:
        key = await _role_key(tabulary, role)
        try:
            await tabulary.platform.mail.verify()
        except (TransientFailure, PermanentFailure) as problem:
            raise click.ClickException(f"Mail cannot be sent: {problem}") from problem
        people = await _users(tabulary)
        people.validate_email(list(emails))
        await people.invite_user(emails, key, url, subject)
        return {"invited": list(emails), "role": key}


@click.group()
def roles() -> None:
    """Create and list roles."""


@roles.command("create")
@click.option("--role", "name", required=True, help="Name of the role.")
@click.option("--admin", is_flag=True, help="May do everything.")
@click.option("--app", is_flag=True, help="May use the app.")
@as_json
def create_role(name: str, admin: bool, app: bool, as_json: bool) -> None:
    """Create a role with a policy of its own and print the role's key."""
    show(run(_create_role(name, admin, app)), as_json, "id")


async def _create_role(name: str, admin: bool, app: bool) -> dict[str, Any]:
    policy = {
        "name": f"Policy for {name}",
        "icon": "supervised_user_circle",
        "admin_access": admin,
        "app_access": app or admin,
    }
    async with opened() as tabulary, tabulary.platform.database.transaction() as connection:
        keys = {}
        for collection, data in (("directus_roles", {"name": name}), ("directus_policies", policy)):
            service = await tabulary.service(collection, connection=connection)
            keys[collection] = await service.create_one(data)
        grants = await tabulary.service("directus_access", connection=connection)
        role, policy_key = keys["directus_roles"], keys["directus_policies"]
        await grants.create_one({"role": role, "policy": policy_key, "sort": 1})
        return {"id": role, "name": name, "policy": policy_key}


@roles.command("list")
@as_json
def list_roles(as_json: bool) -> None:
    """List the roles and what they may."""
    show(run(_list_roles()), as_json)


async def _list_roles() -> list[dict[str, Any]]:
    query = {"fields": ["id", "name", "parent.name"], "sort": ["name"], "limit": -1}
    async with opened() as tabulary:
        rows = await tabulary.items("directus_roles").read_by_query(query)
        snapshot = await tabulary.platform.access.snapshot()
        found = []
        for row in rows:
            rights = snapshot.rights(snapshot.role_tree(row["id"]), (), None)
            parent = (row["parent"] or {}).get("name")
            found.append({**row, "parent": parent, "admin": rights.admin, "app": rights.app})
        return found


async def _users(tabulary: Tabulary) -> UsersService:
    service: UsersService = await tabulary.service("directus_users")
    return service


async def _role_key(tabulary: Tabulary, role: str) -> str:
    """The key of a role by its key or its name."""
    rows = await tabulary.items("directus_roles").read_by_query({"fields": ["id", "name"], "limit": -1})
    found = [row["id"] for row in rows if role.lower() in (row["id"], row["name"].lower())]
    if len(found) != 1:
        hint = "more than one role is" if found else "no role is"
        raise click.ClickException(f'{hint} called "{role}"; `tabulary roles list` shows them'.capitalize())
    return str(found[0])


async def _admin_role(tabulary: Tabulary) -> str:
    """A role whose policies give admin access."""
    snapshot = await tabulary.platform.access.snapshot()
    for role in snapshot.parents:
        if snapshot.rights(snapshot.role_tree(role), (), None).admin:
            return role
    raise click.ClickException("No role has admin access; make one: tabulary roles create --role Administrator --admin")
