"""Exceptions as answers: the error envelope (spec items-and-query §8.1, users-and-access §7)."""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import Response

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import ErrorGroup, TabularyError
from tabulary.core.events import EventContext, Hooks
from tabulary.server.respond import JSON_TYPE

logger = logging.getLogger("tabulary.server")

_UNEXPECTED = "An unexpected error occurred."


async def answer(problem: Exception, accountability: Accountability | None, hooks: Hooks) -> Response:
    """The error envelope for anything that was raised. Only admins read what an unexpected error says."""
    entries, status = _described(problem, accountability)
    if hooks.listens("request.error"):
        entries = await hooks.emit_filter("request.error", entries, {}, EventContext(accountability=accountability))
    response = Response(json.encode({"errors": entries}), status, media_type=JSON_TYPE)
    for name, value in getattr(problem, "headers", ()):
        response.headers.append(name, value)
    return response


def _described(problem: Exception, accountability: Accountability | None) -> tuple[list[dict[str, Any]], int]:
    if isinstance(problem, ErrorGroup):
        return [e.as_dict() for e in problem.errors], problem.common_status
    if isinstance(problem, TabularyError):
        return [problem.as_dict()], problem.status
    logger.error("unexpected error", exc_info=problem)
    message = str(problem) if accountability is not None and accountability.admin else _UNEXPECTED
    return [{"message": message or _UNEXPECTED, "extensions": {"code": TabularyError.code}}], 500
