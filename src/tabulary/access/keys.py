"""Keys of users, roles, policies and shares: UUIDs."""

from __future__ import annotations

from uuid import UUID


def is_uuid(text: str) -> bool:
    """True for a text that a UUID column takes: asking for another one would be an error of the database."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
