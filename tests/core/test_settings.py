"""Settings: sources, casts, files, groups, secrets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings, cast

NOWHERE = Path("/nonexistent/.env")


def load(**env: str) -> Settings:
    return Settings.load(env, NOWHERE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("12", 12),
        ("1e3", 1000),
        ("-4.5", -4.5),
        ("0", 0),
        ("0123", "0123"),
        ("5m", "5m"),
        ("http://x", "http://x"),
        ("", ""),
        ("a,b", ["a", "b"]),
        ("1,x,", [1, "x"]),
        ("null", None),
        ('{"a":1}', {"a": 1}),
        ('{"a":1,"b":2}', {"a": 1, "b": 2}),
        ("array:string:1,2", ["1", 2]),
        ("boolean:yes", False),
        ("boolean:1", True),
        ("string:5", "5"),
        ("json:[1, 2]", [1, 2]),
        ("9007199254740993", "9007199254740993"),
    ],
)
def test_a_value_is_cast_by_its_look(text: str, value: Any) -> None:
    assert cast("SOMETHING", text) == value


def test_number_prefix_gives_nan_for_words() -> None:
    assert math.isnan(cast("X", "number:abc"))


def test_a_name_can_fix_the_type() -> None:
    settings = load(SECRET="0123", ADMIN_PASSWORD="true", PORT="80", DB_PASSWORD="1,2")
    assert (settings["SECRET"], settings["ADMIN_PASSWORD"], settings["PORT"]) == ("0123", "true", 80)
    assert settings["DB_PASSWORD"] == "1,2"


def test_defaults_apply_where_nothing_is_set() -> None:
    settings = load()
    assert settings["QUERY_LIMIT_DEFAULT"] == 100
    assert settings["QUERY_LIMIT_MAX"] is None
    assert settings["DB_CLIENT"] == "sqlite3"
    assert settings.duration("ACCESS_TOKEN_TTL") == 900_000
    assert settings.size("MAX_PAYLOAD_SIZE") == 1 << 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "PORT=9000\nQUERY_LIMIT_MAX=50 # comment\n"),
        ("c.json", '{"PORT": 9000, "QUERY_LIMIT_MAX": "50"}'),
        ("c.yaml", "PORT: 9000\nQUERY_LIMIT_MAX: 50\n"),
    ],
)
def test_the_file_wins_over_the_environment(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    settings = Settings.load({"PORT": "1", "HOST": "h", "CONFIG_PATH": str(path)})
    assert (settings["PORT"], settings["HOST"], settings["QUERY_LIMIT_MAX"]) == (9000, "h", 50)


@pytest.mark.parametrize(("name", "content"), [("c.json", "[1]"), ("c.json", "{"), ("c.yaml", "- 1"), ("c.js", "x")])
def test_a_file_that_makes_no_sense_is_an_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError):
        Settings.load({}, tmp_path / name)


def test_a_value_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789\n")
    settings = load(SECRET_FILE=str(tmp_path / "secret"), SOMETHING_FILE="/x")
    assert settings["SECRET"] == "0123456789\n"
    assert settings["SOMETHING_FILE"] == "/x"
    with pytest.raises(ConfigurationError, match="SECRET_FILE"):
        load(SECRET_FILE="/nonexistent")


def test_groups_nest_and_camel_case() -> None:
    settings = load(DB_POOL__MAX="5", DB_SSL__REJECT_UNAUTHORIZED="false", DB_HOST="h")
    group = settings.group("DB_")
    assert group["pool"] == {"max": 5}
    assert group["ssl"] == {"rejectUnauthorized": False}
    assert group["host"] == "h"
    assert "port" not in group


def test_secrets_are_never_shown() -> None:
    settings = load(SECRET="very-secret", DB_PASSWORD="pw-here", DATABASE_URL="postgresql://u:pw-here@h/d", PORT="1")
    assert "very-secret" not in repr(settings)
    assert "pw-here" not in repr(settings) + str(settings.shown())
    assert settings.shown()["PORT"] == 1
    assert settings.shown()["ACCESS_TOKEN_TTL"] == "15m"


def test_a_missing_secret_is_made_up() -> None:
    one, other = load(), load()
    assert one.secret_is_random
    assert len(one["SECRET"]) >= 32
    assert one["SECRET"] != other["SECRET"]
    assert not load(SECRET="x").secret_is_random


def test_settings_made_in_python() -> None:
    settings = Settings.of(query_limit_max=5, CACHE_TTL="1m")
    assert settings["QUERY_LIMIT_MAX"] == 5
    assert settings.duration("CACHE_TTL") == 60_000
    assert settings.with_values(query_limit_max=6)["QUERY_LIMIT_MAX"] == 6
    assert settings["QUERY_LIMIT_MAX"] == 5
