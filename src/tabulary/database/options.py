"""How to reach a database: one record, whether it came from ``DB_*`` settings or from a URL."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tabulary.core import durations
from tabulary.core.errors import ConfigurationError

MEMORY = ":memory:"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Where the database is and how many connections to hold. ``client`` is a ``DB_CLIENT`` value or URL scheme.

    ``acquire_timeout``, ``connect_timeout`` and ``forget_after`` (what is remembered of access) are seconds.
    ``filename`` is SQLite's, the rest the servers'. ``replica``: where reads may go that need not see the last writes.
    ``pgbouncer``: what answers is a pooler that gives each transaction another session.
    """

    client: str
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    socket: str | None = None
    filename: str | None = None
    search_path: tuple[str, ...] = ()
    ssl: ssl.SSLContext | bool | None = None
    pool_min: int = 0
    pool_max: int = 10
    acquire_timeout: float = 60.0
    connect_timeout: float = 10.0
    forget_after: float = 60.0
    application_name: str = "tabulary"
    pgbouncer: bool = False
    replica: ConnectionOptions | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> ConnectionOptions:
        """Read ``DB_*`` (spec schema-and-platform §6.2), or ``DATABASE_URL`` where ``DB_CLIENT`` is not set.

        Raises :class:`ConfigurationError` naming the setting that is missing.
        """
        limits = _limits(settings)
        client = settings.get("DB_CLIENT")
        if not client:
            if url := settings.get("DATABASE_URL"):
                return cls.from_url(str(url), **limits)
            raise ConfigurationError("Set DB_CLIENT or DATABASE_URL to say which database to use")
        if encryption := _encryption(settings):
            limits["ssl"] = encryption
        if path := settings.get("DB_SEARCH_PATH"):
            limits["search_path"] = _names(path)
        if url := settings.get("DB_CONNECTION_STRING"):
            return cls.from_url(str(url), **limits)
        return cls(
            client=str(client),
            host=_text(settings.get("DB_HOST")),
            port=int(settings["DB_PORT"]) if settings.get("DB_PORT") else None,
            database=_text(settings.get("DB_DATABASE")),
            user=_text(settings.get("DB_USER")),
            password=_text(settings.get("DB_PASSWORD")),
            socket=_text(settings.get("DB_SOCKET_PATH")),
            filename=_text(settings.get("DB_FILENAME")),
            **limits,
        )

    @classmethod
    def from_url(cls, url: str, **options: Any) -> ConnectionOptions:
        """Read ``scheme://user:password@host:port/database?option=value``; ``options`` win over the URL's.

        SQLite follows the usual form: ``sqlite://`` is in memory, ``sqlite:///x.db`` relative, ``sqlite:////x.db``
        absolute. Raises :class:`ConfigurationError` without repeating the URL, which may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigurationError("The database URL cannot be read") from None
        scheme = parts.scheme.partition("+")[0]
        if not scheme:
            raise ConfigurationError("The database URL needs a scheme such as postgresql:// or sqlite:///")
        if scheme.startswith("sqlite"):
            return cls(client=scheme, filename=unquote(parts.path[1:]) or MEMORY, **options)
        given = dict(parse_qsl(parts.query))
        if (mode := given.get("sslmode") or given.get("ssl")) is not None:
            options.setdefault("ssl", _ssl_mode(mode))
        if pooled := given.get("pgbouncer"):
            options.setdefault("pgbouncer", pooled.lower() in ("true", "1"))
        if path := given.get("search_path"):
            options.setdefault("search_path", _names(path))
        host = given.get("host") or parts.hostname
        on_socket = bool(host) and str(host).startswith("/")
        return cls(
            client=scheme,
            host=host,
            port=port,
            database=unquote(parts.path[1:]) or None,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            socket=given.get("unix_socket") or (host if on_socket else None),
            **options,
        )


def _limits(settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "pool_min": ("DB_POOL__MIN", int, 1),
        "pool_max": ("DB_POOL__MAX", int, 1),
        "acquire_timeout": ("DB_POOL__ACQUIRE_TIMEOUT_MILLIS", float, 1000),
        "connect_timeout": ("DB_POOL__CREATE_TIMEOUT_MILLIS", float, 1000),
    }
    limits = {
        option: kind(settings[name]) / unit if unit != 1 else kind(settings[name])
        for option, (name, kind, unit) in names.items()
        if settings.get(name) is not None
    }
    if settings.get("DB_PGBOUNCER"):
        limits["pgbouncer"] = True
    if (remembered := durations.milliseconds(settings.get("CACHE_SYSTEM_TTL"))) is not None:
        limits["forget_after"] = remembered / 1000
    if url := settings.get("DB_REPLICA_URL"):
        limits["replica"] = ConnectionOptions.from_url(str(url), **limits)
    return limits


def _encryption(settings: Mapping[str, Any]) -> ssl.SSLContext | bool | None:
    """``DB_SSL=true`` verifies nothing (as the reference's client), a CA or client key makes a full context."""
    strict = settings.get("DB_SSL__REJECT_UNAUTHORIZED")
    authority, certificate, key = (settings.get(f"DB_SSL__{n}") for n in ("CA", "CERT", "KEY"))
    if not (settings.get("DB_SSL") or authority or certificate or strict is not None):
        return None
    authority_text = _pem(authority)
    context = ssl.create_default_context(cadata=authority_text) if authority_text else ssl.create_default_context()
    if certificate and key:
        context.load_cert_chain(str(certificate), str(key))
    if strict is False or (strict is None and not authority):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _pem(value: Any) -> str | None:
    """The text of a certificate that is given as text or as a path."""
    if not value:
        return None
    text = str(value)
    return text if "-----BEGIN" in text else Path(text).read_text()


def _ssl_mode(mode: str) -> ssl.SSLContext | bool | None:
    if mode in ("disable", "false", "0"):
        return False
    context = ssl.create_default_context()
    if mode not in ("verify-full", "verify-ca"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif mode == "verify-ca":
        context.check_hostname = False
    return None if mode in ("prefer", "allow") else context


def _names(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(str(p).strip() for p in parts if str(p).strip())


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
