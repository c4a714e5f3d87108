"""Dynamic variables: parsing, moments, paths."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabulary.access.variables import VariableName, adjusted, now, parse_variable, pluck

MOMENT = datetime(2024, 1, 31, 10, 20, 30, tzinfo=UTC)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("$NOW", VariableName("$NOW")),
        ("$NOW(-1 day)", VariableName("$NOW", adjustment="-1 day")),
        ("$CURRENT_USER", VariableName("$CURRENT_USER")),
        ("$CURRENT_USER.role.name", VariableName("$CURRENT_USER", ("role", "name"))),
        ("$CURRENT_ROLES", VariableName("$CURRENT_ROLES")),
        ("$CURRENT_ROLE.name", VariableName("$CURRENT_ROLE", ("name",))),
        ("$CURRENT_POLICIES.id", VariableName("$CURRENT_POLICIES", ("id",))),
        ("$SOMETHING", None),
        ("role $CURRENT_ROLE", None),
    ],
)
def test_parse(text: str, name: VariableName | None) -> None:
    assert parse_variable(text) == name


@pytest.mark.parametrize(
    ("adjustment", "expected"),
    [
        (None, MOMENT),
        ("", MOMENT),
        ("nonsense", MOMENT),
        ("1 parsec", MOMENT),
        ("1", MOMENT + timedelta(days=1)),
        ("-1 day", MOMENT - timedelta(days=1)),
        ("+1.5h", MOMENT + timedelta(minutes=90)),
        ("2 WEEKS", MOMENT + timedelta(weeks=2)),
        ("500ms", MOMENT + timedelta(milliseconds=500)),
        ("1 month", datetime(2024, 2, 29, 10, 20, 30, tzinfo=UTC)),
        ("-1 mo", datetime(2023, 12, 31, 10, 20, 30, tzinfo=UTC)),
        ("1 mth", datetime(2024, 2, 29, 10, 20, 30, tzinfo=UTC)),
        ("1 year", datetime(2025, 1, 31, 10, 20, 30, tzinfo=UTC)),
        ("-100 years", datetime(1924, 1, 31, 10, 20, 30, tzinfo=UTC)),
        ("99999 years", datetime.max.replace(tzinfo=UTC)),
        ("-99999999 d", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_adjust(adjustment: str | None, expected: datetime) -> None:
    assert adjusted(MOMENT, adjustment) == expected


@given(moments, st.integers(-2_000, 2_000))
def test_months_are_calendar_steps(moment: datetime, months: int) -> None:
    moved = adjusted(moment, f"{months:+d} months")
    assert (moved.year * 12 + moved.month) - (moment.year * 12 + moment.month) == months
    assert moved.day <= moment.day
    assert moved.day == moment.day or (moved + timedelta(days=1)).month != moved.month
    assert moved.time() == moment.time()


@given(moments, st.integers(-50, 50))
def test_a_year_is_twelve_months(moment: datetime, years: int) -> None:
    assert adjusted(moment, f"{years} y") == adjusted(moment, f"{years * 12} mo")


@given(moments, st.integers(-10_000, 10_000), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_fixed_units_undo(moment: datetime, amount: int, unit: str) -> None:
    assert adjusted(adjusted(moment, f"{amount}{unit}"), f"{-amount}{unit}") == moment


@given(st.text())
def test_any_text_is_a_moment(text: str) -> None:
    assert adjusted(MOMENT, text).tzinfo is UTC


def test_now() -> None:
    before = datetime.now(UTC)
    told = now("-1h") + timedelta(hours=1)
    assert before <= told <= datetime.now(UTC)


def test_pluck() -> None:
    policies = [{"policy": {"id": 1}}, {"policy": None}]
    user = {"role": {"name": "x"}, "tags": ["a", "b"], "policies": policies, "none": None}
    assert pluck(user, ("role", "name")) == "x"
    assert pluck(user, ("tags",)) == ["a", "b"]
    assert pluck(user, ("policies", "policy", "id")) == [1, None]
    assert pluck(user, ("none", "name")) is None
    assert pluck(user, ("missing",)) is None
    assert pluck([user, user], ("tags",)) == ["a", "b", "a", "b"]
