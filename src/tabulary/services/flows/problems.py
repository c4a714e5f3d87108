"""What goes wrong in flows, and how it looks to the operations that come after (spec §4.5)."""

from __future__ import annotations

from typing import Any

from tabulary.core import json
from tabulary.core.errors import ErrorGroup, FailedValidation, TabularyError


class FlowProblem(Exception):
    """An operation cannot do what its options say. Later operations see an empty object with this message."""


class Rejected(Exception):
    """An operation rejects with a value of its own.

    Attributes:
        data: what later operations see, and what a webhook answers.
    """

    def __init__(self, data: Any, message: str = "") -> None:
        super().__init__(message)
        self.data = data


class ErrorData(dict[str, Any]):
    """An error as data. Its message does not show on the wire, but templates can read it."""

    def __init__(self, values: dict[str, Any], message: str) -> None:
        super().__init__(values)
        self.message = message


def thrown(code: str, status: int, message: str) -> TabularyError:
    """The error that a *throw error* operation asks for: any code, any status."""
    kind = type("ThrownError", (TabularyError,), {"code": code, "status": status})
    error: TabularyError = kind(message)
    return error


def error_data(problem: BaseException) -> Any:
    """What an operation that failed leaves in its place."""
    if isinstance(problem, ErrorGroup):
        return [_of_error(error) for error in problem.errors]
    if isinstance(problem, FailedValidation):
        return [_of_error(problem)]  # validation tells everything that is wrong: a list, be it of one
    if isinstance(problem, TabularyError):
        return _of_error(problem)
    if isinstance(problem, Rejected):
        return problem.data
    if isinstance(problem, FlowProblem):
        return ErrorData({}, str(problem))
    return ErrorData({}, "An unexpected error occurred.")


def _of_error(problem: TabularyError) -> ErrorData:
    values: dict[str, Any] = {"name": "DirectusError"}
    if problem.extensions:
        values["extensions"] = problem.extensions
    return ErrorData({**values, "code": problem.code, "status": problem.status}, problem.message)


def structured(value: Any, name: str) -> Any:
    """An option that may be given as JSON text. Raises :class:`FlowProblem` for text that is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.decode(value)
    except ValueError as problem:
        raise FlowProblem(f'The option "{name}" is not JSON: {problem}') from problem
