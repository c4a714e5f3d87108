"""Where the database is: settings and URLs (spec schema-and-platform §6.2), and names of constraints (§2.2)."""

from __future__ import annotations

import pytest

from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings
from tabulary.database.engine import Database
from tabulary.database.naming import constraint_name
from tabulary.database.options import ConnectionOptions


def test_settings() -> None:
    settings = Settings.of(
        DB_CLIENT="pg", DB_HOST="h", DB_PORT="5433", DB_DATABASE="d", DB_USER="u", DB_PASSWORD="123",
        DB_POOL__MIN="2", DB_POOL__MAX="7", DB_SEARCH_PATH="a,b",
    )  # fmt: skip
    options = ConnectionOptions.from_settings(settings)
    assert (options.host, options.port, options.database) == ("h", 5433, "d")
    assert (options.user, options.password) == ("u", "123")
    assert (options.pool_min, options.pool_max, options.search_path) == (2, 7, ("a", "b"))
    assert "123" not in repr(options)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40ss@h:1/d?search_path=x", ("postgresql", "h", 1, "d", "u", "p@ss", None)),
        ("postgres:///d?host=/run/pg", ("postgres", "/run/pg", None, "d", None, None, None)),
        ("mariadb://u@h/d", ("mariadb", "h", None, "d", "u", None, None)),
        ("mysql+asyncmy://u@h/d", ("mysql", "h", None, "d", "u", None, None)),
        ("sqlite:///x.db", ("sqlite", None, None, None, None, None, "x.db")),
        ("sqlite:////a/x.db", ("sqlite", None, None, None, None, None, "/a/x.db")),
        ("sqlite://", ("sqlite", None, None, None, None, None, ":memory:")),
    ],
)
def test_urls(url: str, expected: tuple[object, ...]) -> None:
    o = ConnectionOptions.from_url(url)
    assert (o.client, o.host, o.port, o.database, o.user, o.password, o.filename) == expected
    assert ConnectionOptions.from_settings(Settings.of(DATABASE_URL=url)) == o


def test_pgbouncer_is_named_by_setting_or_url() -> None:
    named = ConnectionOptions.from_settings(Settings.of(DB_CLIENT="pg", DB_PGBOUNCER="true"))
    assert named.pgbouncer and ConnectionOptions.from_url("postgresql://h/d?pgbouncer=true").pgbouncer
    url = Settings.of(DATABASE_URL="postgresql://h/d", DB_PGBOUNCER="true", DB_REPLICA_URL="postgresql://r/d")
    options = ConnectionOptions.from_settings(url)
    assert options.pgbouncer and options.replica is not None and options.replica.pgbouncer
    assert not ConnectionOptions.from_url("postgresql://h/d?pgbouncer=false").pgbouncer
    assert not ConnectionOptions.from_settings(Settings.of(DB_CLIENT="pg")).pgbouncer


def test_encryption() -> None:
    strict = ConnectionOptions.from_url("postgresql://h/d?sslmode=verify-full").ssl
    assert strict and not isinstance(strict, bool) and strict.check_hostname
    options = ConnectionOptions.from_settings(Settings.of(DB_CLIENT="pg", DB_SSL__REJECT_UNAUTHORIZED="false"))
    assert options.ssl and not isinstance(options.ssl, bool) and not options.ssl.check_hostname
    assert ConnectionOptions.from_url("postgresql://h/d?sslmode=disable").ssl is False
    assert ConnectionOptions.from_url("postgresql://h/d").ssl is None


def test_settings_that_cannot_work() -> None:
    for settings, text in (
        ({}, "DB_CLIENT"), ({"DB_CLIENT": "mssql"}, "mssql"), ({"DB_CLIENT": "sqlite3"}, "DB_FILENAME"),
        ({"DATABASE_URL": "nothing"}, "scheme"), ({"DATABASE_URL": "postgresql://u:secret@h:x/d"}, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=text) as refused:
            Database(settings)
        assert "secret" not in str(refused.value)


def test_constraint_names() -> None:
    assert constraint_name("Books.a-b", "Title", "unique") == "books_a_b_title_unique"
    long = constraint_name("c" * 50, "f" * 50, "index", 63)
    assert len(long) == 63 and long.endswith("_index") and "__" in long
    assert long != constraint_name("c" * 50, "f" * 49 + "g", "index", 63)
