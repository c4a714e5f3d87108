"""Operations that steer a flow: conditions, values, waiting, failing, other flows (spec §4.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tabulary.core.errors import ErrorGroup, FailedValidation, ServiceUnavailable
from tabulary.items.blueprint import Rule
from tabulary.items.evaluate import Operands, evaluate
from tabulary.services.flows.problems import FlowProblem, structured, thrown
from tabulary.services.flows.run import Run, logger
from tabulary.services.flows.templates import UNDEFINED, shown

_AT_ONCE: Final = 10
"""Runs of another flow that go on side by side."""


async def condition(run: Run, options: Mapping[str, Any]) -> Any:
    """Reject with all rules that the data breaks. Whatever a rule speaks of has to be there.

    Raises :class:`FlowProblem` for an empty filter; without one everything is as it should be.
    """
    raw = structured(options.get("filter"), "filter")
    if raw is None:
        return
    if not isinstance(raw, Mapping) or not raw:
        raise FlowProblem("The filter of the condition is empty")
    rule = Rule.of(raw)
    variables: Mapping[str, Any] = {}
    if rule.variables:
        variables = await run.platform.access.variables(
            rule.variables, run.accountability, run.schema, connection=run.connection, of_rules=True
        )
    failures: list[FailedValidation] = evaluate(rule.tree, run.data, Operands(rule.values, variables, requires=True))
    if failures:
        raise ErrorGroup(failures)


async def transform(run: Run, options: Mapping[str, Any]) -> Any:
    """The value that the options hold, with its templates filled in."""
    return structured(options.get("json"), "json")


async def sleep(run: Run, options: Mapping[str, Any]) -> Any:
    """Wait for so many milliseconds."""
    try:
        await asyncio.sleep(float(options.get("milliseconds") or 0) / 1000)
    except (TypeError, ValueError) as problem:
        raise FlowProblem('The option "milliseconds" has to be a number') from problem


async def log(run: Run, options: Mapping[str, Any]) -> Any:
    """Write a line into the server's log."""
    message = options.get("message", UNDEFINED)
    logger.info('flow "%s": %s', run.flow.name, shown(message))


async def throw(run: Run, options: Mapping[str, Any]) -> Any:
    """Fail with an error of the flow's own."""
    try:
        status = int(options.get("status") or 500)
    except (TypeError, ValueError):
        status = 500
    code, message = options.get("code"), options.get("message")
    raise thrown(
        str(code or "INTERNAL_SERVER_ERROR"),
        status if 200 <= status <= 599 else 500,
        shown(message) if message else "An unexpected error occurred.",
    )


async def execute_script(run: Run, options: Mapping[str, Any]) -> Any:
    """Scripts are JavaScript, and there is nothing here to run them. Raises :class:`ServiceUnavailable`."""
    raise ServiceUnavailable("exec", "Tabulary does not run JavaScript; use other operations or a hook in Python")


async def trigger(run: Run, options: Mapping[str, Any]) -> Any:
    """Run another flow, for a list once for each of its entries; what it returns, null for nothing."""
    flow, payload = options.get("flow"), structured(options.get("payload"), "payload")

    async def once(entry: Any) -> Any:
        return await run.flows.run_called(str(flow), entry, run)

    mode = options.get("iterationMode") or "parallel"
    if not isinstance(payload, list) or mode not in ("parallel", "serial", "batch"):
        return await once(payload)
    size = 1 if mode == "serial" or run.connection is not None else _batch_size(mode, options.get("batchSize"))
    results: list[Any] = []
    for start in range(0, len(payload), size):
        results += await asyncio.gather(*map(once, payload[start : start + size]))
    return results


def _batch_size(mode: str, given: Any) -> int:
    try:
        return max(1, min(int(given or _AT_ONCE), _AT_ONCE)) if mode == "batch" else _AT_ONCE
    except (TypeError, ValueError):
        return _AT_ONCE
