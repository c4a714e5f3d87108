"""The dialects and the names under which settings and URLs ask for them.

A dialect is imported when it is asked for: its driver need not be installed for the others to work.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType

from tabulary.core.errors import ConfigurationError
from tabulary.database.dialects.base import Dialect

_POSTGRESQL, _COCKROACHDB, _SQLITE, _MYSQL = "postgresql", "cockroachdb", "sqlite", "mysql"
_BY_CLIENT = MappingProxyType(
    {
        **dict.fromkeys(("pg", "postgres", "postgresql"), _POSTGRESQL),
        **dict.fromkeys(("cockroachdb", "cockroach"), _COCKROACHDB),
        **dict.fromkeys(("sqlite3", "sqlite", "better-sqlite3"), _SQLITE),
        **dict.fromkeys(("mysql", "mysql2", "mariadb"), _MYSQL),
    }
)
_EXTRAS = MappingProxyType({_POSTGRESQL: "postgres", _COCKROACHDB: "postgres", _MYSQL: "mysql"})


def dialect_for(client: str) -> Dialect:
    """The dialect of a ``DB_CLIENT`` value or URL scheme.

    Raises :class:`ConfigurationError` for an unknown one and for one whose driver is not installed.
    """
    name = _BY_CLIENT.get(client.lower())
    if name is None:
        known = ", ".join(_BY_CLIENT)
        raise ConfigurationError(f'The database client "{client}" is not supported; choose one of {known}')
    try:
        module = import_module(f"tabulary.database.dialects.{name}")
    except ModuleNotFoundError as problem:
        extra = _EXTRAS.get(name)
        if extra is None or (problem.name or "").startswith("tabulary"):
            raise
        raise ConfigurationError(f"The driver for {client} is missing: pip install 'tabulary[{extra}]'") from problem
    dialect: Dialect = module.DIALECT()
    return dialect
