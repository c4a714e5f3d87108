"""Every error that Tabulary raises on purpose, in one catalogue.

An error has a stable machine ``code``, an HTTP ``status``, a message for people and ``extensions`` for programs
(spec users-and-access §7). What is not a :class:`TabularyError` is a bug or an outage: the server answers it as
``INTERNAL_SERVER_ERROR`` and tells the details only to admins and the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

from tabulary.core.durations import spoken


class TabularyError(Exception):
    """Base of all expected errors. Subclasses fix ``code`` and ``status``; instances carry ``extensions``."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    status: ClassVar[int] = 500
    headers: tuple[tuple[str, str], ...] = ()
    """Response headers that belong to the error, such as a cookie to drop or when to try again."""

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = extensions

    def as_dict(self) -> dict[str, Any]:
        """The entry of the error envelope: ``{"message", "extensions": {..., "code"}}``."""
        return {"message": self.message, "extensions": {**self.extensions, "code": self.code}}


class ErrorGroup(TabularyError):
    """Several errors that belong to one request, such as all failed validations of a payload."""

    def __init__(self, errors: Iterable[TabularyError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(e.message for e in self.errors))

    @property
    def common_status(self) -> int:
        """The status that all entries share, or 500 (spec users-and-access §7)."""
        statuses = {e.status for e in self.errors}
        return statuses.pop() if len(statuses) == 1 else 500


class _Reasoned(TabularyError):
    """An error whose ``reason`` is part of the wire format."""

    prefix: ClassVar[str]

    def __init__(self, reason: str) -> None:
        super().__init__(f"{self.prefix} {reason}.", reason=reason)


class InvalidPayload(_Reasoned):
    """The body is not what the route takes."""

    code, status, prefix = "INVALID_PAYLOAD", 400, "Invalid payload."


class InvalidQuery(_Reasoned):
    """A query parameter cannot be understood."""

    code, status, prefix = "INVALID_QUERY", 400, "Invalid query."


class UnprocessableContent(_Reasoned):
    """The request is well formed but would break a rule of the system."""

    code, status, prefix = "UNPROCESSABLE_CONTENT", 422, "Can't process content."


class Forbidden(TabularyError):
    """Not allowed, or not there: the two are indistinguishable on purpose (spec items-and-query §7.1)."""

    code, status = "FORBIDDEN", 403

    def __init__(self, reason: str | None = None) -> None:
        extensions = {} if reason is None else {"reason": reason}
        super().__init__(reason or "You don't have permission to access this.", **extensions)


class FailedValidation(TabularyError):
    """One field of a payload breaks one rule. ``kind`` is the rule's wire name (``required``, ``gte``, ``regex`` …)."""

    code, status = "FAILED_VALIDATION", 400

    def __init__(self, field: str, kind: str, path: Iterable[str] = (), **details: Any) -> None:
        place = list(path)
        where = f' at "{".".join(place)}"' if place else ""
        super().__init__(
            f'Validation failed for field "{field}"{where}. {_explain(kind, details)}'.rstrip(),
            field=field,
            path=place,
            type=kind,
            **details,
        )


class _OfField(TabularyError):
    """An error of the database about one column, translated (spec items-and-query §8.2)."""

    def __init__(self, message: str, collection: str | None, field: str | None, **extensions: Any) -> None:
        super().__init__(message, collection=collection, field=field, **extensions)


class RecordNotUnique(_OfField):
    code, status = "RECORD_NOT_UNIQUE", 400


class InvalidForeignKey(_OfField):
    code, status = "INVALID_FOREIGN_KEY", 400


class NotNullViolation(_OfField):
    code, status = "NOT_NULL_VIOLATION", 400


class ContainsNullValues(_OfField):
    code, status = "CONTAINS_NULL_VALUES", 400


class ValueTooLong(_OfField):
    code, status = "VALUE_TOO_LONG", 400


class ValueOutOfRange(_OfField):
    code, status = "VALUE_OUT_OF_RANGE", 400


class _Plain(TabularyError):
    """An error without details."""

    text: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(self.text)


class InvalidCredentials(_Plain):
    code, status, text = "INVALID_CREDENTIALS", 401, "Invalid user credentials."


class InvalidToken(_Plain):
    code, status, text = "INVALID_TOKEN", 403, "Invalid token."


class TokenExpired(_Plain):
    code, status, text = "TOKEN_EXPIRED", 401, "Token expired. Log in again or refresh the session."


class InvalidOtp(_Plain):
    code, status, text = "INVALID_OTP", 401, "Invalid one-time password."


class InvalidInvite(_Plain):
    code, status, text = "INVALID_INVITE", 400, "This invitation is no longer valid. Ask for a new one."


class UserSuspended(_Plain):
    code, status, text = "USER_SUSPENDED", 401, "This user is suspended."


class RouteNotFound(TabularyError):
    code, status = "ROUTE_NOT_FOUND", 404

    def __init__(self, path: str) -> None:
        super().__init__(f"Route {path} doesn't exist.", path=path)


class UnsupportedMediaType(TabularyError):
    code, status = "UNSUPPORTED_MEDIA_TYPE", 415

    def __init__(self, media_type: str, where: str) -> None:
        super().__init__(f'Unsupported media type "{media_type}" in {where}.', mediaType=media_type, where=where)


class ContentTooLarge(_Plain):
    code, status, text = "CONTENT_TOO_LARGE", 413, "The uploaded content is larger than the server accepts."


class RangeNotSatisfiable(TabularyError):
    """``range`` holds the ``start`` and ``end`` that were asked for, as far as they were given."""

    code, status = "RANGE_NOT_SATISFIABLE", 416

    def __init__(self, wanted: dict[str, int]) -> None:
        super().__init__("The file has no such range of bytes.", range=wanted)


class IllegalAssetTransformation(TabularyError):
    """The image is too large to be transformed, or of unknown size."""

    code, status = "ILLEGAL_ASSET_TRANSFORMATION", 400

    def __init__(self, reason: str) -> None:
        super().__init__(f"This image can't be transformed. {reason}.", invalidTransformations=["width", "height"])


class LimitExceeded(TabularyError):
    code, status = "LIMIT_EXCEEDED", 403

    def __init__(self, category: str) -> None:
        super().__init__(f"{category} limit exceeded.", category=category)


class RequestsExceeded(TabularyError):
    """A rate limit was hit. ``reset`` is when the caller may come back."""

    code, status = "REQUESTS_EXCEEDED", 429

    def __init__(self, limit: int, reset: datetime, wait: float) -> None:
        """``wait``: seconds until ``reset``."""
        shown = reset.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = f"Too many requests, retry after {spoken(max(wait, 0.001) * 1000)}."
        super().__init__(text, limit=limit, reset=shown)
        self.headers = (("Retry-After", str(max(1, round(wait)))),)


class EmailLimitExceeded(TabularyError):
    """More mails wait to be sent than may."""

    code, status = "EMAIL_LIMIT_EXCEEDED", 429

    def __init__(self, points: int, duration: float, message: str | None = None) -> None:
        text = f"Email sending limit exceeded. Limit of {points} emails every {spoken(duration * 1000)}."
        given = {} if not message else {"message": message}
        super().__init__(" ".join(filter(None, (text, message))), points=points, duration=duration, **given)


class OutOfTime(TabularyError):
    """Work took longer than it may; ``duration`` is what it may take, in milliseconds."""

    code, status = "OUT_OF_TIME", 408

    def __init__(self, category: str, duration: int) -> None:
        super().__init__(f"{category} timed out after {spoken(duration)}.", category=category, duration=duration)


class ServiceUnavailable(TabularyError):
    code, status = "SERVICE_UNAVAILABLE", 503

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f'Service "{service}" is unavailable. {reason}.', service=service, reason=reason)


class InvalidProviderConfig(TabularyError):
    """A user belongs to a login provider that is not configured (any more)."""

    code, status = "INVALID_PROVIDER_CONFIG", 503

    def __init__(self, provider: str) -> None:
        super().__init__("Invalid config.", provider=provider)


class ConfigurationError(Exception):
    """The settings cannot work. Raised at start, never during a request; the text says which name to change."""


_EXPLANATIONS = {
    "required": "Value is required.",
    "null": "Value has to be null.",
    "nnull": "Value can't be null.",
    "empty": "Value has to be empty.",
    "nempty": "Value can't be empty.",
    "regex": "Value doesn't have the correct format.",
    "email": "Value has to be a valid email address.",
    "eq": "Value has to be {valid}.",
    "lt": "Value has to be less than {valid}.",
    "lte": "Value has to be less than or equal to {valid}.",
    "gt": "Value has to be greater than {valid}.",
    "gte": "Value has to be greater than or equal to {valid}.",
    "in": "Value has to be one of {valid}.",
    "neq": "Value can't be {invalid}.",
    "nin": "Value can't be one of {invalid}.",
    "contains": "Value has to contain {substring}.",
    "icontains": "Value has to contain {substring}.",
    "ncontains": "Value can't contain {substring}.",
}


def _explain(kind: str, details: dict[str, Any]) -> str:
    shown = {k: ", ".join(f'"{x}"' for x in (v if isinstance(v, list | tuple) else [v])) for k, v in details.items()}
    try:
        return _EXPLANATIONS.get(kind, "").format(**shown)
    except KeyError:
        return ""
