"""Routes without a row in the denial matrix, and why."""

from __future__ import annotations

_ITSELF = "anybody may come here: it is how one gets in"
_TOLD = "answers anybody with what anybody may know"
_ELSEWHERE = "judged by the tests of its own area"
_BELOW = "judged in test_denial.py: its requests are no rows"

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
    **dict.fromkeys(("POST /files/tus", "PATCH /files/tus/{id}", "DELETE /files/tus/{id}"), _BELOW),
    **{
        f"{method} /graphql{path}": _BELOW
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "SEARCH")
        for path in ("", "/system", "/{rest:path}", "/system/{rest:path}")
    },
}

OPEN_ROOTS = {
    *("query _empty", "query server_health", "query server_info", "query server_ping"),
    *("query server_specs_graphql", "query server_specs_oas"),
    *(f"mutation auth_{name}" for name in ("login", "logout", "refresh", "password_request", "password_reset")),
    *(f"mutation users_{name}" for name in ("invite_accept", "register", "register_verify")),
    *(f"mutation utils_{name}" for name in ("hash_generate", "hash_verify", "random_string")),
}
"""The roots of ``/graphql/system`` that anybody may use."""

SHOWN_ROOTS = {
    "mutation utils_cache_clear": "",
    "mutation utils_revert": '(revision: "1")',
    "mutation utils_sort": '(collection: "books", item: "1", to: "2")',
    "mutation users_me_tfa_generate": '(password: "x") { secret }',
    "mutation users_me_tfa_enable": '(otp: "000000", secret: "AAAAAAAAAAAAAAAA")',
    "mutation users_me_tfa_disable": '(otp: "000000")',
}
"""Roots that the schema shows to anybody, as that of the reference does, with a call that has to be refused."""
