"""Acting as another user: what that user may do, for work in their name that they did not ask for themselves."""

from __future__ import annotations

from tabulary.access.accountability import Accountability
from tabulary.items.platform import Platform


async def accountability_of(platform: Platform, user: str, role: str | None) -> Accountability:
    """The accountability of a user without a request: no address, so policies for certain addresses do not count."""
    roles = await platform.access.role_tree(role)
    rights = await platform.access.rights(user, roles, None)
    return Accountability(user, role, roles, rights.admin, rights.app)
