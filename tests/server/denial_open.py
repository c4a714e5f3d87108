"""Routes without a row in the denial matrix, and why."""

from __future__ import annotations

_ITSELF = "anybody may come here: it is how one gets in"
_TOLD = "answers anybody with what anybody may know"
_ELSEWHERE = "judged by the tests of its own area"

OPEN: dict[str, str] = {
    **dict.fromkeys(
        (
            "GET /auth",
            "POST /auth/login",
            "POST /auth/logout",
            "POST /auth/refresh",
            "POST /auth/password/request",
            "POST /auth/password/reset",
            "POST /users/invite/accept",
            "POST /users/register",
            "GET /users/register/verify-email",
            "POST /shares/auth",
        ),
        _ITSELF,
    ),
    **dict.fromkeys(
        (
            "GET /access/me",
            "GET /policies/me",
            "GET /policies/me/globals",
            "GET /shares/info/{key}",
            "GET /server/health",
            "GET /server/info",
            "POST /server/setup",
            "GET /server/specs/oas",
            "GET /server/specs/graphql",
            "GET /server/specs/graphql/{scope}",
            "GET /utils/random/string",
            "POST /utils/hash/generate",
            "POST /utils/hash/verify",
            "POST /utils/resolve-redirect",
        ),
        _TOLD,
    ),
    **dict.fromkeys(("GET /flows/trigger/{key:uuid}", "POST /flows/trigger/{key:uuid}"), _ELSEWHERE),
    **dict.fromkeys(("POST /files/tus", "PATCH /files/tus/{id}", "DELETE /files/tus/{id}"), _ELSEWHERE),
    **{
        f"{method} /graphql{path}": _ELSEWHERE
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "SEARCH")
        for path in ("", "/system", "/{rest:path}", "/system/{rest:path}")
    },
}
