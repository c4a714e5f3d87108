"""Values on their way into columns and revisions (spec items-and-query §5.4, §5.5)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabulary.access.accountability import Accountability
from tabulary.core.errors import InvalidPayload
from tabulary.core.passwords import Passwords
from tabulary.database.dialects.base import Column
from tabulary.database.dialects.mysql.values import MySQLValues
from tabulary.database.dialects.postgresql.values import PostgreSQLValues
from tabulary.database.dialects.sqlite.values import SQLiteValues
from tabulary.database.dialects.values import well_known_text
from tabulary.items.blueprint import Blueprint
from tabulary.items.moments import parse_iso, read_moment, write_moment
from tabulary.items.payload import MASK, Secrets, Stamp, revealed, transform
from tabulary.schema.overview import Collection, Field, Schema

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
FIELDS = [
    Field("id", "integer", nullable=False, default_value="AUTO_INCREMENT"),
    Field("key", "uuid", special=("uuid",)),
    Field("title", "string"),
    Field("made_by", "uuid", special=("user-created",)),
    Field("made_on", "timestamp", special=("date-created",)),
    Field("changed_by", "uuid", special=("user-updated",)),
    Field("changed_on", "dateTime", special=("date-updated",)),
    Field("tags", "csv", special=("cast-csv",)),
    Field("data", "json", special=("cast-json",)),
    Field("open", "boolean", special=("cast-boolean",)),
    Field("secret", "hash", special=("hash", "conceal")),
    Field("born", "date"),
    Field("seen", "timestamp"),
    Field("met", "dateTime"),
    Field("wakes", "time"),
    Field("place", "geometry"),
    Field("children", "alias", alias=True, special=("o2m",)),
]
BLUEPRINT = Blueprint.of(Schema.of([Collection("things", "id", {f.field: f for f in FIELDS})]), "things")
SECRETS = Secrets(Passwords({"memoryCost": 8, "timeCost": 1, "parallelism": 1}), "secret")
STAMP = Stamp("me", "role", NOW)


async def written(action: str = "update", **payload: Any) -> dict[str, Any]:
    row = await transform(BLUEPRINT, action, payload, STAMP, SECRETS)
    return {name: row[name] for name in payload if name in row}


async def test_automatic_fields_of_create() -> None:
    row = await transform(BLUEPRINT, "create", {"made_by": "other", "made_on": None}, STAMP, SECRETS)
    assert row["made_by"] == "me" and row["made_on"] == NOW
    assert len(row["key"]) == 36 and "changed_by" not in row


async def test_automatic_fields_of_update() -> None:
    row = await transform(BLUEPRINT, "update", {"made_by": "other"}, STAMP, SECRETS)
    assert row == {"made_by": "other", "changed_by": "me", "changed_on": NOW.astimezone().replace(tzinfo=None)}


def test_defaults_of_a_version_replace_user_and_date() -> None:
    stamp = Stamp.of(Accountability(user="a", role="r"), {"_user": "b", "_date": "2020-01-01T00:00:00Z"})
    assert (stamp.user, stamp.role, stamp.moment) == ("b", "r", datetime(2020, 1, 1, tzinfo=UTC))


async def test_unknown_keys_and_aliases_are_dropped() -> None:
    assert await written(title="x", nope=1, children=[1]) == {"title": "x"}


async def test_lists_and_objects() -> None:
    row = await written(tags=["a,b", "c", None, 5, True], data={"a": [1, None]}, title={"a": 1})
    assert row == {"tags": "a,b,c,,5,true", "data": '{"a":[1,null]}', "title": '{"a":1}'}
    assert await written(data='"quoted"', tags="x,y") == {"data": '"quoted"', "tags": "x,y"}


async def test_hash() -> None:
    stored = (await written(secret="pass"))["secret"]
    assert stored.startswith("$argon2id$") and await SECRETS.passwords.verify(stored, "pass")
    assert await written(secret="") == {"secret": ""} and await written(secret=None) == {"secret": None}


async def test_nul_is_refused_before_the_database_sees_it() -> None:
    with pytest.raises(InvalidPayload):
        await written(title="a\x00b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20200131", datetime(2020, 1, 31)),
        ("2020-01-31T10:20", datetime(2020, 1, 31, 10, 20)),
        ("2020-01-31 10:20:30", datetime(2020, 1, 31, 10, 20, 30)),
        ("2020-01", datetime(2020, 1, 1)),
        ("2020", datetime(2020, 1, 1)),
        ("2021-02-29", None),
        ("2020-13-01", None),
        ("tomorrow", None),
        ("2020-13", None),
    ],
)
def test_iso(text: str, expected: datetime | None) -> None:
    assert parse_iso(text) == expected


async def test_moments() -> None:
    offset = "2020-01-31T10:20:30.123456+05:00"
    instant = datetime(2020, 1, 31, 5, 20, 30, 123456, tzinfo=UTC)
    row = await written(seen=offset, met=offset, born="2020-02-29", wakes="10:11")
    assert row["seen"] == instant and row["met"] == instant.astimezone().replace(tzinfo=None)
    assert row["born"] == date(2020, 2, 29) and row["wakes"] == "10:11"
    assert await written(seen="0000-00-00 00:00:00", met="", born=None) == {"seen": None, "met": "", "born": None}
    assert await written(seen="whenever") == {"seen": "whenever"}
    for name in ("met", "born"):
        with pytest.raises(InvalidPayload):
            await written(**{name: "whenever"})


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)))
def test_moments_survive_the_way_there_and_back(moment: datetime) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    shown = read_moment(cut, "timestamp")
    assert write_moment(shown, "timestamp", "f") == cut and read_moment(shown, "timestamp") == shown
    local = read_moment(cut, "dateTime")
    assert read_moment(write_moment(local, "dateTime", "f"), "dateTime") == local


def test_revisions_hide_secrets_and_show_wire_formats() -> None:
    shown = revealed(
        BLUEPRINT,
        {"secret": "pass", "tags": "a,b", "data": '{"a":1}', "open": 1, "seen": "2020-01-01T00:00:00Z",
         "met": "2020-01-01 10:00:00.5", "born": date(2020, 1, 2), "nope": 1, "children": [1]},
        without=frozenset({"children"}),
    )  # fmt: skip
    assert shown == {
        "secret": MASK, "tags": ["a", "b"], "data": {"a": 1}, "open": True, "seen": "2020-01-01T00:00:00.000Z",
        "met": "2020-01-01T10:00:00", "born": "2020-01-02", "nope": 1,
    }  # fmt: skip
    assert revealed(BLUEPRINT, {"secret": "", "tags": "", "open": "0"}) == {"secret": None, "tags": [], "open": False}


def test_geometry() -> None:
    square = [[0, 0], [0, 1], [1, 1], [0, 0]]
    assert well_known_text({"type": "Point", "coordinates": [1, 2.5]}) == "POINT(1 2.5)"
    assert well_known_text({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}) == "LINESTRING(1 2, 3 4)"
    assert well_known_text({"type": "Polygon", "coordinates": [square]}) == "POLYGON((0 0, 0 1, 1 1, 0 0))"
    for bad in ({"type": "Nope"}, {"type": "Point"}, 5, {"type": "Point", "coordinates": ["a", 1]}):
        with pytest.raises(ValueError):
            well_known_text(bad)


def test_storage_formats() -> None:
    plain, local = Column("a", "string"), datetime(2020, 1, 2, 3, 4, 5)
    pg, lite, maria = PostgreSQLValues(), SQLiteValues(), MySQLValues()
    assert [pg.write(v, plain) for v in (None, True, 5, 5.0, 1.5, NOW, local, date(2020, 1, 2), b"\x01")] == [
        None, "true", "5", "5", "1.5", "2026-01-02 03:04:05.678000+00:00", "2020-01-02 03:04:05", "2020-01-02", "\\x01",
    ]  # fmt: skip
    assert [lite.write(v, plain) for v in (None, True, 5, NOW, local)] == [
        None, 1, 5, round(NOW.timestamp() * 1000), round(local.timestamp() * 1000),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="64 bits"):
        lite.write(2**70, plain)
    assert [maria.write(v, plain) for v in (None, False, 5.0, NOW, local, date(2020, 1, 2))] == [
        None, 0, 5, "2026-01-02 03:04:05.678", "2020-01-02 03:04:05", "2020-01-02",
    ]  # fmt: skip
    assert json.dumps(pg.write(1e20, plain)) == '"100000000000000000000"'
