"""Operations that read and write items, and tell people (spec §4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import EmailLimitExceeded, TabularyError
from tabulary.core.mail.markdown import html_of
from tabulary.items.options import MutationOptions, QueryOptions
from tabulary.services.flows.problems import FlowProblem, structured
from tabulary.services.flows.run import Run, logger


async def actor(run: Run, permissions: Any) -> Accountability | None:
    """On whose behalf an operation works: the trigger's caller, everybody's (``$full``), the public's, or a role's.

    Raises :class:`FlowProblem` for a role that there is not.
    """
    if not permissions or permissions == "$trigger":
        return run.accountability
    if permissions == "$full":
        return Accountability(admin=True, app=True)
    if permissions == "$public":
        return Accountability()
    role = str(permissions)
    roles = await run.platform.access.role_tree(role)
    if not roles or role not in await _roles(run):
        raise FlowProblem(f'There is no role "{role}"')
    rights = await run.platform.access.rights(None, roles, None)
    return Accountability(None, role, roles, rights.admin, rights.app)


async def _roles(run: Run) -> set[str]:
    service = run.platform.service("directus_roles", schema=run.schema, connection=run.connection)
    return {str(key) for key in await service.get_keys_by_query({"limit": -1})}


async def _service(run: Run, options: Mapping[str, Any]) -> Any:
    collection = options.get("collection")
    if not isinstance(collection, str) or collection not in run.schema.collections:
        raise FlowProblem(f'There is no collection "{collection}"')
    who = await actor(run, options.get("permissions"))
    return run.platform.service(collection, schema=run.schema, accountability=who, connection=run.connection)


def _keys(options: Mapping[str, Any]) -> list[Any]:
    """The keys of the option ``key``: one, a list, or text with commas."""
    given = options.get("key")
    if isinstance(given, str):
        return [part for part in given.split(",") if part] if given else []
    if isinstance(given, list):
        return given
    return [] if given is None else [given]


def _one_or_all(keys: list[Any]) -> Any:
    return keys[0] if len(keys) == 1 else keys


def _query(options: Mapping[str, Any]) -> dict[str, Any]:
    found = structured(options.get("query"), "query")
    return dict(found) if isinstance(found, Mapping) else {}


def _mutation(options: Mapping[str, Any]) -> MutationOptions:
    return MutationOptions(emit_events=bool(options.get("emitEvents")))


async def create(run: Run, options: Mapping[str, Any]) -> Any:
    """Create an item or a list of them; the list of their keys."""
    service = await _service(run, options)
    payload = structured(options.get("payload"), "payload")
    if payload is None:
        return None
    return await service.create_many(payload if isinstance(payload, list) else [payload], _mutation(options))


async def read(run: Run, options: Mapping[str, Any]) -> Any:
    """Items by key or query: a list, or an object for a single key."""
    service = await _service(run, options)
    keys, query, quiet = _keys(options), _query(options), QueryOptions(emit_events=bool(options.get("emitEvents")))
    if not keys:
        return await service.read_by_query(query, quiet)
    if len(keys) == 1:
        return await service.read_one(keys[0], query, quiet)
    return await service.read_many(keys, query, quiet)


async def update(run: Run, options: Mapping[str, Any]) -> Any:
    """Update items by key, by query, or each by its own key; the keys."""
    service = await _service(run, options)
    payload, keys, quiet = structured(options.get("payload"), "payload"), _keys(options), _mutation(options)
    if payload is None:
        return None
    if isinstance(payload, list):
        return await service.update_batch(payload, quiet)
    if not keys:
        return await service.update_by_query(_query(options), payload, quiet)
    await service.update_many(keys, payload, quiet)
    return _one_or_all(keys)


async def delete(run: Run, options: Mapping[str, Any]) -> Any:
    """Delete items by key or query; the keys."""
    service = await _service(run, options)
    keys, quiet = _keys(options), _mutation(options)
    if not keys:
        return await service.delete_by_query(_query(options), quiet)
    await service.delete_many(keys, quiet)
    return _one_or_all(keys)


async def notify(run: Run, options: Mapping[str, Any]) -> Any:
    """Put a notification into somebody's inbox, or everybody's of a list; their keys."""
    permissions, given = options.get("permissions"), options.get("recipient")
    who = None if permissions == "$full" else await actor(run, permissions)
    service = run.platform.service(
        "directus_notifications", schema=run.schema, accountability=who, connection=run.connection
    )
    recipients = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    message = options.get("message")
    common = {
        "sender": who.user if who else None,
        "subject": options.get("subject"),
        "message": message if message is None or isinstance(message, str) else json.encode(message).decode(),
        "collection": options.get("collection"),
        "item": options.get("item"),
    }
    return await service.create_many([{**common, "recipient": recipient} for recipient in recipients])


async def mail(run: Run, options: Mapping[str, Any]) -> Any:
    """Send a mail in the background. Only a line that is too long rejects; other trouble is logged."""
    kind, body = options.get("type") or "markdown", options.get("body")
    content: dict[str, Any]
    if kind == "template":
        data = structured(options.get("data"), "data")
        content = {"template": options.get("template") or "base", "data": data if isinstance(data, Mapping) else {}}
    else:
        text = body if isinstance(body, str) else json.encode(body).decode()
        content = {"html": html_of(text) if kind == "markdown" else text}
    try:
        await run.platform.mail.send(
            to=options.get("to") or (),
            cc=options.get("cc") or (),
            bcc=options.get("bcc") or (),
            reply_to=options.get("replyTo") or (),
            subject=str(options.get("subject") or ""),
            connection=run.connection,
            **content,
        )
    except EmailLimitExceeded:
        raise
    except TabularyError as problem:
        logger.warning('flow "%s" could not send a mail: %s', run.flow.name, problem.message)
