"""Which writes of items change what processes remember of access and flows (spec users §4.9)."""

from __future__ import annotations

from collections.abc import Collection

from tabulary.database.versions import ACCESS, FLOWS, IDENTITIES, SESSIONS

_TOPICS = {
    "directus_access": (ACCESS,),
    "directus_flows": (FLOWS,),
    "directus_operations": (FLOWS,),
    "directus_permissions": (ACCESS,),
    "directus_policies": (ACCESS,),
    "directus_roles": (ACCESS,),
    "directus_sessions": (SESSIONS,),
    "directus_shares": (IDENTITIES,),
    "directus_users": (ACCESS,),
}
_OF_ACCESS = frozenset({"policies", "role"})
_OF_IDENTITY = frozenset({"status", "token", "password", "email", "tfa_secret", "provider"})
"""What decides who the bearer of a token is."""


def topics_of(collection: str, fields: Collection[str] | None) -> tuple[str, ...]:
    """The topics that a change of ``fields`` of existing items, or their deletion (None), makes old."""
    if collection != "directus_users" or fields is None:
        return _TOPICS.get(collection, ())
    if not _OF_ACCESS.isdisjoint(fields):
        return (ACCESS,)
    return () if _OF_IDENTITY.isdisjoint(fields) else (IDENTITIES,)


def topics_of_new(collection: str) -> tuple[str, ...]:
    """The same for new items. Of tokens that failed nothing is remembered, so that new users change nothing."""
    return () if collection in ("directus_users", "directus_sessions") else _TOPICS.get(collection, ())
