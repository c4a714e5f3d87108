"""Logs of a process: lines for people, or JSON for machines (``LOG_STYLE=raw``), never with secrets in them.

Our own code writes to standard loggers below ``tabulary``; structlog gives what they write its form. Only the command
line calls :func:`configure`: an application that embeds Tabulary has logs of its own.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from tabulary.core import json
from tabulary.core.settings import Settings

Event = MutableMapping[str, Any]

REQUEST_ID: ContextVar[str | None] = ContextVar("tabulary_request_id", default=None)
"""The id of the request that is being answered; goes into every line that is written meanwhile."""

ACCESS = "tabulary.access"
"""The logger of finished requests."""

HIDDEN = "--redacted--"
_LEVELS = {"fatal": "critical", "warn": "warning", "trace": "debug", "silent": "critical"}
_SECRET_KEYS = re.compile(r"password|secret|token|authorization|cookie|api_?key", re.IGNORECASE)
_SECRET_TEXTS = (
    (re.compile(r"((?:access_|refresh_)?token=)[^&\s\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer|Metrics|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), HIDDEN),
    (re.compile(r"(://[^:/\s]+:)[^@/\s]+@"), rf"\1{HIDDEN}@"),
)


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up the logging of this process.

    Args:
        settings: ``LOG_LEVEL`` is for our own loggers (libraries are heard from warnings on), ``LOG_STYLE`` is
            ``pretty`` or ``raw``.
        stream: where lines go; the standard error by default.
    """
    level = str(settings["LOG_LEVEL"])
    chosen = _LEVELS.get(level, level).upper()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(str(settings["LOG_STYLE"]) == "raw", (stream or sys.stderr).isatty()))
    root, access = logging.getLogger(), logging.getLogger(ACCESS)
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    short = logging.StreamHandler(stream or sys.stderr)
    short.setFormatter(AccessFormatter(str(settings["LOG_STYLE"]) == "raw"))
    access.handlers, access.propagate = [short], False
    logging.getLogger("tabulary").setLevel(chosen if chosen in logging.getLevelNamesMapping() else "INFO")


class AccessFormatter(logging.Formatter):
    """Lines about finished requests. There is one for each request, so they take a shorter way than all others."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        fields: Event = getattr(record, "request_fields", {})
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            head = {"timestamp": moment, "level": "info", "logger": record.name, "event": "request"}
            return json.encode({**head, **fields, "request": REQUEST_ID.get()}).decode()
        path = str(fields.get("path")).encode("unicode_escape").decode()  # a line break in it would forge a line
        return (
            f"{moment} {fields.get('method')} {path} {fields.get('status')} {fields.get('duration')} ms"
            f" {fields.get('ip') or '-'} {REQUEST_ID.get()}"
        )


def _formatter(as_json: bool, in_colours: bool) -> logging.Formatter:
    import structlog  # here, because only processes of the command line need it

    processors: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _add_request_id,
        structlog.processors.format_exc_info,  # as text, so that secrets are covered; never with local variables
        redact,
    ]
    last: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=in_colours)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
    )


def redact(logger: Any, method: str, event: Event) -> Event:
    """Cover secrets: values of telling names, and what looks like a token in texts."""
    for name, value in event.items():
        if name.startswith("_"):
            continue
        event[name] = HIDDEN if value and _SECRET_KEYS.search(name) else covered(value)
    return event


def covered(value: Any) -> Any:
    """A value without secrets: a text with tokens and passwords in addresses covered, structures likewise inside."""
    if isinstance(value, str):
        for pattern, cover in _SECRET_TEXTS:
            value = pattern.sub(cover, value)
        return value
    if isinstance(value, dict):
        return {k: HIDDEN if v and _SECRET_KEYS.search(str(k)) else covered(v) for k, v in value.items()}
    return [covered(entry) for entry in value] if isinstance(value, list | tuple) else value


def _add_request_id(logger: Any, method: str, event: Event) -> Event:
    if "request" not in event and (found := REQUEST_ID.get()) is not None:
        event["request"] = found
    return event
