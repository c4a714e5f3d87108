"""Flows and their operations as they are stored, read into objects that do not change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from tabulary.core import json
from tabulary.database.connection import Connection

logger = logging.getLogger("tabulary.flows")

_FLOWS: Final = sa.table(
    "directus_flows", *map(sa.column, ("id", "name", "status", "trigger", "accountability", "options", "operation"))
)
_OPERATIONS: Final = sa.table(
    "directus_operations", *map(sa.column, ("id", "key", "type", "options", "resolve", "reject", "flow"))
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One step. ``resolve`` and ``reject`` are the ids of the steps after it; ``options`` is None when it has none."""

    id: str
    key: str
    type: str
    options: Any
    resolve: str | None
    reject: str | None


@dataclass(frozen=True, slots=True)
class Flow:
    """An active flow. ``first`` is the id of its first operation; ``tracking`` says what a run leaves behind."""

    id: str
    name: str
    trigger: str
    tracking: str | None
    options: Mapping[str, Any]
    first: str | None
    operations: Mapping[str, Operation] = field(default_factory=dict)

    def option(self, name: str, default: Any = None) -> Any:
        return self.options.get(name, default)

    def is_endless(self) -> bool:
        """True when some way through the operations comes back to where it was."""
        done: set[str] = set()
        open_: set[str] = set()
        waiting: list[tuple[str, bool]] = [(self.first, False)] if self.first else []
        while waiting:
            key, is_left = waiting.pop()
            if is_left:
                open_.discard(key)
                done.add(key)
                continue
            if key in open_:
                return True
            operation = self.operations.get(key)
            if operation is None or key in done:
                continue
            open_.add(key)
            waiting.append((key, True))
            waiting += [(after, False) for after in (operation.resolve, operation.reject) if after]
        return False


async def load(connection: Connection) -> dict[str, Flow]:
    """The active flows by id. A flow that would never end is left out, and the log says so."""
    steps: dict[str, dict[str, Operation]] = {}
    for row in await connection.select(sa.select(_OPERATIONS)):
        operation = Operation(
            str(row["id"]), row["key"], row["type"], _decoded(row["options"]), row["resolve"], row["reject"]
        )
        steps.setdefault(str(row["flow"]), {})[operation.id] = operation
    active = sa.select(_FLOWS).where(_FLOWS.c.status == sa.bindparam("active"))
    found: dict[str, Flow] = {}
    for row in await connection.select(active, active="active"):
        options = _decoded(row["options"])
        key = str(row["id"])
        flow = Flow(
            key,
            row["name"],
            row["trigger"] or "",
            row["accountability"],
            options if isinstance(options, dict) else {},
            row["operation"],
            steps.get(key, {}),
        )
        if flow.is_endless():
            logger.warning('the flow "%s" is not run: its operations lead back to themselves', flow.name)
        else:
            found[key] = flow
    return found


def _decoded(value: Any) -> Any:
    return json.decode(value) if isinstance(value, str) else value
