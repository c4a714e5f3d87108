"""Hooks: plain async functions that see, change or veto what services do (spec schema-and-platform §7).

``filter`` hooks run in order inside the operation, may replace the payload (return it) or raise to stop it.
``action`` hooks run after the fact; their errors are logged and go nowhere. Names are dot separated, ``*`` stands for
one part and ``**`` for any number.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger("tabulary.events")

FilterHook = Callable[[Any, Mapping[str, Any], "EventContext"], Awaitable[Any]]
ActionHook = Callable[[Mapping[str, Any], "EventContext"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class EventContext:
    """What a hook may work with: the open connection, the schema, and who asked."""

    database: Any = None
    schema: Any = None
    accountability: Any = None


@dataclass(frozen=True, slots=True)
class Action:
    """An action event that waits for the commit of the work it tells about."""

    event: str | tuple[str, ...]
    meta: Mapping[str, Any]
    context: EventContext


@dataclass
class Hooks:
    """The hooks of one Tabulary object. Registration works as a decorator or as a call."""

    _filters: dict[str, list[FilterHook]] = field(default_factory=dict)
    _actions: dict[str, list[ActionHook]] = field(default_factory=dict)
    _matching: dict[tuple[int, str], list[Any]] = field(default_factory=dict)
    _running: set[asyncio.Task[Any]] = field(default_factory=set)

    def filter(self, event: str, hook: FilterHook | None = None) -> Any:
        """Register a filter hook: ``@hooks.filter("books.items.create")``."""
        return self._register(self._filters, event, hook)

    def action(self, event: str, hook: ActionHook | None = None) -> Any:
        """Register an action hook: ``@hooks.action("books.items.create")``."""
        return self._register(self._actions, event, hook)

    def remove(self, event: str, hook: FilterHook | ActionHook) -> None:
        tables: tuple[dict[str, list[Any]], ...] = (self._filters, self._actions)
        for table in tables:
            if hook in table.get(event, ()):
                table[event].remove(hook)
        self._matching.clear()

    async def emit_filter(
        self, events: str | tuple[str, ...], payload: Any, meta: Mapping[str, Any], context: EventContext
    ) -> Any:
        """Run the filter hooks of the events in order; each return value that is not None replaces the payload."""
        for event in (events,) if isinstance(events, str) else events:
            for hook in self._hooks(self._filters, event):
                result = await hook(payload, {"event": event, **meta}, context)
                payload = payload if result is None else result
        return payload

    def emit_action(self, events: str | tuple[str, ...], meta: Mapping[str, Any], context: EventContext) -> None:
        """Start the action hooks of the events; nobody waits for them."""
        for event in (events,) if isinstance(events, str) else events:
            for hook in self._hooks(self._actions, event):
                task = asyncio.ensure_future(self._run_action(hook, event, meta, context))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def listens(self, events: str | tuple[str, ...]) -> bool:
        """True when any hook would see one of the events: lets reads skip decoding when nobody looks."""
        names = (events,) if isinstance(events, str) else events
        return any(self._hooks(self._filters, e) or self._hooks(self._actions, e) for e in names)

    async def drain(self) -> None:
        """Wait for the actions under way (shutdown, tests)."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    def _register(self, table: dict[str, list[Any]], event: str, hook: Any) -> Any:
        if hook is None:
            return lambda function: self._register(table, event, function)
        table.setdefault(event, []).append(hook)
        self._matching.clear()
        return hook

    def _hooks(self, table: dict[str, list[Any]], event: str) -> list[Any]:
        if not table:
            return []
        key = (id(table), event)
        found = self._matching.get(key)
        if found is None:
            found = [h for pattern, hooks in table.items() if _pattern(pattern).fullmatch(event) for h in hooks]
            if len(self._matching) < 10_000:
                self._matching[key] = found
        return found

    @staticmethod
    async def _run_action(hook: ActionHook, event: str, meta: Mapping[str, Any], context: EventContext) -> None:
        try:
            await hook({"event": event, **meta}, context)
        except Exception:
            logger.exception("action hook of %s failed", event)


def _pattern(event: str) -> re.Pattern[str]:
    parts = [".*" if p == "**" else "[^.]*" if p == "*" else re.escape(p) for p in event.split(".")]
    return re.compile(r"\.".join(parts))
