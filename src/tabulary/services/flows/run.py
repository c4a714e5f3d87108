"""One run of a flow: operation after operation, each with the data of those before (spec §4.4)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import TabularyError
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema
from tabulary.services.flows.model import Flow, Operation
from tabulary.services.flows.problems import FlowProblem, Rejected, error_data
from tabulary.services.flows.templates import UNDEFINED, find, path_of, rendered

if TYPE_CHECKING:
    from tabulary.services.flows.engine import Flows

logger = logging.getLogger("tabulary.flows")

MAX_DEPTH: Final = 20
"""How many flows may run inside one another, be it by *trigger* operations or by events."""

_depth: ContextVar[int] = ContextVar("tabulary.flow_depth", default=0)


@dataclass(slots=True)
class Run:
    """A run under way, as operations see it.

    Attributes:
        flows: for operations that start other flows.
        accountability: on whose behalf; None for what the system does by itself.
        connection: the open transaction that the run is part of, if any.
        data: what templates see: ``$trigger``, ``$last``, ``$accountability``, ``$env`` and a member for each
            operation that has run.
        steps: what has been run, for the log.
        rejection: what the last operation raised, if it did.
    """

    flows: Flows
    flow: Flow
    platform: Platform
    schema: Schema
    accountability: Accountability | None
    connection: Connection | None
    data: dict[str, Any]
    steps: list[dict[str, Any]] = field(default_factory=list)
    rejection: BaseException | None = None

    @property
    def result(self) -> Any:
        """What the flow returns, as its option ``return`` says; :data:`UNDEFINED` without."""
        wanted = self.flow.option("return")
        if not isinstance(wanted, str) or not wanted:
            return UNDEFINED
        return self.data if wanted == "$all" else find(path_of(wanted), self.data)


Handler = Callable[[Run, Mapping[str, Any]], Awaitable[Any]]
"""What an operation does: its rendered options in, its data out. Whatever it raises is its rejection."""


async def execute(run: Run, handlers: Mapping[str, Handler]) -> None:
    """Run a flow to its end. Raises :class:`FlowProblem` when flows start one another without end."""
    if _depth.get() >= MAX_DEPTH:
        raise FlowProblem(f"More than {MAX_DEPTH} flows have started one another; the last was {run.flow.name!r}")
    token = _depth.set(_depth.get() + 1)
    try:
        key = run.flow.first
        while key is not None and (operation := run.flow.operations.get(key)) is not None:
            key = await _step(run, operation, handlers)
    finally:
        _depth.reset(token)


async def _step(run: Run, operation: Operation, handlers: Mapping[str, Handler]) -> str | None:
    """Run one operation; the id of the next."""
    handler = handlers.get(operation.type)
    options: Any = operation.options
    run.rejection = None
    if handler is None:
        logger.warning('flow "%s": there is no operation of the type "%s"', run.flow.name, operation.type)
        _record(run, operation, "unknown", options, None)
        return None
    try:
        options = rendered(options, run.data)
        if not isinstance(options, Mapping):
            raise FlowProblem("The operation has no options")
        value = await handler(run, options)
        json.encode(value)
    except Exception as problem:
        run.rejection = problem
        _report(run, operation, problem)
        _record(run, operation, "reject", options, error_data(problem))
        return operation.reject
    _record(run, operation, "resolve", options, value)
    return operation.resolve


def _record(run: Run, operation: Operation, status: str, options: Any, value: Any) -> None:
    run.data[operation.key] = run.data["$last"] = value
    run.steps.append({"operation": operation.id, "key": operation.key, "status": status, "options": options})


def _report(run: Run, operation: Operation, problem: Exception) -> None:
    """Expected rejections are part of a flow's logic; others are for somebody to look at."""
    where = f'flow "{run.flow.name}", operation "{operation.key}"'
    if isinstance(problem, TabularyError | FlowProblem | Rejected):
        logger.debug("%s: %s", where, problem)
    else:
        logger.error("%s failed", where, exc_info=problem)
