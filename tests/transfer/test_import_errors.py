"""Errors of rows: grouped by what they say, with exact rows."""

from __future__ import annotations

import pytest

from tabulary.core.errors import ErrorGroup, FailedValidation, Forbidden, RecordNotUnique
from tabulary.services.import_errors import ImportErrors, row_ranges


@pytest.mark.parametrize(
    ("rows", "ranges"),
    [
        ([], []),
        ([2, 5], [{"type": "lines", "rows": [2, 5]}]),
        ([1, 2, 3], [{"type": "lines", "rows": [1, 2, 3]}]),
        ([1, 2, 3, 4], [{"type": "range", "start": 1, "end": 4}]),
        (
            [1, 2, 3, 4, 6, 8, 9, 10, 11, 12],
            [
                {"type": "range", "start": 1, "end": 4},
                {"type": "range", "start": 8, "end": 12},
                {"type": "lines", "rows": [6]},
            ],
        ),
    ],
)
def test_row_ranges(rows: list[int], ranges: list[object]) -> None:
    assert row_ranges(rows) == ranges


def test_equal_errors_become_one() -> None:
    errors = ImportErrors(limit=10)
    for row in (1, 2, 3, 4, 9):
        assert errors.add(FailedValidation("pages", "gte", ["x"], valid=0), row)
    assert errors.add(FailedValidation("pages", "lte", valid=9), 4)
    assert errors.add(RecordNotUnique("taken", "books", "title", value="Emma"), 5)
    with pytest.raises(ErrorGroup) as caught:
        errors.raise_all()
    assert caught.value.common_status == 400
    first, second, third = (error.as_dict() for error in caught.value.errors)
    ranges = [{"type": "range", "start": 1, "end": 4}, {"type": "lines", "rows": [9]}]
    assert first["extensions"] == {
        "field": "pages", "type": "gte", "valid": 0, "rows": ranges, "code": "FAILED_VALIDATION"
    }  # fmt: skip
    assert "rows 1 to 4, 9" in first["message"]
    assert second["extensions"]["type"] == "lte"
    assert third["extensions"] == {
        "field": "title", "rows": [{"type": "lines", "rows": [5]}], "code": "RECORD_NOT_UNIQUE"
    }  # fmt: skip


def test_errors_of_one_row_count_it_once() -> None:
    errors = ImportErrors(limit=10)
    group = ErrorGroup([FailedValidation("a", "required"), FailedValidation("a", "required")])
    errors.add(group, 7)
    with pytest.raises(ErrorGroup) as caught:
        errors.raise_all()
    assert caught.value.errors[0].extensions["rows"] == [{"type": "lines", "rows": [7]}]


def test_an_error_without_a_field_stops_and_stands_alone() -> None:
    errors = ImportErrors(limit=10)
    errors.add(FailedValidation("a", "required"), 1)
    assert not errors.add(Forbidden(), 2)
    with pytest.raises(Forbidden):
        errors.raise_all()
    unexpected = ImportErrors(limit=10)
    assert not unexpected.add(RuntimeError("x"), 1)
    with pytest.raises(RuntimeError):
        unexpected.raise_all()


def test_the_limit_stops() -> None:
    errors = ImportErrors(limit=2)
    assert errors.add(FailedValidation("a", "required"), 1)
    assert not errors.add(FailedValidation("a", "required"), 2)
    assert errors
    assert not ImportErrors(limit=1)
    ImportErrors(limit=1).raise_all()
