"""Messages of the JSON protocol: what comes in and how answers look (spec §2.3)."""

from __future__ import annotations

from typing import Any

from tabulary.core import json
from tabulary.core.errors import ErrorGroup, InvalidPayload, TabularyError

Uid = str | int | float | None


class SocketError(TabularyError):
    """An error that only sockets know. ``fault`` is its code: ``AUTH_FAILED``, ``INVALID_COLLECTION`` …"""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def read_message(raw: str | bytes) -> dict[str, Any]:
    """The message: an object with a ``type``. Raises :class:`InvalidPayload`."""
    try:
        found = json.decode(raw)
    except ValueError:
        raise InvalidPayload("A message has to be JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise InvalidPayload('A message has to be an object with a "type"')
    return found


def uid_of(message: dict[str, Any]) -> Uid:
    """What the client calls its message; other types than texts and numbers are passed over."""
    uid = message.get("uid")
    return uid if isinstance(uid, str | int | float) and not isinstance(uid, bool) else None


def frame(kind: str, uid: Uid = None, **members: Any) -> dict[str, Any]:
    """An answer; it carries the uid of the message."""
    return {"type": kind, **members, **({} if uid is None else {"uid": uid})}


def error_frame(kind: str, problem: Exception, uid: Uid = None) -> dict[str, Any]:
    """An error. Always with the uid, or clients could not tell what has failed; unexpected ones tell nothing."""
    if isinstance(problem, ErrorGroup):
        problem = problem.errors[0]
    if isinstance(problem, SocketError):
        code, message = problem.fault, problem.message
    elif isinstance(problem, TabularyError):
        code, message = problem.code, problem.message
    else:
        code, message = TabularyError.code, "An unexpected error occurred."
    return frame(kind, uid, status="error", error={"code": code, "message": message})
