"""The flows of one Tabulary object: kept up to date, started by their triggers (spec §4.2, §4.3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from tabulary.access.accountability import Accountability
from tabulary.core.errors import Forbidden
from tabulary.core.events import ActionHook, EventContext, FilterHook
from tabulary.database.connection import Connection
from tabulary.database.versions import FLOWS
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema
from tabulary.services.flows import operations_control as control
from tabulary.services.flows import operations_items as items
from tabulary.services.flows import operations_outside as outside
from tabulary.services.flows.model import Flow, load
from tabulary.services.flows.run import Handler, Run, execute
from tabulary.services.flows.schedules import FlowSchedules
from tabulary.services.flows.templates import UNDEFINED
from tabulary.services.flows.tracking import track

logger = logging.getLogger("tabulary.flows")

OPERATIONS: Final[dict[str, Handler]] = {
    "condition": control.condition,
    "exec": control.execute_script,
    "item-create": items.create,
    "item-delete": items.delete,
    "item-read": items.read,
    "item-update": items.update,
    "json-web-token": outside.web_token,
    "log": control.log,
    "mail": items.mail,
    "notification": items.notify,
    "request": outside.request,
    "sleep": control.sleep,
    "throw-error": control.throw,
    "transform": control.transform,
    "trigger": control.trigger,
}
"""What each type of operation does."""

_ITEM_EVENTS: Final = frozenset({"items.create", "items.update", "items.delete"})


class Flows:
    """See the module. Other processes learn of changes as they do of changed rights (:mod:`database.versions`)."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._flows: dict[str, Flow] = {}
        self._hooked: list[tuple[str, Any]] = []
        self._schedules = FlowSchedules(platform, self._run_scheduled)
        allowed = platform.settings["FLOWS_ENV_ALLOW_LIST"] or ()
        names = [allowed] if isinstance(allowed, str) else allowed
        self._env = {str(name): platform.settings.get(str(name)) for name in names}
        platform.database.versions.prepare(FLOWS, self.reload)

    # --- what there is ----------------------------------------------------------------------
    async def reload(self) -> None:
        """Read all active flows anew, and listen to what they want to hear."""
        async with self._platform.database.connection() as connection:
            self._flows = await load(connection)
        for event, hook in self._hooked:
            self._platform.hooks.remove(event, hook)
        self._hooked = []
        for flow in self._flows.values():
            if flow.trigger == "event":
                self._listen(flow)
        self._schedules.set(flow for flow in self._flows.values() if flow.trigger == "schedule")

    def start(self) -> None:
        """Begin to run scheduled flows: this process is a server."""
        self._schedules.start()

    async def stop(self) -> None:
        """Run no more scheduled flows; one under way is cancelled where it waits."""
        await self._schedules.stop()

    # --- triggers ---------------------------------------------------------------------------
    async def run_web(
        self, key: str, method: str, trigger: dict[str, Any], accountability: Accountability, schema: Schema
    ) -> Any:
        """Run a flow that a request asks for; what it returns, None also for one that goes on in the background.

        Raises :class:`Forbidden` for a flow that is not there, is not for this method, or may not be run by this
        caller on these items; and the error of the last operation, where the flow says so.
        """
        flow = self._flows.get(key)
        if flow is None or flow.trigger not in ("webhook", "manual"):
            raise Forbidden
        if flow.trigger == "manual":
            await self._check_manual(flow, method, trigger["body"], accountability, schema)
        elif method != (flow.option("method") or "GET"):
            raise Forbidden
        run = self._run(flow, trigger, accountability, schema, None)
        if flow.option("async"):
            self._platform.jobs.start(self._finish(run))
            return None
        await self._finish(run)
        if flow.option("error_on_reject") and run.rejection is not None:
            raise run.rejection
        found = run.data["$last"] if flow.trigger == "manual" or not flow.option("return") else run.result
        return None if found is UNDEFINED else found

    async def _check_manual(
        self, flow: Flow, method: str, body: Any, accountability: Accountability, schema: Schema
    ) -> None:
        body = body if isinstance(body, Mapping) else {}
        collection, keys = body.get("collection"), body.get("keys")
        keys = keys if isinstance(keys, list) else []
        offered = flow.option("collections")
        if method != "POST" or not isinstance(offered, list) or collection not in offered:
            raise Forbidden
        if collection not in schema.collections or (not keys and flow.option("requireSelection") is not False):
            raise Forbidden
        if accountability.admin:
            return
        permissions = await self._platform.access.permissions(accountability, schema)
        if not permissions.allows(collection, "read"):
            raise Forbidden
        if keys:
            service = self._platform.service(collection, schema=schema, accountability=accountability)
            primary = schema.collections[collection].primary
            if len(await service.read_many(keys, {"fields": [primary]})) < len({str(k) for k in keys}):
                raise Forbidden

    async def run_called(self, key: str, payload: Any, caller: Run) -> Any:
        """Run a flow on behalf of an operation of another; what it returns, None for nothing or no such flow."""
        flow = self._flows.get(key)
        if flow is None or flow.trigger != "operation":
            return None
        run = self._run(flow, payload, caller.accountability, caller.schema, caller.connection)
        await self._finish(run)
        found = run.result
        return None if found is UNDEFINED else found

    async def _run_scheduled(self, flow: Flow) -> None:
        await self._platform.database.versions.check()
        await self._finish(self._run(flow, None, None, await self._platform.schemas.current(), None))

    # --- events -----------------------------------------------------------------------------
    def _listen(self, flow: Flow) -> None:
        kind = flow.option("type")
        if kind not in ("filter", "action"):
            return
        hooks = self._platform.hooks
        for event in _events(flow):
            hook: Any = self._filter_of(flow) if kind == "filter" else self._action_of(flow)
            (hooks.filter if kind == "filter" else hooks.action)(event, hook)
            self._hooked.append((event, hook))

    def _filter_of(self, flow: Flow) -> FilterHook:
        async def hook(payload: Any, meta: Mapping[str, Any], context: EventContext) -> Any:
            run = await self._run_for(flow, {"payload": payload, **meta}, context, within=True)
            await self._finish(run)
            if run.rejection is not None:
                raise run.rejection
            found = run.result
            return None if found is UNDEFINED else found

        return hook

    def _action_of(self, flow: Flow) -> ActionHook:
        async def hook(meta: Mapping[str, Any], context: EventContext) -> None:
            await self._finish(await self._run_for(flow, dict(meta), context, within=False))

        return hook

    async def _run_for(self, flow: Flow, trigger: dict[str, Any], context: EventContext, *, within: bool) -> Run:
        connection = context.database if within and isinstance(context.database, Connection) else None
        schema = context.schema or await self._platform.schemas.current()
        return self._run(flow, trigger, context.accountability, schema, connection)

    # --- running ----------------------------------------------------------------------------
    def _run(
        self, flow: Flow, trigger: Any, who: Accountability | None, schema: Schema, connection: Connection | None
    ) -> Run:
        data = {"$trigger": trigger, "$last": trigger, "$accountability": _shown(who), "$env": self._env}
        return Run(self, flow, self._platform, schema, who, connection, data)

    async def _finish(self, run: Run) -> None:
        await execute(run, OPERATIONS)
        await track(run)


def _events(flow: Flow) -> list[str]:
    """The names of the hooks that a flow listens to: those of items are told for each of its collections."""
    scope, collections = flow.option("scope"), flow.option("collections")
    names: list[str] = []
    for event in scope if isinstance(scope, list) else []:
        if event not in _ITEM_EVENTS:
            names.append(str(event))
            continue
        for collection in collections if isinstance(collections, list) else []:
            system = str(collection).startswith("directus_")
            verb = event.removeprefix("items.")
            names.append(f"{collection.removeprefix('directus_')}.{verb}" if system else f"{collection}.{event}")
    return names


def _shown(who: Accountability | None) -> dict[str, Any] | None:
    """The accountability as flows see it."""
    if who is None:
        return None
    found: dict[str, Any] = {
        "role": who.role,
        "user": who.user,
        "roles": list(who.roles),
        "admin": who.admin,
        "app": who.app,
        "ip": who.ip,
    }
    more = {"userAgent": who.user_agent, "origin": who.origin, "share": who.share}
    return found | {name: value for name, value in more.items() if value is not None}
