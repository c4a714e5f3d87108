"""Subscriptions of GraphQL: ``<collection>_mutated`` as a subscription of the platform (spec §1.14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from tabulary.core import json
from tabulary.core.settings import Settings
from tabulary.items.query import Query
from tabulary.items.selection import Pick, fields_of
from tabulary.server.graphql.execution import BadRequest, Step
from tabulary.server.graphql.reading import Picks, read_many
from tabulary.services.watching import Change, Subscription, Viewer


def subscription_of(step: Step, settings: Settings, viewer: Viewer, deliver: Callable[[str], None]) -> Subscription:
    """The subscription behind the one field of a subscription operation; ``deliver`` gets the text of its data.

    Raises :class:`BadRequest` for a selection that cannot be served and :class:`InvalidQuery`.
    """
    chosen = [pick for pick in step.picks if pick.name == "data" and pick.form == "related"]
    if len(chosen) > 1:
        raise BadRequest([GraphQLError("Select the data of a change once; use aliases inside.", step.nodes)])
    picks = chosen[0].picks if chosen else ()
    query = _query(step, picks, chosen[0].key if chosen else "", settings)

    async def read(service: Any, keys: list[Any], query: Query) -> str:
        return await read_many(service, keys, query, picks)

    def tell(change: Change) -> None:
        frame = change.frames.get(step.key)
        if frame is None or frame[0] != step.picks:
            frame = change.frames[step.key] = (step.picks, f'{{"{step.key}":{_payload(step.picks, change)}}}')
        deliver(frame[1])

    event = step.arguments.get("event")
    return Subscription(step.call.collection, query, viewer, tell, event=event, single=True, read=read)


def _query(step: Step, picks: Picks, key: str, settings: Settings) -> Query:
    """The query of the item: aliases and nested arguments of ``data`` are those of its root."""
    below = dict(step.raw.get("deep", {}).get(key, {}))
    raw: dict[str, Any] = {"fields": list(fields_of(picks)), "alias": below.pop("_alias", {})}
    raw["deep"] = {name: value for name, value in below.items() if not name.startswith("_")}
    return Query.parse(raw, settings).with_selection(picks)


def _payload(picks: tuple[Pick, ...], change: Change) -> str:
    """``{key, event, data}`` as selected."""
    key = json.encode(str(change.keys[0])).decode()
    values = {"key": key, "event": f'"{change.event}"', "data": change.text}
    members = (f'"{p.key}":{json.encode(p.name).decode() if p.form == "word" else values[p.name]}' for p in picks)
    return f"{{{','.join(members)}}}"
